"""Files to take away: the numbers of the charts, and what somebody who helps needs to see."""

from __future__ import annotations

import streamlit as st

from engine.operations_views import Range
from ui.components.health.state import HealthState
from ui.failures import friendly_errors
from ui.session import Desk

BUNDLE = (
    "For whoever helps you: the state of all parts, breakers, measurements, alerts and settings without secrets. Look through "
    "it before you pass it on."
)


def export_menu(desk: Desk, state: HealthState, range_: Range) -> None:
    """Draw the menu. A file is made when it is asked for, and offered until the page is left."""
    with st.popover("Export", icon=":material/download:", key="health_export"):
        st.caption(f"Every number of the charts, {range_.value}.")
        if st.button("Prepare CSV", key="health_csv", icon=":material/table:"):
            with st.spinner("Collecting"), friendly_errors():
                state.files["csv"] = (_name(range_), desk.call(desk.workbench.measurements_csv, range_))
        if "csv" in state.files:
            name, data = state.files["csv"]
            st.download_button(
                f"Download {name}", data, name, "text/csv", type="primary", key="health_csv_file", on_click="ignore"
            )
        st.caption(BUNDLE)
        if st.button("Prepare support bundle", key="health_bundle", icon=":material/folder_zip:"):
            with st.spinner("Collecting"), friendly_errors():
                state.files["zip"] = ("support-bundle.zip", desk.call(desk.workbench.support_bundle))
        if "zip" in state.files:
            name, data = state.files["zip"]
            st.download_button(
                f"Download {name}", data, name, "application/zip", type="primary", key="health_bundle_file", on_click="ignore"
            )


def _name(range_: Range) -> str:
    return f"measurements-{range_.value.replace(' ', '')}.csv"
