"""Whom a media file was made for. Streamlit names media by their content and keeps no owner; whoever was sent the name is."""

from __future__ import annotations

import re
from collections import OrderedDict

MAX_USERS, MAX_FILES = 2000, 5000

# Without the ending: in a frame the next field follows at once, and its first byte may be a letter.
_LINK = re.compile(rb"/media/([0-9A-Za-z_-]+)")


class MediaOwners:
    """Which media addresses were sent on whose websockets. Memory is bounded; what is forgotten is sent again by a rerun."""

    def __init__(self, *, max_users: int = MAX_USERS, max_files: int = MAX_FILES) -> None:
        self._max_users = max_users
        self._max_files = max_files
        self._files: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def note(self, user_id: str, frame: bytes) -> None:
        """Remember the media addresses in a frame that goes out to this user."""
        if b"/media/" not in frame:
            return
        files = self._files.setdefault(user_id, OrderedDict())
        self._files.move_to_end(user_id)
        for name in _LINK.findall(frame):
            files[name.decode()] = None
            files.move_to_end(name.decode())
        while len(files) > self._max_files:
            files.popitem(last=False)
        while len(self._files) > self._max_users:
            self._files.popitem(last=False)

    def may_read(self, user_id: str, file_id: str) -> bool:
        """Tell whether this file was sent to this user."""
        return file_id.partition(".")[0] in self._files.get(user_id, ())
