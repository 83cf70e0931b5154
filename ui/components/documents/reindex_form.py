"""The settings of a collection's index beside what they shall become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from engine.keeping_views import GenerationChange, GenerationInfo
from engine.provider_views import ProviderInfo
from engine.registry import CHUNKERS
from engine.views import CollectionInfo
from ui.components.safe_text import escape
from ui.session import Desk

AS_IS = ""
OWN = "as it is"
SMALLEST, LARGEST = 32, 2048  # tokens of a passage


def described(one: GenerationChange) -> Mapping[str, str]:
    """Return settings under the names that people know."""
    chunker = CHUNKERS[one.chunker].label if one.chunker in CHUNKERS else one.chunker
    return {
        "Embedding": " · ".join(filter(None, [one.embedder, one.embedding_model])),
        "Passages": chunker,
        "Size": f"{one.chunk_tokens} tokens" if one.chunk_tokens else "",
        "Overlap": "" if one.overlap_tokens is None else f"{one.overlap_tokens} tokens",
        "Store": one.store,
    }


def change_form(desk: Desk, collection: CollectionInfo, live: GenerationInfo | None) -> GenerationChange | None:
    """Draw what is now and what shall be; return the change when its plan is asked for."""
    providers = desk.call(desk.workbench.providers)
    now = GenerationChange(
        embedder=live.embedder if live else collection.embedder,
        embedding_model=live.embedding_model if live else "",
        chunker=live.chunker if live else collection.chunker,
        chunk_tokens=live.chunk_tokens if live else 0,
        overlap_tokens=live.overlap_tokens if live else None,
        store=live.store if live else "",
    )
    left, right = st.columns([1, 2], gap="large")
    with left, st.container(border=True, key="documents_now"):
        st.markdown("### Now", anchors=False)
        labels = {one.name: one.label for one in providers if one.built_in}
        for name, value in described(now).items():
            if value:
                st.markdown(f":gray[{name}]  \n{escape(labels.get(value, value))}")
    with right, st.container(border=True, key="documents_change"):
        st.markdown("### Change to", anchors=False)
        return _fields(providers, now, live.number if live else 0)


def _named(providers: Sequence[ProviderInfo], role: str) -> dict[str, ProviderInfo]:
    return {one.name: one for one in providers if role in one.roles}


def _labels(providers: Mapping[str, ProviderInfo]) -> dict[str, str]:
    return {name: one.label if one.built_in else name for name, one in providers.items()}


def _fields(providers: Sequence[ProviderInfo], now: GenerationChange, number: int) -> GenerationChange | None:
    """Draw the form; its keys are those of generation `number`, so that another one that is live does not find old entries."""
    embedders, stores = _named(providers, "embedding"), _named(providers, "store")
    with st.form(f"documents_change_form_{number}", border=False):
        left, right = st.columns(2)
        with left:
            embedder = _select("Embedding provider", embedders, _labels(embedders), now.embedder, number)
        with right:
            help_ = "Empty: the provider's own."
            model = st.text_input(
                "Model", key=f"documents_change_model_{number}", placeholder=now.embedding_model or OWN, help=help_
            )
        left, right = st.columns(2)
        with left:
            labels = {key: spec.label for key, spec in CHUNKERS.items()}
            chunker = _select("How documents are cut", CHUNKERS, labels, now.chunker, number)
        with right:
            store = _select("Store", stores, _labels(stores), now.store, number)
        left, right = st.columns(2)
        with left:
            tokens = st.number_input(
                "Passage size (tokens)", SMALLEST, LARGEST, now.chunk_tokens or None, key=f"documents_change_tokens_{number}",
                placeholder=OWN,
            )  # fmt: skip
        with right:
            overlap = st.number_input(
                "Overlap (tokens)",
                0,
                LARGEST // 2,
                now.overlap_tokens,
                key=f"documents_change_overlap_{number}",
                placeholder=OWN,
            )
        if not st.form_submit_button("See what it would take", type="primary", icon=":material/calculate:"):
            return None
    return GenerationChange(
        embedder=embedder,
        embedding_model=model.strip(),
        chunker=chunker,
        chunk_tokens=0 if tokens in (None, now.chunk_tokens) else int(tokens or 0),
        overlap_tokens=None if overlap in (None, now.overlap_tokens) else int(overlap or 0),
        store=store,
    )


def _select(label: str, options: Mapping[str, object], labels: Mapping[str, str], now: str, number: int) -> str:
    """Draw a choice whose first line is: as it is. Return "" for that, or the name."""
    names = [AS_IS, *(one for one in options if one != now)]
    as_is = f"As it is ({labels.get(now, now).split(':')[0]})" if now else "As it is"
    chosen = st.selectbox(
        label, names, format_func=lambda one: labels.get(one, one) if one else as_is, key=f"documents_change_{label}_{number}"
    )
    return chosen or AS_IS
