"""Open websockets: the pace of frames, the number of sockets, and what passes one whose session ends."""

import asyncio

import pytest

from engine.errors import StoreError
from engine.security.gate_socket import (
    FRAME_BURST,
    LATER,
    MAX_FRAME_BYTES,
    MAX_SOCKETS,
    POLICY,
    REVOKED,
    TOO_BIG,
    FramePace,
    GuardedSocket,
    OpenSockets,
)
from tests.unit.security.gate_calls import Clock, Sessions, connect, gate


@pytest.fixture
def clock():
    return Clock()


async def test_a_burst_of_120_frames_waits_for_nothing(clock):
    pace = FramePace(clock=clock, sleep=clock.sleep)
    assert all([await pace.admit("s") for _ in range(FRAME_BURST)])
    assert FRAME_BURST == 120
    assert clock.slept == []


async def test_after_a_burst_30_frames_pass_in_a_second_by_waiting(clock):
    pace = FramePace(clock=clock, sleep=clock.sleep)
    for _ in range(120):
        await pace.admit("s")
    started = clock.now
    assert all([await pace.admit("s") for _ in range(90)])
    assert clock.now - started == pytest.approx(3.0)
    assert clock.slept == pytest.approx([1 / 30] * 90)


async def test_a_pause_gives_the_burst_back(clock):
    pace = FramePace(clock=clock, sleep=clock.sleep)
    for _ in range(200):
        await pace.admit("s")
    clock.now += 4
    before = len(clock.slept)
    assert all([await pace.admit("s") for _ in range(120)])
    assert len(clock.slept) == before


async def test_ten_seconds_of_waiting_without_a_pause_are_the_end(clock):
    pace = FramePace(clock=clock, sleep=clock.sleep)
    for _ in range(120):
        await pace.admit("s")
    started, waited = clock.now, 0
    while await pace.admit("s"):
        waited += 1
        assert waited < 1000
    assert clock.now - started == pytest.approx(10, abs=0.1)
    assert waited == pytest.approx(300, abs=2)


async def test_waiting_with_a_pause_in_between_goes_on(clock):
    pace = FramePace(clock=clock, sleep=clock.sleep)
    for _ in range(5):
        assert all([await pace.admit("s") for _ in range(120 + 200)])  # 6.7 s of waiting
        clock.now += 4


async def test_a_backlog_of_ten_seconds_over_many_sockets_is_the_end(clock):
    asked = []

    async def never_over(seconds):
        asked.append(seconds)  # no time passes: all frames come at once

    pace = FramePace(clock=clock, sleep=never_over)
    admitted = 0
    while await pace.admit("s"):
        admitted += 1
        assert admitted < 1000
    assert admitted == pytest.approx(120 + 300, abs=1)
    assert max(asked) <= 10


async def test_other_sessions_do_not_wait_for_one_that_floods(clock):
    pace = FramePace(clock=clock, sleep=clock.sleep)
    while await pace.admit("flood"):
        pass
    before = len(clock.slept)
    assert await pace.admit("calm")
    assert len(clock.slept) == before


async def test_the_pace_remembers_a_bounded_number_of_sessions_and_drops_the_one_quiet_longest(clock):
    pace = FramePace(clock=clock, sleep=clock.sleep, max_sessions=3)
    for _ in range(120):
        await pace.admit("busy")
    for number in range(50):
        await pace.admit(f"s-{number}")
        await pace.admit("busy")
    assert len(pace._due) == 3
    assert len(clock.slept) == 50  # the busy one was never forgotten: each forgetting would have been a new burst


def test_a_user_has_forty_sockets_and_leaving_makes_room():
    sockets = OpenSockets()
    assert all([sockets.enter("anna") for _ in range(MAX_SOCKETS)])
    assert MAX_SOCKETS == 40
    assert not sockets.enter("anna")
    assert sockets.enter("bob")
    sockets.leave("anna")
    assert sockets.enter("anna")
    assert not sockets.enter("anna")


def test_nothing_is_kept_of_a_user_without_sockets():
    sockets = OpenSockets(2)
    for number in range(100):
        assert sockets.enter(f"u-{number}")
        sockets.leave(f"u-{number}")
    assert not sockets._open


class Open:
    """An application that accepts and keeps the socket open until told to end, or raises."""

    def __init__(self):
        self.end = asyncio.Event()
        self.error = None

    async def __call__(self, scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await self.end.wait()
        if self.error:
            raise self.error


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_41st_handshake_of_a_user_is_refused_before_it_is_accepted(clock):
    app = Open()
    door = gate(app, Sessions(), clock)
    tabs = [asyncio.create_task(connect(door, "anna")) for _ in range(MAX_SOCKETS)]
    await settled()
    assert await connect(door, "anna") == [{"type": "websocket.close", "code": POLICY}]
    other = asyncio.create_task(connect(door, "bob"))
    await settled()
    app.end.set()
    assert await other == [{"type": "websocket.accept"}]
    assert all(sent == [{"type": "websocket.accept"}] for sent in await asyncio.gather(*tabs))
    assert await connect(door, "anna") == [{"type": "websocket.accept"}]


async def test_the_count_of_sockets_is_given_back_when_the_application_raises_or_is_cancelled(clock):
    app = Open()
    door = gate(app, Sessions(), clock)
    tabs = [asyncio.create_task(connect(door, "anna")) for _ in range(MAX_SOCKETS)]
    await settled()
    tabs.pop().cancel()
    app.error = RuntimeError("a bug")
    app.end.set()
    assert {type(error) for error in await asyncio.gather(*tabs, return_exceptions=True)} == {RuntimeError}
    assert not door._sockets._open
    app.error = None
    assert await connect(door, "anna") == [{"type": "websocket.accept"}]


async def test_handshakes_count_as_requests(clock):
    app = Open()
    app.end.set()
    door = gate(app, Sessions(), clock)
    answers = [await connect(door, "anna") for _ in range(601)]
    assert answers[599] == [{"type": "websocket.accept"}]
    assert answers[600] == [{"type": "websocket.close", "code": POLICY}]
    assert await connect(door, "bob") == [{"type": "websocket.accept"}]
    assert not door._sockets._open


class Socket:
    """A guarded socket whose client, session and pace are in the test's hands."""

    def __init__(self, farewell=b"bye"):
        self.events = []
        self.sent = []
        self.noted = []
        self.alive = True
        self.in_time = True
        self.error = None
        self.guarded = GuardedSocket(
            self.receive, self.send, alive=self.is_alive, admit=self.admit, sent=self.noted.append, farewell=farewell
        )

    async def receive(self):
        return self.events.pop(0)

    async def send(self, message):
        assert "websocket.close" not in [gone["type"] for gone in self.sent], f"{message} after the close"
        self.sent.append(message)

    async def is_alive(self):
        if self.error:
            raise self.error
        return self.alive

    async def admit(self):
        return self.in_time

    async def hear(self, **frame):
        self.events.append({"type": "websocket.receive", **frame})
        return await self.guarded.receive()

    async def say(self, text):
        await self.guarded.send({"type": "websocket.send", "bytes": text})


def closed(code, *before):
    return [*({"type": "websocket.send", "bytes": frame} for frame in before), {"type": "websocket.close", "code": code}]


def gone(code):
    return {"type": "websocket.disconnect", "code": code}


async def test_while_the_session_lives_frames_pass_both_ways():
    socket = Socket()
    assert (await socket.hear(bytes=b"hello"))["bytes"] == b"hello"
    assert (await socket.hear(text="hello", bytes=None))["text"] == "hello"
    await socket.say(b"answer")
    assert socket.sent == [{"type": "websocket.send", "bytes": b"answer"}]
    assert socket.noted == [b"answer"]


@pytest.mark.parametrize(
    "frame",
    [
        {"bytes": b"x" * (MAX_FRAME_BYTES + 1)},
        {"text": "x" * (MAX_FRAME_BYTES + 1)},
        {"text": "€" * (MAX_FRAME_BYTES // 3 + 1)},
    ],
    ids=["bytes", "text", "text that is short in characters"],
)
async def test_a_frame_over_16_mib_closes_the_socket_with_1009(frame):
    socket = Socket()
    assert await socket.hear(**frame) == gone(TOO_BIG)
    assert socket.sent == closed(1009)


async def test_a_frame_of_exactly_16_mib_passes():
    socket = Socket()
    assert (await socket.hear(bytes=b"x" * MAX_FRAME_BYTES))["type"] == "websocket.receive"
    assert MAX_FRAME_BYTES == 16 * 1024 * 1024


async def test_a_client_that_is_far_behind_the_pace_is_closed_with_1008():
    socket = Socket()
    socket.in_time = False
    assert await socket.hear(bytes=b"x") == gone(POLICY)
    assert socket.sent == closed(1008)


async def test_a_revoked_session_is_bidden_farewell_when_its_client_sends():
    socket = Socket()
    await socket.hear(bytes=b"x")
    socket.alive = False
    assert await socket.hear(bytes=b"secret?") == gone(REVOKED)
    assert socket.sent == closed(4401, b"bye")


async def test_a_revoked_session_is_bidden_farewell_when_the_application_sends():
    socket = Socket()
    socket.alive = False
    await socket.say(b"secret: /media/a.png")
    assert socket.sent == closed(4401, b"bye")
    assert socket.noted == []


async def test_without_a_farewell_the_socket_just_closes():
    socket = Socket(farewell=b"")
    socket.alive = False
    await socket.say(b"secret")
    assert socket.sent == closed(4401)


async def test_nothing_passes_after_the_end_in_either_direction():
    socket = Socket()
    socket.alive = False
    await socket.say(b"one")
    socket.alive = True  # nothing brings it back
    await socket.say(b"two")
    await socket.guarded.send({"type": "websocket.close", "code": 1000})
    assert await socket.hear(bytes=b"delete everything") == gone(REVOKED)
    socket.events.append(gone(1006))
    assert await socket.guarded.receive() == gone(1006)
    assert socket.sent == closed(4401, b"bye")
    assert socket.noted == []


async def test_what_the_application_sends_while_the_client_ends_the_socket_does_not_follow_the_close():
    socket = Socket()
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow():
        asked.set()
        await answer.wait()
        return True

    socket.guarded._alive = slow
    saying = asyncio.create_task(socket.say(b"late"))
    await asked.wait()
    assert await socket.hear(bytes=b"x" * (MAX_FRAME_BYTES + 1)) == gone(TOO_BIG)
    answer.set()
    await saying
    assert socket.sent == closed(TOO_BIG)


async def test_both_directions_that_find_the_session_ended_close_it_once():
    socket = Socket()
    socket.alive = False
    socket.events.append({"type": "websocket.receive", "bytes": b"x"})
    event, _ = await asyncio.gather(socket.guarded.receive(), socket.say(b"y"))
    assert event == gone(REVOKED)
    assert socket.sent == closed(4401, b"bye")


async def test_a_socket_that_the_application_closed_gets_no_second_close():
    socket = Socket()
    await socket.guarded.send({"type": "websocket.close", "code": 1001})
    socket.alive = False
    assert await socket.hear(bytes=b"x") == gone(1001)
    assert socket.sent == closed(1001)


@pytest.mark.parametrize("direction", ["client", "application"])
async def test_a_database_that_is_away_closes_the_socket_to_try_later_and_signs_nobody_out(direction):
    socket = Socket()
    socket.error = StoreError("the database failed")
    if direction == "client":
        assert await socket.hear(bytes=b"x") == gone(LATER)
    else:
        await socket.say(b"x")
    assert socket.sent == closed(1013)
    assert socket.noted == []


class Echo:
    """Sends each frame back, and keeps what it heard."""

    def __init__(self):
        self.heard = []
        self.after_frame = lambda: None

    async def __call__(self, scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            self.heard.append(message["bytes"])
            self.after_frame()
            await send({"type": "websocket.send", "bytes": message["bytes"]})


async def test_behind_the_gate_a_session_that_ends_in_the_middle_hears_nothing_more(clock):
    app, sessions = Echo(), Sessions()
    door = gate(app, sessions, clock, farewell=b"bye", cache_seconds=0)
    app.after_frame = lambda: len(app.heard) == 2 and sessions.rows.clear()
    sent = await connect(door, "anna", frames=[b"1", b"2", b"3"])
    assert app.heard == [b"1", b"2"]
    assert sent == [{"type": "websocket.accept"}, {"type": "websocket.send", "bytes": b"1"}, *closed(4401, b"bye")]


async def test_behind_the_gate_a_flood_is_slowed_and_then_sent_away(clock):
    app = Echo()
    sent = await connect(gate(app, Sessions(), clock), "anna", frames=[b"x"] * 1000)
    assert sent[-1] == {"type": "websocket.close", "code": POLICY}
    assert len(app.heard) == pytest.approx(420, abs=2)


async def test_two_sockets_of_one_session_share_its_pace_and_two_sessions_do_not(clock):
    app, sessions = Echo(), Sessions()
    door = gate(app, sessions, clock)
    await connect(door, "anna", frames=[b"x"] * 100)
    await connect(door, "bob", frames=[b"x"] * 100)
    assert clock.slept == []
    await connect(door, "anna", frames=[b"x"] * 100)
    assert len(clock.slept) == pytest.approx(80, abs=1)
