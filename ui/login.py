"""Signing in and out over plain HTTP: only a response can set a cookie that scripts cannot read."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from engine.access_views import SignIn, Step
from engine.errors import AccessDenied, EngineError
from engine.security.wire import same_origin
from engine.settings import Settings
from ui import login_pages, server
from ui.login_cookies import NO_STORE, LoginCookies, local_path, read_form
from ui.login_steps import EXPIRED_FORM, Invitations, Steps, go_on, origin, outcome, sentence

__all__ = ["local_path", "routes"]


class LoginRoutes:
    """The handlers; each knows the workbench only while the server runs."""

    def __init__(self, cookies: LoginCookies) -> None:
        self._cookies = cookies

    async def login_form(self, request: Request) -> Response:
        """GET /login."""
        if await server.workbench().setup_needed():
            return RedirectResponse("/setup", 303, NO_STORE)
        target = local_path(request.query_params.get("next", "/"))
        if await server.authenticate(self._cookies.token(request)):
            return RedirectResponse(target, 303, NO_STORE)
        notice = "You are signed out." if "out" in request.query_params else ""
        notice = notice or ("Your session has ended. Sign in to go on." if "ended" in request.query_params else "")
        return self._cookies.page(request, lambda csrf: login_pages.login_page(csrf=csrf, target=target, notice=notice))

    async def login(self, request: Request) -> Response:
        """POST /login: a new token at every sign-in, so that none can be planted."""
        form = await read_form(request)
        name, target = form.get("name", ""), local_path(form.get("next", "/"))

        def again(error: str, status: int, headers: dict[str, str] | None = None) -> Response:
            def form(csrf: str) -> str:
                return login_pages.login_page(csrf=csrf, name=name, target=target, error=error)

            return self._cookies.page(request, form, status=status, headers=headers)

        if not self._cookies.trusted(request, form):
            return again(EXPIRED_FORM, 403)
        try:
            came = await server.workbench().sign_in(name, form.get("password", ""), **origin(request))
        except EngineError as error:
            return again(sentence(error), *outcome(error))
        return await go_on(self._cookies, request, came, target)

    async def setup_form(self, request: Request) -> Response:
        """GET /setup."""
        if not await server.workbench().setup_needed():
            return RedirectResponse("/login", 303, NO_STORE)
        token = request.query_params.get("token", "")
        return self._cookies.page(
            request, lambda csrf: login_pages.setup_page(csrf=csrf, token=token), headers={"referrer-policy": "strict-origin"}
        )

    async def setup(self, request: Request) -> Response:
        """POST /setup: the first admin."""
        form = await read_form(request)
        given, name = form.get("token", "").strip(), form.get("name", "")

        def again(error: str, status: int) -> Response:
            return self._cookies.page(
                request, lambda csrf: login_pages.setup_page(csrf=csrf, token=given, name=name, error=error), status=status
            )

        if not self._cookies.trusted(request, form):
            return again(EXPIRED_FORM, 403)
        if not await server.workbench().setup_needed():
            return RedirectResponse("/login", 303, NO_STORE)
        try:
            token = await server.workbench().set_up(given, name, form.get("password", ""), **origin(request))
        except AccessDenied as error:
            return again(sentence(error), 403)
        except EngineError as error:
            return again(sentence(error), 400)
        return await go_on(self._cookies, request, SignIn(step=Step.DONE, token=token), "/")

    async def logout(self, request: Request) -> Response:
        """GET from our own page (st.logout) or POST with our form: end the session. A foreign link gets a question."""
        ours = same_origin(request.scope["headers"]) and request.headers.get("sec-fetch-site") == "same-origin"
        if request.method == "POST":
            ours = self._cookies.trusted(request, await read_form(request))
        if not ours:
            return self._cookies.page(request, lambda csrf: login_pages.logout_page(csrf=csrf))
        await server.workbench().sign_out(self._cookies.token(request))
        return self._cookies.signed_out()


def routes(settings: Settings) -> list[Route]:
    """Return the routes that stand beside Streamlit's. /auth/logout is where st.logout() sends the browser."""
    cookies = LoginCookies(settings)
    handlers, steps, invitations = LoginRoutes(cookies), Steps(cookies), Invitations(cookies)
    return [
        Route("/login", handlers.login_form, methods=["GET"]),
        Route("/login", handlers.login, methods=["POST"]),
        Route("/login/code", steps.code_form, methods=["GET"]),
        Route("/login/code", steps.code, methods=["POST"]),
        Route("/login/password", steps.password_form, methods=["GET"]),
        Route("/login/password", steps.password, methods=["POST"]),
        Route("/invite", invitations.form, methods=["GET"]),
        Route("/invite", invitations.accept, methods=["POST"]),
        Route("/login/style.css", style, methods=["GET"]),
        Route("/setup", handlers.setup_form, methods=["GET"]),
        Route("/setup", handlers.setup, methods=["POST"]),
        Route("/logout", handlers.logout, methods=["GET", "POST"]),
        Route("/auth/logout", handlers.logout, methods=["GET"]),
    ]


async def style(_request: Request) -> Response:
    """GET /login/style.css."""
    return Response(login_pages.STYLE, media_type="text/css", headers={"cache-control": "max-age=3600"})
