"""The ASGI application: Streamlit pages, the sign-in and the API behind one gate. `streamlit run app.py` serves it."""

import streamlit as st

from engine import build_workbench, load_settings
from ui.hasher import AuthenticatorHasher
from ui.start import FRAME, app_options

settings = load_settings()
app = st.App(FRAME, **app_options(settings, lambda: build_workbench(settings, serve=True, hasher=AuthenticatorHasher())))
