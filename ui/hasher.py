"""streamlit-authenticator's password hasher in the shape that the engine asks for."""

from __future__ import annotations

from streamlit_authenticator.utilities.hasher import Hasher


class AuthenticatorHasher:
    """Passwords hashed and checked by streamlit-authenticator. It checks no limits: `engine.security.passwords` did before."""

    rounds = 12  # the default of bcrypt.gensalt(), which the package uses

    def hash(self, password: str) -> str:
        """Return a new bcrypt hash."""
        return str(Hasher.hash(password))

    def check(self, password: str, stored: str) -> bool:
        """Tell whether `password` has this hash. Raises ValueError for what is no bcrypt hash."""
        return bool(Hasher.check_pw(password, stored))
