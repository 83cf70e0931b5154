"""Every route asked by every kind of caller: `python -m tests.security.make_route_matrix` writes what they get."""

import csv
import tempfile
from pathlib import Path

import httpx

from engine.settings import Settings
from tests.browser.conftest import Server
from tests.security.driver import SCRIPT, seed_of, signed_in
from tests.security.people import PEOPLE
from ui.start import routes

TABLE = Path(__file__).with_name("route_matrix.csv")
# alice owns the collection and the document; bob and oscar, an operator, were granted nothing; root is the admin. They come with
# the cookie of a sign-in, and to the API with a key that has every scope they may give it.
CALLERS = ("anonymous", *PEOPLE, "revoked key")
NOBODY = {"breaker_id": "none", "command": "trip", "alert_id": "none", "number": "0"}
STREAMLIT = ["/", "/_stcore/health", "/_stcore/host-config", "/_stcore/metrics", "/media/x", "/component/x", "/static/x"]


def every_route(found=None, prefix=""):
    """Return (method, path) of each route of the app and of the API, and Streamlit's own."""
    rows = []
    for route in found or routes(Settings()):
        path = prefix + route.path
        inner = getattr(getattr(route, "app", None), "openapi", None) if not getattr(route, "methods", None) else None
        if inner:
            described = inner()["paths"]
            rows += [(method.upper(), path + name) for name, methods in described.items() for method in methods]
            rows.append(("GET", path + "/v1/openapi.json"))
        else:
            rows += [(method, path) for method in sorted(route.methods - {"HEAD"})]
    return [*rows, *(("GET", path) for path in STREAMLIT)] if not prefix else rows


def cookies(url):
    """Return clients with the cookie of each person's sign-in."""
    return {"anonymous": httpx.Client(base_url=url, timeout=30), **{name: signed_in(url, name) for name in PEOPLE}}


def keys(url, seed):
    """Return clients with the key of each person, and with the revoked one."""
    headers = {name: {"authorization": f"Bearer {key}"} for name, key in seed["keys"].items()}
    return {name: httpx.Client(base_url=url, timeout=30, headers=headers.get(name)) for name in CALLERS}


def measured(url, seed):
    """Return {(method, path): {caller: status}}. Bodies are empty, so that what may be called answers 4xx and changes nothing."""
    by_key = keys(url, seed)
    by_cookie, found = {**cookies(url), "revoked key": by_key["revoked key"]}, {}
    for method, path in sorted(every_route()):
        if "logout" in path:
            continue  # ends the sessions that ask; tests of the sign-in cover it
        address = path.format(**seed, **NOBODY) if method != "DELETE" else path.format(document_id="none")
        clients = by_key if path.startswith("/api/") or path == "/metrics" else by_cookie
        found[method, path] = {name: clients[name].request(method, address).status_code for name in CALLERS}
    return found


def stored():
    with TABLE.open(newline="") as file:
        return {(row["method"], row["path"]): {name: int(row[name]) for name in CALLERS} for row in csv.DictReader(file)}


def main():
    with tempfile.TemporaryDirectory() as data:
        server = Server(SCRIPT, {"WORKBENCH_DATA_DIR": data})
        try:
            server.wait_for("URL:")
            rows = measured(server.url, seed_of(data))
        finally:
            server.close()
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "path", *CALLERS])
        writer.writerows([*route, *statuses.values()] for route, statuses in rows.items())


if __name__ == "__main__":
    main()
