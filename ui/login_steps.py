"""What may come between a right password and a session: a second factor, a new password; and the way in by invitation.

The one-time ticket of a step travels in an HttpOnly, SameSite=Strict cookie. An invitation's comes with its link, moves
into the form at once, and is used up when a password is chosen.
"""

from __future__ import annotations

import math
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.access_views import SignIn, Step
from engine.errors import AccessDenied, EngineError, InputError, TooMany
from ui import login_step_pages as pages
from ui import server
from ui.login_cookies import NO_STORE, LoginCookies, local_path, read_form

EXPIRED_FORM = "This form was open for too long, or cookies are switched off. Please try again."
TOO_LATE = "This sign-in took too long, or was finished in another tab. Start again with your password."
UNEQUAL = "The two passwords differ. Type the new one twice."
NO_PATH = {"referrer-policy": "strict-origin"}


def origin(request: Request) -> dict[str, str]:
    """Return where a sign-in comes from, for the lock and the audit."""
    return {"ip": request.client.host if request.client else "", "user_agent": request.headers.get("user-agent", "")[:300]}


def sentence(error: EngineError) -> str:
    """Return what happened and the way out, as sentences."""
    parts = [part for part in (str(error), error.hint) if part]
    return " ".join(f"{part[:1].upper()}{part[1:].rstrip('.')}." for part in parts)


def outcome(error: EngineError) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of a step that was refused, or could not be taken."""
    if isinstance(error, TooMany):
        return 429, {"retry-after": str(math.ceil(error.retry_after_seconds))}
    return 401 if isinstance(error, (AccessDenied, InputError)) else 503, {}


async def go_on(cookies: LoginCookies, request: Request, came: SignIn, target: str) -> Response:
    """Answer a step that succeeded: with a session, or with the ticket for the next step.

    A new session ends the one that the browser had before (OWASP ASVS 5.0, 7.2.4).
    """
    if came.step is Step.DONE:
        await server.workbench().sign_out(cookies.token(request))
        return cookies.signed_in(came.token, target)
    path = "/login/code" if came.step is Step.SECOND_FACTOR else "/login/password"
    return cookies.next_step(came.ticket, path + (f"?next={quote(target, safe='/')}" if target != "/" else ""))


class Steps:
    """The second factor, and a password that must be changed."""

    def __init__(self, cookies: LoginCookies) -> None:
        self._cookies = cookies

    async def code_form(self, request: Request) -> Response:
        """GET /login/code."""
        target = local_path(request.query_params.get("next", "/"))
        if not self._cookies.ticket(request):
            return RedirectResponse("/login", 303, NO_STORE)
        return self._cookies.page(request, lambda csrf: pages.code_page(csrf=csrf, target=target))

    async def code(self, request: Request) -> Response:
        """POST /login/code. How many tries a ticket has is counted by the engine."""
        form = await read_form(request)
        target = local_path(form.get("next", "/"))

        def again(error: str, status: int, headers: dict[str, str] | None = None) -> Response:
            return self._cookies.page(
                request, lambda csrf: pages.code_page(csrf=csrf, target=target, error=error), status=status, headers=headers
            )

        if not self._cookies.trusted(request, form):
            return again(EXPIRED_FORM, 403)
        code = "".join(form.get("code", "").split())
        try:
            came = await server.workbench().second_factor(self._cookies.ticket(request), code, **origin(request))
        except EngineError as error:
            return again(sentence(error), *outcome(error))
        return await go_on(self._cookies, request, came, target)

    async def password_form(self, request: Request) -> Response:
        """GET /login/password."""
        target = local_path(request.query_params.get("next", "/"))
        if not self._cookies.ticket(request):
            return RedirectResponse("/login", 303, NO_STORE)
        return self._cookies.page(request, lambda csrf: pages.new_password_page(csrf=csrf, target=target))

    async def password(self, request: Request) -> Response:
        """POST /login/password. A password that is refused keeps the ticket."""
        form = await read_form(request)
        target = local_path(form.get("next", "/"))

        def again(error: str, status: int) -> Response:
            return self._cookies.page(
                request, lambda csrf: pages.new_password_page(csrf=csrf, target=target, error=error), status=status
            )

        if not self._cookies.trusted(request, form):
            return again(EXPIRED_FORM, 403)
        if form.get("password", "") != form.get("again", ""):
            return again(UNEQUAL, 400)
        try:
            came = await server.workbench().choose_password(
                self._cookies.ticket(request), form.get("password", ""), **origin(request)
            )
        except AccessDenied:
            return again(TOO_LATE, 401)
        except EngineError as error:
            return again(sentence(error), 400 if isinstance(error, InputError) else 503)
        return await go_on(self._cookies, request, came, target)


class Invitations:
    """The page behind the one-time link of an invitation or of a reset password."""

    def __init__(self, cookies: LoginCookies) -> None:
        self._cookies = cookies

    async def form(self, request: Request) -> Response:
        """GET /invite?token=...: whose it is, and the form. The address goes to no other page, for there is no referrer."""
        return await self._shown(request, request.query_params.get("token", ""))

    async def accept(self, request: Request) -> Response:
        """POST /invite: the password is chosen; the person is signed in, or goes on to a step that is left."""
        form = await read_form(request)
        ticket = form.get("token", "")
        if not self._cookies.trusted(request, form):
            return await self._shown(request, ticket, EXPIRED_FORM, 403)
        if form.get("password", "") != form.get("again", ""):
            return await self._shown(request, ticket, UNEQUAL, 400)
        try:
            came = await server.workbench().choose_password(ticket, form.get("password", ""), **origin(request))
        except AccessDenied as error:
            return self._dead(request, error)
        except EngineError as error:
            return await self._shown(request, ticket, sentence(error), 400 if isinstance(error, InputError) else 503)
        return await go_on(self._cookies, request, came, "/")

    async def _shown(self, request: Request, ticket: str, error: str = "", status: int = 200) -> Response:
        try:
            name = await server.workbench().invited(ticket)
        except AccessDenied as dead:
            return self._dead(request, dead)
        except EngineError as failed:
            reason = sentence(failed)
            return self._cookies.page(request, lambda _csrf: pages.failure_page(reason), status=503, headers=NO_PATH)
        return self._cookies.page(
            request,
            lambda csrf: pages.invite_page(csrf=csrf, token=ticket, name=name, error=error),
            status=status,
            headers=NO_PATH,
        )

    def _dead(self, request: Request, error: AccessDenied) -> Response:
        reason = sentence(error)
        return self._cookies.page(request, lambda _csrf: pages.dead_link_page(reason), status=403, headers=NO_PATH)
