"""The app over the workbench in memory, for looking at screens: `streamlit run tests/ui/fake_app.py`."""

import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from engine import load_settings  # noqa: E402
from engine.security.gate import Gate  # noqa: E402
from engine.security.headers import security_headers  # noqa: E402
from tests.ui.fake_workbench import build_fake  # noqa: E402
from ui import login, server  # noqa: E402

app = st.App(
    ROOT / "ui/frame.py",
    routes=login.routes(load_settings()),
    middleware=[
        Middleware(
            Gate,
            authenticate=server.authenticate,
            headers=security_headers(server.index_page(), secure=False),
            farewell=server.farewell(),
        )
    ],
    lifespan=server.lifespan(build_fake),
    on_script_error=server.on_script_error,
)
