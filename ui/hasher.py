"""streamlit-authenticator's password hasher in the shape that the engine asks for."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

PACKAGE = "streamlit_authenticator"


def _hasher() -> Any:
    """Return the package's class without importing the package.

    That would load its components, a captcha and a camera, take a second of every start and, outside of a page, fill the
    log with warnings. The module of the hasher itself needs nothing but bcrypt.
    """
    package = importlib.util.find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {PACKAGE!r}", name=PACKAGE)
    path = Path(next(iter(package.submodule_search_locations))) / "utilities" / "hasher.py"
    spec = importlib.util.spec_from_file_location(f"{PACKAGE}_hasher", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded", path=str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Hasher


class AuthenticatorHasher:
    """Passwords hashed and checked by streamlit-authenticator. It checks no limits: `engine.security.passwords` did before."""

    rounds = 12  # the default of bcrypt.gensalt(), which the package uses

    def __init__(self) -> None:
        self._hasher = _hasher()

    def hash(self, password: str) -> str:
        """Return a new bcrypt hash."""
        return str(self._hasher.hash(password))

    def check(self, password: str, stored: str) -> bool:
        """Tell whether `password` has this hash. Raises ValueError for what is no bcrypt hash."""
        return bool(self._hasher.check_pw(password, stored))
