"""The app over the workbench in memory, for looking at screens: `streamlit run tests/ui/fake_app.py`."""

import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from engine import load_settings  # noqa: E402
from tests.ui.fake_workbench import build_fake  # noqa: E402
from ui.start import FRAME, app_options  # noqa: E402

app = st.App(FRAME, **app_options(load_settings(), build_fake))
