"""The few rules of layout that Streamlit has no option for. Our own constant text: nothing of a document comes here."""

from __future__ import annotations

import streamlit as st

RULES = """<style>
.block-container { padding-top: 4.5rem; padding-bottom: 2rem; }
[data-testid="stColumn"]:has(.st-key-evidence) { position: sticky; top: 4.5rem; align-self: flex-start; }
[data-testid="stLayoutWrapper"]:has(> .st-key-thread), .st-key-thread { height: calc(100vh - 14rem) !important; }
:root:has([class*="st-key-box_chat_unsent"]) .st-key-thread, :root:has([class*="st-key-box_chat_unsent"])
  [data-testid="stLayoutWrapper"]:has(> .st-key-thread) { height: max(10rem, 100vh - 34rem) !important; }
.st-key-evidence { max-height: calc(100vh - 12.25rem); overflow-y: auto; }
[data-testid="stStatusWidget"] button { display: none; }
[class*="st-key-evidence_page"] { overflow-x: auto; }
[class*="st-key-evidence_page"] img { max-width: none; border: 1px solid rgb(128 128 128 / 35%); border-radius: .25rem; }
.st-key-evidence_page_1 > div { width: 150%; max-width: none; }
.st-key-evidence_page_2 > div { width: 200%; max-width: none; }
[class*="st-key-quote"] { padding: .5rem .75rem; border-left: 4px solid #e0a526; border-radius: .25rem;
  background: rgb(255 209 82 / 16%); }
[class*="st-key-chat_open_"] button, [class*="st-key-chat_open_"] button * { justify-content: flex-start; text-align: left; }
[class*="st-key-chat_open_"] button p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.st-key-quote_evidence { max-height: 8.5rem; overflow-y: auto; }
[class*="st-key-health_tile_"] [data-testid="stMetricValue"] { font-size: 1.15rem; }
[data-testid="stLayoutWrapper"]:has(> .st-key-health_notice_place) { position: sticky; top: 3.75rem; z-index: 90;
  background: var(--background-color, Canvas); }
.st-key-tray { position: fixed; top: .65rem; right: 6rem; width: auto !important; max-width: calc(100vw - 9.5rem);
  z-index: 999991; }
:root:has([data-testid="stConnectionStatus"]) .st-key-tray { visibility: hidden; }
.st-key-tray button p { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
[data-testid="stLayoutWrapper"]:has(> .st-key-tray) { position: absolute; }
[class*="st-key-documents_table_"] [data-testid="stElementToolbar"] { display: none; }
.st-key-documents_bar { min-height: 2.6rem; justify-content: center; }
.st-key-documents_head h1 { padding: .25rem .5rem .25rem 0; }
[data-testid="stBottomBlockContainer"] { padding-top: .5rem; padding-bottom: 1.25rem; }
@media (min-width: 701px) {
  .block-container, [data-testid="stBottomBlockContainer"] { padding-left: 2.5rem; padding-right: 2.5rem; }
}
@media (max-width: 700px) {
  .st-key-documents_search > :first-child { min-width: 100%; }
  .st-key-evidence { position: fixed; inset: 3.5rem 0 0 0; z-index: 1000; max-height: none; padding: .75rem 1rem 2rem;
    background: var(--background-color, Canvas); }
}
</style>"""


def page_style() -> None:
    """Add the rules to the page."""
    st.html(RULES)
