"""The hourly share of uploads: refused before anything is read where that can be known, else while it streams."""

import pytest

from engine.security.upload_quota import HOUR, OverQuota, UploadQuota
from tests.unit.security.gate_calls import Answer, Clock, Sessions, ask, chunks, gate, scope_of

UPLOAD = "/api/v1/collections/c/documents"
MB = 1_000_000


class Reader:
    """Reads a whole body and then answers 201; what it read is kept."""

    def __init__(self):
        self.read = []

    async def __call__(self, scope, receive, send):
        message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            self.read.append(message["body"])
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"stored"})


class Told(Reader):
    """A reader that answers 400 when its body breaks off, as frameworks do that read forms."""

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        except OverQuota:
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": b"error parsing the body"})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def quota(clock):
    return UploadQuota(files=3, megabytes=2, clock=clock)


async def put(quota, *parts, announced=None, user="u-anna", app=None):
    """Upload `parts`; return the answer, what the application read and what was taken off the wire."""
    app = app or Reader()
    sent = []

    async def send(message):
        sent.append(message)

    receive, taken = chunks(*parts)
    headers = [("content-length", str(announced))] if announced is not None else [("transfer-encoding", "chunked")]
    await quota.serve(app, user, scope_of(UPLOAD, method="POST", headers=headers), receive, send)
    return Answer(sent), app, taken


async def test_an_upload_within_the_share_is_served_untouched(quota):
    answer, app, _ = await put(quota, b"one", b"two", announced=6)
    assert (answer.status, answer.body) == (201, b"stored")
    assert app.read == [b"one", b"two"]


async def test_an_announced_length_over_the_whole_hour_is_413_and_nothing_is_read(quota):
    answer, app, taken = await put(quota, b"x" * 10, announced=2 * MB + 1)
    assert answer.status == 413
    assert b"2 MB" in answer.body
    assert answer.headers[b"connection"] == b"close"
    assert b"retry-after" not in answer.headers  # waiting does not help
    assert (app.read, taken) == ([], [])
    assert (await put(quota, announced=2 * MB))[0].status == 201


async def test_a_length_of_thousands_of_digits_is_over_the_hour_too(quota):
    assert (await put(quota, announced="9" * 5000))[0].status == 413


async def test_more_files_than_the_hour_allows_are_429_with_the_time_to_wait(quota, clock):
    for _ in range(3):
        assert (await put(quota, b"x", announced=1))[0].status == 201
    clock.now += 600
    answer, app, taken = await put(quota, b"x", announced=1)
    assert (answer.status, answer.headers[b"retry-after"]) == (429, b"3000")
    assert b"50 minutes" in answer.body
    assert answer.headers[b"connection"] == b"close"
    assert (app.read, taken) == ([], [])
    assert (await put(quota, b"x", announced=1, user="u-bob"))[0].status == 201


async def test_more_bytes_than_are_left_are_429_before_anything_is_read(quota, clock):
    await put(quota, announced=MB)
    clock.now += 1
    answer, app, taken = await put(quota, b"x", announced=MB + 1)
    assert (answer.status, answer.headers[b"retry-after"]) == (429, b"3599")
    assert (app.read, taken) == ([], [])


async def test_an_upload_refused_for_its_bytes_takes_none_of_the_files(quota):
    await put(quota, announced=MB)
    for _ in range(10):
        assert (await put(quota, announced=MB + 1))[0].status == 429
    assert (await put(quota, announced=MB))[0].status == 201
    assert (await put(quota, announced=0))[0].status == 201


async def test_an_upload_refused_for_its_number_takes_none_of_the_bytes(quota, clock):
    for _ in range(3):
        await put(quota, announced=0)
    for _ in range(10):
        assert (await put(quota, announced=MB))[0].status == 429
    clock.now += HOUR
    assert (await put(quota, announced=2 * MB))[0].status == 201


async def test_the_hour_slides(quota, clock):
    await put(quota, announced=MB)
    clock.now += HOUR / 2
    await put(quota, announced=MB)
    clock.now += HOUR / 2 - 1
    assert (await put(quota, announced=1))[0].status == 429
    clock.now += 1
    assert (await put(quota, announced=MB))[0].status == 201
    assert (await put(quota, announced=1))[0].status == 429


async def test_a_body_without_a_length_is_counted_while_it_streams(quota):
    part = b"x" * (MB // 2)
    answer, app, taken = await put(quota, *[part] * 10)
    assert answer.status == 429
    assert int(answer.headers[b"retry-after"]) == HOUR
    assert len(app.read) == 4  # 2 MB; the fifth part is not handed on
    assert len(taken) == 5  # and the rest not even taken off the wire


@pytest.mark.parametrize("announced", [0, 10, MB // 2])
async def test_a_length_that_lies_low_is_counted_while_it_streams(quota, announced):
    answer, app, _ = await put(quota, *[b"x" * (MB // 2)] * 10, announced=announced)
    assert answer.status == 429
    assert sum(map(len, app.read)) <= 2 * MB


async def test_a_body_as_long_as_announced_is_counted_once(quota):
    assert (await put(quota, *[b"x" * (MB // 2)] * 3, announced=MB * 3 // 2))[0].status == 201
    assert (await put(quota, announced=MB // 2))[0].status == 201
    assert (await put(quota, announced=1))[0].status == 429


@pytest.mark.parametrize("announced", ["-1", "1e9", "²", "", "0x10", "1, 1"])
async def test_a_length_that_is_no_number_counts_as_none_announced(quota, announced):
    answer, _, _ = await put(quota, *[b"x" * MB] * 3, announced=announced)
    assert answer.status == 429


async def test_the_applications_own_answer_to_a_body_that_broke_off_is_held_back(quota):
    answer, _, _ = await put(quota, *[b"x" * MB] * 3, app=Told())
    assert answer.status == 429
    assert b"parsing" not in answer.body


async def test_an_upload_that_broke_off_is_no_file_but_its_bytes_count(quota, clock):
    for _ in range(10):
        assert (await put(quota, *[b"x" * MB] * 3))[0].status == 429
    assert (await put(quota, announced=1))[0].status == 429
    clock.now += HOUR - 1
    assert (await put(quota, announced=0))[0].status == 201
    assert (await put(quota, announced=0))[0].status == 201
    assert (await put(quota, announced=0))[0].status == 201
    assert (await put(quota, announced=0))[0].status == 429


async def test_an_answer_that_had_begun_is_not_followed_by_a_second_one(quota):
    async def early(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await receive()

    answer, _, _ = await put(quota, *[b"x" * MB] * 3, app=early)
    assert answer.status == 200


async def test_over_quota_that_the_application_raises_on_its_own_is_not_swallowed(quota):
    async def raising(scope, receive, send):
        raise OverQuota

    with pytest.raises(OverQuota):
        await put(quota, b"x", announced=1, app=raising)


async def test_other_errors_of_the_application_pass(quota):
    async def raising(scope, receive, send):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await put(quota, b"x", announced=1, app=raising)


@pytest.mark.parametrize(
    ("path", "method"),
    [(UPLOAD, "POST"), ("/_stcore/upload_file/tab/file", "PUT"), ("/_stcore/upload_file/tab/file", "POST")],
)
async def test_the_gate_counts_uploads_of_a_user_over_all_ways(clock, path, method):
    door = gate(Reader(), Sessions(), clock, files_per_hour=1, mb_per_hour=1)
    assert (await ask(door, path, "anna", method=method, body=[b"x"])).status == 201
    refused = await ask(door, UPLOAD, "anna", method="POST", body=[b"x"])
    assert refused.status == 429
    assert refused.headers[b"content-type"] == b"application/json"
    assert (await ask(door, path, "bob", method=method, body=[b"x"])).status == 201
    assert (await ask(door, path, "anna", method="DELETE")).status == 201  # taking a file back is no upload
