"""One line that protects a web application: FastAPI, Flask, Django, or anything else that speaks ASGI or WSGI.

    security = apply_security_to_fastapi(app, {"jwt_secret": secret})
    current_user = security.create_auth_dependency()

See docs/security-integration.md for every option, and for what this does not do.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from engine.errors import ConfigError
from engine.security.asgi import SecurityASGI
from engine.security.credentials import Credentials
from engine.security.identity import Identity
from engine.security.jwt import Tokens
from engine.security.options import options_from
from engine.security.revocation import Revocations
from engine.security.rules import Rules
from engine.security.wire import ASGIApp
from engine.security.wsgi import SecurityWSGI, WSGIApp


class SecurityIntegration:
    """The protection of one application.

    Raises ConfigError for an option that is unknown or has an impossible value, MissingSecret for a `jwt_secret` that is
    absent, publicly known or shorter than 32 characters. `clock` is monotonic, `epoch` gives epoch seconds.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        clock: Callable[[], float] = time.monotonic,
        epoch: Callable[[], float] = time.time,
    ) -> None:
        options = options_from(config)
        self._revoked = Revocations(clock=epoch)
        self._tokens: Tokens | None = None
        if options.jwt_secret or (options.enable_auth and "jwt" in options.auth_method):
            self._tokens = Tokens(options.jwt_secret, issuer=options.jwt_issuer, audience=options.jwt_audience, clock=epoch)
        credentials = None
        if options.enable_auth:
            accepted = self._tokens if "jwt" in options.auth_method else None
            credentials = Credentials(options, accepted, self._revoked, clock=epoch)
        self._rules = Rules(options, credentials, clock=clock, epoch=epoch)

    @property
    def tokens(self) -> Tokens:
        """What issues tokens that this application accepts. Raises ConfigError when there is no `jwt_secret`."""
        if self._tokens is None:
            raise ConfigError("there is no jwt_secret to sign tokens with", hint="set jwt_secret")
        return self._tokens

    def revoke(self, jti_or_sid: str) -> None:
        """Refuse a token, or every token of a session, from now on (in this process; see the option `is_revoked`)."""
        self._revoked.add(jti_or_sid)

    def create_auth_dependency(self, *scopes: str) -> Callable[..., Awaitable[Identity]]:
        """Return a FastAPI dependency that gives the verified Identity and asks for `scopes`."""
        from engine.security.dependency import auth_dependency

        return auth_dependency(scopes)

    def asgi(self, app: ASGIApp) -> SecurityASGI:
        """Return `app` behind the rules."""
        wrapped = SecurityASGI(app, self._rules)
        wrapped.security = self
        return wrapped

    def wsgi(self, app: WSGIApp) -> SecurityWSGI:
        """Return `app` behind the rules."""
        wrapped = SecurityWSGI(app, self._rules)
        wrapped.security = self
        return wrapped


def apply_security_to_fastapi(app: Any, config: Mapping[str, Any]) -> SecurityIntegration:
    """Put a FastAPI (or Starlette) application behind the rules and return them. Call it before the application starts."""
    security = SecurityIntegration(config)
    app.add_middleware(security.asgi)
    return security


def apply_security_to_flask(app: Any, config: Mapping[str, Any]) -> SecurityIntegration:
    """Put a Flask application behind the rules (it wraps `app.wsgi_app`) and return them."""
    security = SecurityIntegration(config)
    app.wsgi_app = security.wsgi(app.wsgi_app)
    return security


def apply_security_to_django(application: Any, config: Mapping[str, Any]) -> SecurityASGI | SecurityWSGI:
    """Return what `get_asgi_application()` or `get_wsgi_application()` gave, behind the rules.

    The result has the attribute `security`. Raises ConfigError when `application` is neither.
    """
    security = SecurityIntegration(config)
    return security.asgi(application) if _is_asgi(application) else security.wsgi(application)


def _is_asgi(application: Any) -> bool:
    call = application if inspect.isfunction(application) else getattr(application, "__call__", None)  # noqa: B004
    if call is None:
        raise ConfigError("this is no application", hint="give what get_asgi_application() or get_wsgi_application() returns")
    if inspect.iscoroutinefunction(call):
        return True
    positional = [one for one in inspect.signature(call).parameters.values() if one.default is one.empty]
    if len(positional) not in {2, 3}:
        raise ConfigError("this is neither an ASGI nor a WSGI application", hint="give the application object itself")
    return len(positional) == 3
