"""Signing in and out over plain HTTP: only a response can set a cookie that scripts cannot read."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from engine.errors import AccessDenied, EngineError, InputError
from engine.security.gate import COOKIE, cookie_name, cookie_values, same_origin
from engine.settings import Settings
from ui import login_pages, server

if TYPE_CHECKING:
    from engine.workbench import Workbench

PageMaker: TypeAlias = Callable[[str], str]

CSRF_COOKIE = "wb_csrf"
MAX_FORM_BYTES = 16_384
_NO_STORE = {"cache-control": "no-store"}
EXPIRED_FORM = "This form was open for too long, or cookies are switched off. Please try again."


class LoginRoutes:
    """The handlers; each knows the workbench only while the server runs."""

    def __init__(self, settings: Settings) -> None:
        self._secure = settings.secure_cookies
        self._max_age = settings.sessions.absolute_hours * 3600
        self._session_cookie = cookie_name(COOKIE, secure=self._secure)
        self._csrf_cookie = cookie_name(CSRF_COOKIE, secure=self._secure)

    async def login_form(self, request: Request) -> Response:
        """GET /login."""
        if await _workbench().setup_needed():
            return RedirectResponse("/setup", 303, _NO_STORE)
        target = local_path(request.query_params.get("next", "/"))
        if await server.authenticate(self._token(request)):
            return RedirectResponse(target, 303, _NO_STORE)
        notice = "You are signed out." if "out" in request.query_params else ""
        notice = notice or ("Your session has ended. Sign in to go on." if "ended" in request.query_params else "")
        return self._page(request, lambda csrf: login_pages.login_page(csrf=csrf, target=target, notice=notice))

    async def login(self, request: Request) -> Response:
        """POST /login: a new token at every sign-in, so that none can be planted."""
        form = await read_form(request)
        name, target = form.get("name", ""), local_path(form.get("next", "/"))

        def again(error: str, status: int) -> Response:
            return self._page(
                request, lambda csrf: login_pages.login_page(csrf=csrf, name=name, target=target, error=error), status=status
            )

        if not self._trusted(request, form):
            return again(EXPIRED_FORM, 403)
        try:
            token = (await _workbench().sign_in(name, form.get("password", ""), **_origin(request))).token
        except (AccessDenied, InputError) as error:
            return again(_sentence(error), 401)
        except EngineError as error:
            return again(_sentence(error), 503)
        return self._signed_in(token, target)

    async def setup_form(self, request: Request) -> Response:
        """GET /setup."""
        if not await _workbench().setup_needed():
            return RedirectResponse("/login", 303, _NO_STORE)
        token = request.query_params.get("token", "")
        return self._page(request, lambda csrf: login_pages.setup_page(csrf=csrf, token=token))

    async def setup(self, request: Request) -> Response:
        """POST /setup: the first admin."""
        form = await read_form(request)
        given, name = form.get("token", "").strip(), form.get("name", "")

        def again(error: str, status: int) -> Response:
            return self._page(
                request, lambda csrf: login_pages.setup_page(csrf=csrf, token=given, name=name, error=error), status=status
            )

        if not self._trusted(request, form):
            return again(EXPIRED_FORM, 403)
        try:
            token = await _workbench().set_up(given, name, form.get("password", ""), **_origin(request))
        except AccessDenied as error:
            return again(_sentence(error), 403)
        except EngineError as error:
            return again(_sentence(error), 400)
        return self._signed_in(token, "/")

    async def logout(self, request: Request) -> Response:
        """GET from our own page (st.logout) or POST with our form: end the session. A foreign link gets a question."""
        ours = same_origin(request.scope["headers"]) and request.headers.get("sec-fetch-site") == "same-origin"
        if request.method == "POST":
            ours = self._trusted(request, await read_form(request))
        if not ours:
            return self._page(request, lambda csrf: login_pages.logout_page(csrf=csrf))
        await _workbench().sign_out(self._token(request))
        response = RedirectResponse("/login?out=1", 303, _NO_STORE)
        response.delete_cookie(self._session_cookie, path="/", secure=self._secure, httponly=True, samesite="lax")
        return response

    def _token(self, request: Request) -> str:
        values = cookie_values(request.scope["headers"], self._session_cookie)
        return values.pop() if len(values) == 1 else ""

    def _trusted(self, request: Request, form: dict[str, str]) -> bool:
        """Tell whether a POST comes from our own form: same origin, and the token of the cookie repeated in the form."""
        cookie = request.cookies.get(self._csrf_cookie, "")
        return (
            same_origin(request.scope["headers"])
            and request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
            and bool(cookie)
            and secrets.compare_digest(cookie.encode(), form.get("csrf", "").encode())
        )

    def _page(self, request: Request, make: PageMaker, *, status: int = 200) -> Response:
        # The token is kept while it is valid, so that two open tabs both work.
        csrf = request.cookies.get(self._csrf_cookie) or secrets.token_urlsafe(32)
        response = HTMLResponse(make(csrf), status, _NO_STORE)
        response.set_cookie(self._csrf_cookie, csrf, path="/", secure=self._secure, httponly=True, samesite="lax")
        return response

    def _signed_in(self, token: str, target: str) -> Response:
        response = RedirectResponse(target, 303, _NO_STORE)
        response.set_cookie(
            self._session_cookie, token, max_age=self._max_age, path="/", secure=self._secure, httponly=True, samesite="lax"
        )
        return response


def routes(settings: Settings) -> list[Route]:
    """Return the routes that stand beside Streamlit's. /auth/logout is where st.logout() sends the browser."""
    handlers = LoginRoutes(settings)
    return [
        Route("/login", handlers.login_form, methods=["GET"]),
        Route("/login", handlers.login, methods=["POST"]),
        Route("/login/style.css", style, methods=["GET"]),
        Route("/setup", handlers.setup_form, methods=["GET"]),
        Route("/setup", handlers.setup, methods=["POST"]),
        Route("/logout", handlers.logout, methods=["GET", "POST"]),
        Route("/auth/logout", handlers.logout, methods=["GET"]),
        Route("/healthz/live", live, methods=["GET"]),
    ]


async def style(_request: Request) -> Response:
    """GET /login/style.css."""
    return Response(login_pages.STYLE, media_type="text/css", headers={"cache-control": "max-age=3600"})


async def live(_request: Request) -> Response:
    """GET /healthz/live: the process answers; nothing else is touched."""
    return PlainTextResponse("ok\n", headers=_NO_STORE)


def local_path(target: str) -> str:
    r"""Return `target` when it is a path of this site, else "/". Browsers read "\" as "/" and drop tabs and line breaks."""
    if not target.startswith("/") or target.startswith("//") or "\\" in target or any(ord(char) < 33 for char in target):
        return "/"
    parts = urlsplit(target)
    return "/" if parts.scheme or parts.netloc or parts.path in {"/login", "/logout", "/setup"} else target


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a small URL-encoded form; a larger body is not read to its end and gives no fields."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _workbench() -> Workbench:
    return server.connection().workbench


def _origin(request: Request) -> dict[str, str]:
    return {"ip": request.client.host if request.client else "", "user_agent": request.headers.get("user-agent", "")[:300]}


def _sentence(error: EngineError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." + (
        f" {error.hint[:1].upper()}{error.hint[1:].rstrip('.')}." if error.hint else ""
    )
