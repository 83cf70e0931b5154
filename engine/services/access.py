"""The part of the facade about groups, sharing, keys and tokens: `engine.workbench.Workbench` stands on it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.services.bearer import Bearer
from engine.services.denials import Denials
from engine.services.groups import Groups
from engine.services.keys import Keys
from engine.services.sharing import Sharing


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The parts that this half of the facade hands on to."""

    groups: Groups
    sharing: Sharing
    keys: Keys
    bearer: Bearer
    denials: Denials


class AccessFacade:
    """Each part's own method is the facade's."""

    def __init__(self, access: Access) -> None:
        self.groups = access.groups.all
        self.create_group = access.groups.create
        self.rename_group = access.groups.rename
        self.delete_group = access.groups.delete
        self.set_members = access.groups.set_members
        self.grants = access.sharing.grants
        self.grant_group = access.sharing.grant_group
        self.shareable = access.sharing.shareable
        self.reach = access.sharing.reach
        self.view_as = access.sharing.view_as
        self.api_keys = access.keys.api_keys
        self.create_api_key = access.keys.create_api_key
        self.revoke_api_key = access.keys.revoke_api_key
        self.issue_token = access.bearer.issue_token
        self.revoke_token = access.bearer.revoke_token
        self.authenticate_bearer = access.bearer.authenticate_bearer
        self.note_denied = access.denials.note
