"""Providers: the interchangeable parts, and which of them are in use. For admins."""

import streamlit as st

from engine.registry import CHUNKERS, EMBEDDERS, GENERATORS, LOADERS, STORES
from engine.settings import load_settings
from engine.types import Role
from ui.components.tables import registry_table
from ui.session import open_page

open_page(roles=[Role.ADMIN])
settings = load_settings()

st.title("Providers", anchor=False)
st.markdown(
    "What this workbench is made of. It is chosen in `workbench.toml` or by environment variables, and read at the start."
)
registry_table("Answers", GENERATORS, settings.generator)
registry_table("Embedding", EMBEDDERS, settings.embedder)
registry_table("Vector search", STORES, settings.store)
registry_table("Cutting into passages (default; each collection has its own)", CHUNKERS, settings.chunker)
registry_table("File types", LOADERS, "")
