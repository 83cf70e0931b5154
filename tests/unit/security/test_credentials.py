"""What was verified once is asked again while a websocket is open; rows of keys that are not right open nothing."""

from datetime import UTC, datetime

import pytest

from engine.security.api_key import new_api_key
from engine.security.asgi import settle
from engine.security.credentials import Credentials
from engine.security.jwt import Tokens
from engine.security.options import options_from
from engine.security.refusals import Refused
from engine.security.request import Request
from engine.security.revocation import Revocations

SECRET = "a-secret-of-tests-0123456789-abcdefghij"
NOW = 1_700_000_000.0
IDENTIFIER, KEY, DIGEST = new_api_key()


class Clock:
    now = NOW

    def __call__(self):
        return self.now


class Setup:
    def __init__(self, row=None):
        self.clock, self.keys = Clock(), {IDENTIFIER: row or {"sha256": DIGEST, "user": "robot"}}
        self.revoked = Revocations(clock=self.clock)
        self.tokens = Tokens(SECRET, issuer="a", audience="a", clock=self.clock)
        options = options_from({"auth_method": "jwt_or_api_key", "api_keys": self.keys})
        self.credentials = Credentials(options, self.tokens, self.revoked, clock=self.clock)

    async def identify(self, **headers):
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        request = Request(kind="http", method="GET", path="/", target=b"/", query=b"", headers=pairs, peer="", secure=False)
        return await self.credentials.identify(request, settle)


async def test_a_token_stays_valid_until_it_expires_or_is_revoked():
    setup = Setup()
    anna = await setup.identify(
        authorization=f"bearer {setup.tokens.issue('anna', sid='s', seconds=60, scopes=['read'], team='blue')}"
    )
    assert (anna.subject, anna.method, anna.scopes, anna.claims["team"]) == ("anna", "jwt", {"read"}, "blue")
    assert await setup.credentials.still_valid(anna, settle)
    setup.clock.now += 65
    assert not await setup.credentials.still_valid(anna, settle)
    setup.clock.now = NOW
    setup.revoked.add(anna.claims["jti"])
    assert not await setup.credentials.still_valid(anna, settle)


async def test_a_key_stays_valid_until_its_row_is_gone():
    setup = Setup()
    robot = await setup.identify(x_api_key=KEY)
    assert (robot.subject, robot.method, robot.claims) == ("robot", "api_key", {"key_id": IDENTIFIER})
    assert await setup.credentials.still_valid(robot, settle)
    setup.keys.clear()
    assert not await setup.credentials.still_valid(robot, settle)


@pytest.mark.parametrize(
    "expires_at", [NOW, NOW - 1, datetime.fromtimestamp(NOW, UTC), "2999-01-01", True, datetime(2999, 1, 1)]
)
async def test_a_key_whose_end_has_come_or_cannot_be_read_is_refused(expires_at):
    with pytest.raises(Refused):
        await Setup({"sha256": DIGEST, "user": "robot", "expires_at": expires_at}).identify(x_api_key=KEY)


@pytest.mark.parametrize(
    "row", [{"sha256": DIGEST}, {"user": "robot"}, {"sha256": "", "user": "robot"}, {"sha256": DIGEST, "user": None}, "row"]
)
async def test_a_row_that_lacks_something_opens_nothing(row):
    with pytest.raises(Refused) as caught:
        await Setup(row).identify(x_api_key=KEY)
    assert caught.value.status == 401


async def test_scopes_may_be_a_list_or_one_text():
    for scopes in (["read", "write"], "read write"):
        robot = await Setup({"sha256": DIGEST, "user": "robot", "scopes": scopes, "expires_at": NOW + 1}).identify(
            x_api_key=KEY
        )
        assert robot.scopes == {"read", "write"}


def test_revocations_are_bounded_but_never_forget_what_could_still_be_used():
    clock = Clock()
    revoked = Revocations(clock=clock, max_kept=3)
    for name in "abcde":
        revoked.add(name)
    assert all(name in revoked for name in "abcde")
    clock.now += 906
    revoked.add("f")
    assert [name for name in "abcdef" if name in revoked] == ["d", "e", "f"]
