"""The other jobs: embedding, reranking, rewriting, and where new collections are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from engine.provider_views import Choice, Choices, ProviderInfo
from ui.components.providers.impact import draft_bar
from ui.components.providers.looks import by_name, named, state_badge
from ui.components.providers.models import model_picker
from ui.components.providers.state import PageState
from ui.failures import friendly_errors
from ui.session import Desk

NEW_SPACE = "For new collections. Existing ones keep theirs until you change it on the documents page, under Embedding."
NEW_PLACE = "For new collections. Existing ones stay where they are until you change it on the documents page, under Embedding."


@dataclass(frozen=True, slots=True)
class Job:
    """A job beside answering. `none` names doing it without a model; "" where somebody must do it."""

    name: str
    title: str
    role: str
    what: str
    none: str = ""
    present: Callable[[Choices], Choice | None] = lambda _: None


JOBS = (
    Job("embedding", "Embedding", "embedding", NEW_SPACE, present=lambda now: now.embedding),
    Job("store", "Store", "store", NEW_PLACE, present=lambda now: Choice(provider=now.store)),
    Job(
        "rerank",
        "Reranking",
        "rerank",
        "A model reads question and passage together and sorts the best passages again: slower, often better.",
        "Without a model: passages stay as the search ranks them",
        lambda now: now.rerank,
    ),
    Job(
        "rewrite",
        "Rewriting questions",
        "chat",
        "A model turns a follow-up question into one that stands alone before it is searched.",
        "Without a model: by rules, with words of the question before",
        lambda now: now.rewrite,
    ),
)


def jobs_section(desk: Desk, state: PageState, choices: Choices, providers: Sequence[ProviderInfo]) -> None:
    """Draw each job with what does it now, and its editor when it is open."""
    found = by_name(providers)
    for job in JOBS:
        with st.container(border=True, gap="xsmall", key=f"providers_job_{job.name}"), friendly_errors():
            _job(desk, state, job, choices, found)


def _job(desk: Desk, state: PageState, job: Job, choices: Choices, found: Mapping[str, ProviderInfo]) -> None:
    present = job.present(choices)
    with st.container(horizontal=True, vertical_alignment="center"):
        now = named(present) if present else job.none
        st.markdown(f"**{job.title}**", width="stretch")
        if present:
            state_badge(found.get(present.provider))
        if job.name not in state.drafts:
            st.button(
                "Change",
                key=f"providers_change_{job.name}",
                on_click=_begin,
                args=(state, job.name, choices),
                disabled=not found,
            )
    st.markdown(f"Now: {now}")
    st.caption(job.what)
    if job.name in state.drafts:
        _editor(desk, state, job, choices, found)


def _begin(state: PageState, job: str, choices: Choices) -> None:
    state.begin(job, choices)


def _editor(desk: Desk, state: PageState, job: Job, choices: Choices, found: Mapping[str, ProviderInfo]) -> None:
    present, number = job.present(choices), state.drafts[job.name].number
    names = [""] * bool(job.none) + [name for name, one in found.items() if job.role in one.roles]
    using = present.provider if present else ""
    with st.container(horizontal=True, vertical_alignment="top"):
        with st.container(width=360):
            name = st.selectbox(
                "Provider",
                names,
                index=names.index(using) if using in names else 0,
                format_func=lambda name: name or "Without a model",
                key=f"providers_{job.name}_provider_{number}",
            )
        wanted = None
        if name:
            with st.container(width=360):
                model = present.model if present and present.provider == name else ""
                key = f"providers_{job.name}_model_{number}"
                wanted = model_picker(desk, state, found[name], job.role, key=key, present=model)
    if wanted == present:
        st.caption("This is what is in use.")
    change: dict[str, Any] = {job.name: wanted.provider if job.name == "store" and wanted else wanted}
    draft_bar(
        desk, state, job.name, choices, wanted,
        lambda version: desk.call(desk.workbench.choose, expected_version=version, **change),
        label="Use this", ready=wanted != present and bool(wanted or job.none),
    )  # fmt: skip
