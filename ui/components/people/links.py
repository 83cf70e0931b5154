"""What is shown once: links for choosing a password, and the whole address of a path of this site."""

from __future__ import annotations

from urllib.parse import urljoin

import streamlit as st

from engine.access_views import Invitation
from ui.components.people.words import bold, moment


def absolute(path: str) -> str:
    """Return the address of a path as the reader's browser reaches this site; the path itself where that is unknown."""
    return urljoin(st.context.url or "", path)


def link_box(invitation: Invitation, *, key: str) -> None:
    """Show a one-time link with its copy button."""
    with st.container(border=True, key=key, gap="small"):
        st.markdown(f":green[:material/link:] Link for {bold(invitation.user.name)} to choose a password:")
        st.code(absolute(invitation.path), language=None, wrap_lines=True)
        st.caption(
            f"It works once, until {moment(invitation.expires_at)}, and is not shown again. Whoever has it becomes this user: "
            "hand it over in person or by a message only they can read."
        )
