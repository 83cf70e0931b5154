"""Changing how a collection is embedded, cut and stored: what it would take, first; then beside the live index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import streamlit as st

from engine.keeping_views import GenerationInfo, GenerationPlan, GenerationState
from engine.types import Right, Role
from engine.views import CollectionInfo
from ui.components.documents.generations import building_box, history, settled_box
from ui.components.documents.reindex_form import change_form, described
from ui.components.documents.state import DocumentsState
from ui.components.documents.words import duration
from ui.components.safe_text import escape, short
from ui.components.serving import money
from ui.failures import friendly_errors
from ui.session import Desk

EVERY_SECONDS = 2.0


def may_reindex(desk: Desk, collection: CollectionInfo) -> bool:
    """Tell whether the user may change how the collection is indexed: admins who own it."""
    return desk.principal.role is Role.ADMIN and collection.right is Right.OWNER


def reindex_button(desk: Desk, collection: CollectionInfo) -> None:
    """Draw the way to the page."""
    if may_reindex(desk, collection):
        st.button(
            "Embedding",
            key="documents_reindex",
            icon=":material/model_training:",
            help="Another embedding model, other passages or another store for this collection",
            on_click=st.query_params.from_dict,
            args=({"reindex": collection.id},),
        )


def reindex_page(desk: Desk, state: DocumentsState) -> None:
    """Draw the page of the collection that the address names."""
    icon = ":material/arrow_back:"
    st.button("All documents", icon=icon, type="tertiary", key="documents_back", on_click=st.query_params.clear)
    asked = st.query_params["reindex"]
    collection = next((one for one in desk.call(desk.workbench.collections) if one.id == asked), None)
    if collection is None or not may_reindex(desk, collection):
        st.info("Only admins who own a collection change how it is indexed.", icon=":material/lock:")
        return
    state = state.of(collection.id)
    st.title(f"Embedding of {escape(short(collection.name, 50))}", anchor=False)
    st.caption(
        "A new index is built beside the present one, which answers questions until the new one is complete and was checked. "
        "Nothing is lost when it fails, and you can go back for a week."
    )
    found = desk.call(desk.workbench.generations, collection.id)
    building = next((one for one in found if one.state is GenerationState.BUILDING), None)
    if building:
        st.fragment(_building, run_every=EVERY_SECONDS)(desk, collection.id, building.id)
    else:
        settled_box(desk, found, now=datetime.now(UTC))
        _change(desk, state, collection, found)
    history(found)


def _building(desk: Desk, collection_id: str, generation_id: str) -> None:
    with friendly_errors():
        found = {one.id: one for one in desk.call(desk.workbench.generations, collection_id)}
        one = found.get(generation_id)
        if one is None or one.state is not GenerationState.BUILDING:
            st.rerun()
        else:
            building_box(desk, one)


def _change(desk: Desk, state: DocumentsState, collection: CollectionInfo, found: Sequence[GenerationInfo]) -> None:
    live = next((one for one in found if one.state is GenerationState.LIVE), None)
    change = change_form(desk, collection, live)
    if change is not None:
        state.change = state.plan = None
        with friendly_errors(), st.spinner("Cutting a sample to see what it would take"):
            state.plan = desk.call(desk.workbench.plan_generation, collection.id, change)
            state.change = change
    if state.plan and state.change:
        _plan(desk, state, collection, state.plan)


def _plan(desk: Desk, state: DocumentsState, collection: CollectionInfo, plan: GenerationPlan) -> None:
    with st.container(border=True, key="documents_plan"):
        st.markdown("### What it would take", anchors=False)
        with st.container(horizontal=True, gap="large"):
            for label, value in figures(plan).items():
                st.markdown(f":small[:gray[{label}]]  \n### {escape(value)}", width="content", anchors=False)
        before, after = described(plan.before), described(plan.after)
        for name in before:
            if before[name] != after[name]:
                st.markdown(f"{name}: {escape(before[name])} → **{escape(after[name])}**")
        for warning in plan.warnings:
            st.markdown(f":orange[:material/warning:] {escape(warning)}")
        st.caption("Estimated from a sample that was really cut. Texts whose vectors are known already are not embedded again.")
        at_once = st.toggle("Switch by itself once it is complete and checked", value=True, key="documents_switch_itself")
        if st.button("Start", key="documents_generation_start", type="primary", icon=":material/play_arrow:") and state.change:
            with friendly_errors():
                desk.call(desk.workbench.start_generation, collection.id, state.change, switch=at_once)
                state.change = state.plan = None
                st.rerun()


def figures(plan: GenerationPlan) -> Mapping[str, str]:
    """Return the numbers of a plan, with their names."""
    same = plan.chunks_before == plan.chunks_after
    return {
        "Documents": f"{plan.documents:,}",
        "Pages": f"{plan.pages:,}",
        "Passages": f"{plan.chunks_after:,}" if same else f"{plan.chunks_before:,} → {plan.chunks_after:,}",
        "Time": "not known" if plan.seconds is None else duration(plan.seconds),
        "Cost": "price not known" if plan.cost_usd is None else money(plan.cost_usd) if plan.cost_usd else "nothing",
    }
