"""The ASGI application: Streamlit pages and the sign-in routes behind one gate. `streamlit run app.py` serves it."""

import streamlit as st
from starlette.middleware import Middleware

from engine import build_workbench, load_settings
from engine.security.gate import Gate
from engine.security.headers import security_headers
from ui import login, server
from ui.hasher import AuthenticatorHasher

settings = load_settings()

app = st.App(
    "ui/frame.py",
    routes=login.routes(settings),
    middleware=[
        Middleware(
            Gate,
            authenticate=server.authenticate,
            secure_cookies=settings.secure_cookies,
            headers=security_headers(server.index_page(), secure=settings.secure_cookies),
            farewell=server.farewell(),
        )
    ],
    lifespan=server.lifespan(lambda: build_workbench(settings, serve=True, hasher=AuthenticatorHasher())),
    on_script_error=server.on_script_error,
)
