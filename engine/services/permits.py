"""What keys, tokens and previews may call: one table, applied to every method of the facade that takes a principal.

It narrows and never widens: roles and rights are still checked by each method, in SQL. A method that has no row here is for
people who signed in themselves, so that a new one is closed to keys and previews until somebody decides otherwise.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, NamedTuple

from engine.access_views import Scope
from engine.errors import AccessDenied, AddressDenied, TooMany
from engine.protocols import Meter
from engine.services.outcomes import failed
from engine.types import Principal, Role


class Permit(NamedTuple):
    """What a method is open to besides people: keys with one of these scopes, and previews."""

    scopes: frozenset[Scope] = frozenset()
    preview: bool = False


_PEOPLE = Permit()
_READ = Permit(frozenset({Scope.READ}), preview=True)
_LIST = Permit(frozenset({Scope.READ, Scope.ASK}), preview=True)  # whoever asks must be able to name a collection
_COPY = Permit(frozenset({Scope.READ}))  # a preview shows what somebody may see; files do not leave through it
_ASK = Permit(frozenset({Scope.ASK}))  # conversations are private, so a preview sees none of them
_WRITE = Permit(frozenset({Scope.WRITE}))
_ADMIN = Permit(frozenset({Scope.ADMIN}))
_OPERATE = Permit(frozenset({Scope.OPERATE, Scope.ADMIN}))
_ANY_KEY = Permit(frozenset(Scope))

PERMITS: dict[str, Permit] = {
    **dict.fromkeys(("collections", "collection_id"), _LIST),
    **dict.fromkeys(("documents", "document", "page", "chunks", "page_image", "waiting", "search", "quarantine"), _READ),
    **dict.fromkeys(("jobs", "job_log", "tray"), _READ),
    **dict.fromkeys(("cancel", "requeue"), _WRITE),
    "versions": _READ,
    **dict.fromkeys(("check_upload", "activate_version", "disable_document"), _WRITE),
    **dict.fromkeys(("enable_document", "move_document", "bulk"), _WRITE),
    "groups": Permit(frozenset({Scope.READ, Scope.ADMIN}), preview=True),
    "original": _COPY,
    "ask": _ASK,
    **dict.fromkeys(("conversations", "create_conversation", "rename_conversation", "delete_conversation"), _ASK),
    **dict.fromkeys(("set_scope", "messages", "message", "send", "stop", "citation_states"), _ASK),
    **dict.fromkeys(("create_collection", "delete_collection", "upload", "process", "reprocess"), _WRITE),
    **dict.fromkeys(
        ("delete_document", "restore_document", "upload_url", "upload_archive", "release_passage", "hold_passage"), _WRITE
    ),
    **dict.fromkeys(("grants", "grant", "grant_group", "shareable"), _WRITE),
    **dict.fromkeys(("provider_kinds", "providers", "add_provider", "edit_provider", "remove_provider"), _ADMIN),
    **dict.fromkeys(("test_provider", "provider_models", "choices", "choose", "impact", "simulate"), _ADMIN),
    **dict.fromkeys(("offers", "accept_offer", "prices", "set_price", "usage", "move_store", "revert_store"), _ADMIN),
    **dict.fromkeys(("plan_generation", "start_generation", "generations", "cancel_generation"), _ADMIN),
    **dict.fromkeys(("switch_generation", "revert_generation"), _ADMIN),
    # Not here: making users, roles, and resetting passwords and second factors. Each of them ends in somebody's sign-in, and
    # through it a key of an admin would become an admin without an end.
    **dict.fromkeys(("users", "delete_user", "disable_user", "enable_user", "unlock_user"), _ADMIN),
    **dict.fromkeys(("create_group", "rename_group", "delete_group", "set_members", "reach"), _ADMIN),
    **dict.fromkeys(("audit", "api_keys", "revoke_api_key"), _ADMIN),
    **dict.fromkeys(("health", "alert_metrics", "alert_rules", "save_alert_rule", "delete_alert_rule"), _OPERATE),
    **dict.fromkeys(("silence_alert_rule", "alerts", "acknowledge_alert", "alert_channels", "incidents"), _OPERATE),
    **dict.fromkeys(("save_alert_channel", "delete_alert_channel", "test_alert_channel", "support_bundle"), _OPERATE),
    **dict.fromkeys(("audit_facets", "audit_verify", "audit_export", "audit_sources"), _ADMIN),
    **dict.fromkeys(("backup", "start_backup", "verify_backup", "test_backup"), _ADMIN),
    "backups": _OPERATE,
    "export_collection": _COPY,  # and owning needs the scope "write", as everywhere
    "import_collection": _WRITE,
    "clear_cache": _ADMIN,
    **dict.fromkeys(("metrics", "measurements", "measurements_csv", "reconcile"), _OPERATE),
    **dict.fromkeys(("breakers", "command_breaker"), _OPERATE),
    **dict.fromkeys(("issue_token", "revoke_token"), _ANY_KEY),
    "note_denied": Permit(frozenset(Scope), preview=True),
}

Method = Callable[..., Awaitable[Any]]
Note = Callable[[Principal, str], Awaitable[None]]


def require_permit(principal: Principal, method: str) -> None:
    """Raise AccessDenied when a preview or a key may not call this method of the facade."""
    permit = PERMITS.get(method, _PEOPLE)
    if principal.preview and not permit.preview:
        raise AccessDenied("a preview of what somebody may see does nothing else", hint="End the preview first.")
    if principal.scopes is None or principal.scopes & permit.scopes:
        return
    if not permit.scopes:
        raise AccessDenied("no key may do this", hint="Sign in for this.")
    wanted = " or ".join(f"“{scope}”" for scope in Scope if scope in permit.scopes)
    raise AccessDenied("this key may not do this", hint=f"Make a key with the scope {wanted}.")


def acts_as_admin(principal: Principal) -> bool:
    """Whether this is an admin who is narrowed by neither a preview nor a key."""
    narrowed = principal.preview or (principal.scopes is not None and Scope.ADMIN not in principal.scopes)
    return principal.role is Role.ADMIN and not narrowed


def guard(facade: object, note: Note, meter: Meter) -> None:
    """Put the table in front of every async method of `facade` whose first argument is a principal.

    `note(principal, method)` is awaited for each AccessDenied of such a method, whoever raised it; `meter`
    hears of every error.
    """
    for name in dir(facade):
        method = None if name.startswith("_") else getattr(facade, name)
        if inspect.iscoroutinefunction(method) and next(iter(inspect.signature(method).parameters), "") == "principal":
            setattr(facade, name, _guarded(name, method, note, meter))


def _guarded(name: str, method: Method, note: Note, meter: Meter) -> Method:
    @wraps(method)
    async def guarded(principal: Principal, *arguments: Any, **named: Any) -> Any:
        try:
            require_permit(principal, name)
            return await method(principal, *arguments, **named)
        except Exception as error:
            failed(meter, error, name)
            # Neither too much nor an address is a question of permission; the latter is audited where it is decided.
            denied = isinstance(error, AccessDenied) and not isinstance(error, (TooMany, AddressDenied))
            if denied and name != "note_denied":
                await note(principal, name)
            raise

    return guarded
