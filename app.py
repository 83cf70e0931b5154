"""The ASGI application: Streamlit pages, the sign-in and the API behind one gate. `streamlit run app.py` serves it."""

from engine import build_workbench, load_settings
from ui.hasher import AuthenticatorHasher
from ui.start import build_app

settings = load_settings()
app = build_app(settings, lambda: build_workbench(settings, serve=True, hasher=AuthenticatorHasher()))
