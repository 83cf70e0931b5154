"""Who gets what from which route, compared with the table that was looked through by hand."""

from tests.security.make_route_matrix import NOBODY, cookies, every_route, measured, stored


def test_every_route_has_a_row_and_answers_as_the_table_says(url, seed):
    known, found = stored(), measured(url, seed)
    missing = sorted(set(found) - set(known))
    assert not missing, f"add rows to route_matrix.csv (python -m tests.security.make_route_matrix, then read them): {missing}"
    assert found == known


def test_the_api_opens_nothing_to_strangers_dead_keys_and_cookies(url):
    rows = {route: statuses for route, statuses in stored().items() if route[1].startswith("/api/")}
    assert len(rows) >= 15
    clients = cookies(url)
    for (method, path), statuses in rows.items():
        assert {statuses[who] for who in ("anonymous", "revoked key")} == {401}, path
        answers = {
            client.request(method, path.format(document_id="x", collection_id="x", **NOBODY)).status_code
            for client in clients.values()
        }
        assert answers == {401}, path


def test_the_table_names_no_route_that_is_gone():
    assert set(stored()) <= set(every_route())
