"""The programming interface over the real engine and real sockets: documents in, cited answers out, each key within its scopes."""

import httpx
import pytest

from engine.services.backup_archive import ArchiveReader


def client(url, key):
    return httpx.Client(base_url=url + "/api/v1", headers={"authorization": f"Bearer {key}"}, timeout=60)


@pytest.fixture
def alice(url, seed):
    with client(url, seed["keys"]["alice"]) as made:
        yield made


@pytest.fixture
def root(url, seed):
    with client(url, seed["keys"]["root"]) as made:
        yield made


def test_a_question_is_answered_with_the_page_it_came_from(alice, seed):
    collection = seed["collection_id"]
    found = alice.post("/search", json={"query": "net sales", "collections": [collection]}).json()
    assert "Net sales rose" in str(found)
    answer = alice.post("/ask", json={"question": "By how much did net sales rise?", "collections": [collection]}).json()
    assert "5 percent" in answer["text"]
    cited = answer["citations"][0]
    assert (cited["document_id"], cited["page"]) == (seed["document_id"], 1)


def test_files_come_in_raw_and_as_a_form_and_leave_as_they_were(alice, seed):
    path = f"/collections/{seed['collection_id']}/documents"
    raw = alice.post(
        path, params={"name": "raw.txt"}, content=b"A raw file about wombats.", headers={"content-type": "text/plain"}
    )
    form = alice.post(path, files={"file": ("form.txt", b"A file of a form about quolls.")})
    assert raw.status_code in (200, 201, 202), raw.text
    assert form.status_code in (200, 201, 202), form.text
    names = {one["name"]: one["id"] for one in alice.get(path).json()}
    assert "form.txt" in names
    original = alice.get(f"/documents/{names['form.txt']}/original")
    assert original.content == b"A file of a form about quolls."
    assert original.headers["content-disposition"].startswith("attachment")
    assert alice.delete(f"/documents/{names['form.txt']}").status_code in (200, 204)
    assert alice.get(f"/documents/{names['form.txt']}").status_code == 404


def test_a_token_is_short_and_dies_when_it_is_taken_back(alice, url):
    token = alice.post("/token").json()["token"]
    with client(url, token) as short:
        assert short.get("/me").json()["name"] == "alice"
        assert short.post("/token").status_code == 403
        assert short.delete("/token").status_code in (200, 204)
        assert short.get("/me").status_code == 401


def test_errors_have_one_form_and_no_traceback(alice):
    for answer in (
        alice.get("/documents/none"),
        alice.get("/users"),
        alice.post("/ask", json={"question": "", "collections": []}),
        alice.post("/ask", content=b"{"),
        alice.get("/nowhere"),
    ):
        assert 400 <= answer.status_code < 500
        assert set(answer.json()) == {"error", "hint", "request_id"}
        assert "Traceback" not in answer.text


def test_what_keys_did_is_in_the_audit_with_address_and_request(alice, root, seed):
    refused = alice.get("/users")
    assert refused.status_code == 403
    rows = root.get("/audit").json()
    assert {row["action"] for row in rows} >= {"api_key.first_use", "permission.denied", "document.upload"}
    denied = next(row for row in rows if row["action"] == "permission.denied")
    assert (denied["actor"], denied["ip"]) == ("alice", "127.0.0.1")
    for key in seed["keys"].values():
        assert key not in str(rows)


def test_a_collection_leaves_as_one_whole_file_for_its_owner(alice, url, seed, tmp_path):
    answer = alice.get(f"/collections/{seed['collection_id']}/export")
    assert answer.status_code == 200, answer.text
    (tmp_path / "x.tar").write_bytes(answer.content)
    with ArchiveReader(tmp_path / "x.tar") as archive:
        assert "originals/000001" in {entry.path for entry in archive}
    assert archive.problems == []
    with client(url, seed["keys"]["bob"]) as bob:
        assert bob.get(f"/collections/{seed['collection_id']}/export").status_code == 404
