"""The app over the workbench in memory, for looking at screens: `streamlit run tests/ui/fake_app.py`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from engine import load_settings  # noqa: E402
from tests.ui.fake_workbench import build_fake  # noqa: E402
from ui.start import build_app  # noqa: E402

app = build_app(load_settings(), build_fake)
