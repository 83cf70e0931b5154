"""The three cookies of the sign-in pages, and whether a form that comes back is our own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from posixpath import normpath
from typing import Literal, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from engine.security.wire import COOKIE, cookie_name, cookie_values, same_origin
from engine.settings import Settings

PageMaker: TypeAlias = Callable[[str], str]

CSRF_COOKIE = "wb_csrf"
TICKET_COOKIE = "wb_ticket"
TICKET_SECONDS = 600
MAX_FORM_BYTES = 16_384
NO_STORE = {"cache-control": "no-store"}
_SIGN_IN_PATHS = frozenset({"/login", "/login/code", "/login/password", "/logout", "/auth/logout", "/setup", "/invite"})


class LoginCookies:
    """Sets and reads them. The session token and the ticket of a half-finished sign-in are HttpOnly and never in an address."""

    def __init__(self, settings: Settings) -> None:
        self._secure = settings.secure_cookies
        self._max_age = settings.sessions.absolute_hours * 3600
        self._session = cookie_name(COOKIE, secure=self._secure)
        self._csrf = cookie_name(CSRF_COOKIE, secure=self._secure)
        self._ticket = cookie_name(TICKET_COOKIE, secure=self._secure)

    def token(self, request: Request) -> str:
        """Return the session token of a request, or ""."""
        return _only(cookie_values(request.scope["headers"], self._session))

    def ticket(self, request: Request) -> str:
        """Return the ticket of a half-finished sign-in, or ""."""
        return _only(cookie_values(request.scope["headers"], self._ticket))

    def trusted(self, request: Request, form: dict[str, str]) -> bool:
        """Tell whether a POST comes from our own form: same origin, and the token of the cookie repeated in the form."""
        cookie = request.cookies.get(self._csrf, "")
        return (
            same_origin(request.scope["headers"])
            and request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
            and bool(cookie)
            and secrets.compare_digest(cookie.encode(), form.get("csrf", "").encode())
        )

    def page(self, request: Request, make: PageMaker, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """Answer with a page whose form carries the token of its cookie."""
        # The token is kept while it is valid, so that two open tabs both work.
        csrf = request.cookies.get(self._csrf) or secrets.token_urlsafe(32)
        response = HTMLResponse(make(csrf), status, NO_STORE | (headers or {}))
        self._set(response, self._csrf, csrf, "lax")
        return response

    def signed_in(self, token: str, target: str) -> Response:
        """Answer with the session cookie: the response to the form sets it, so that no address ever holds a code for it."""
        response = RedirectResponse(target, 303, NO_STORE)
        self._set(response, self._session, token, "lax", self._max_age)
        self.drop_ticket(response)
        return response

    def next_step(self, ticket: str, path: str) -> Response:
        """Answer with the ticket for the next step of a sign-in, which other sites' requests never carry."""
        response = RedirectResponse(path, 303, NO_STORE)
        self._set(response, self._ticket, ticket, "strict", TICKET_SECONDS)
        return response

    def drop_ticket(self, response: Response) -> None:
        """Forget the ticket."""
        response.delete_cookie(self._ticket, path="/", secure=self._secure, httponly=True, samesite="strict")

    def signed_out(self) -> Response:
        """Answer with the login page and without the session cookie."""
        response = RedirectResponse("/login?out=1", 303, NO_STORE)
        response.delete_cookie(self._session, path="/", secure=self._secure, httponly=True, samesite="lax")
        return response

    def _set(
        self, response: Response, name: str, value: str, site: Literal["lax", "strict"], seconds: int | None = None
    ) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite=site)


def _only(values: set[str]) -> str:
    return values.pop() if len(values) == 1 else ""


def local_path(target: str) -> str:
    r"""Return `target` when it is a path of this site, else "/". Browsers read "\" as "/" and drop tabs and line breaks."""
    if not target.startswith("/") or target.startswith("//") or "\\" in target or any(ord(char) < 33 for char in target):
        return "/"
    parts = urlsplit(target)
    # As browsers and routes will understand it: `/x/../logout` after a sign-in would end it at once.
    plain = normpath(unquote(parts.path))
    return "/" if parts.scheme or parts.netloc or plain in _SIGN_IN_PATHS else target


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a small URL-encoded form; a larger body is not read to its end and gives no fields."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}
