"""Who the caller is, and short-lived tokens made from a key."""

from __future__ import annotations

import base64
import binascii
import json

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from api.access import Reader, engine
from engine.access_views import IssuedToken, Scope
from engine.errors import InputError
from engine.types import Role

router = APIRouter(tags=["account"])


class Me(BaseModel):
    """The caller. `scopes` is null for what is not narrowed."""

    user_id: str
    name: str
    role: Role
    scopes: list[Scope] | None


class TokenRequest(BaseModel):
    """How long the token is to live."""

    model_config = ConfigDict(extra="forbid")

    seconds: int = Field(default=900, ge=30, le=900)


@router.get("/me")
async def me(principal: Reader) -> Me:
    """Return whom the key or token belongs to and what it is for."""
    scopes = None if principal.scopes is None else sorted(Scope(one) for one in principal.scopes)
    return Me(user_id=principal.user_id, name=principal.name, role=principal.role, scopes=scopes)


@router.post("/token", status_code=201)
async def issue_token(request: Request, principal: Reader, wanted: TokenRequest | None = None) -> IssuedToken:
    """Make a token of at most 15 minutes that may do what the presented key may."""
    return await engine(request).issue_token(principal, seconds=(wanted or TokenRequest()).seconds)


@router.delete("/token", status_code=204)
async def revoke_token(request: Request, principal: Reader) -> None:
    """Revoke the token that this request presents. A key is revoked on the account page."""
    await engine(request).revoke_token(principal, _jti(request.headers["authorization"]))


def _jti(authorization: str) -> str:
    # The gate has verified the signature of this very token; here its id is only read (RFC 7519, 4.1.7).
    parts = authorization.split()[-1].split(".")
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return str(payload["jti"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        raise InputError("this is a key, not a token", hint="Revoke keys on the account page.") from None
