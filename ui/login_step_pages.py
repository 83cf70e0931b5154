"""The pages of the later steps of a sign-in, and of an invitation. Without scripts, like the login page."""

from __future__ import annotations

from html import escape

from ui.login_pages import field, hidden, message, page

PASSWORD_NOTE = "At least 10 characters. A few unrelated words are easy to remember."  # noqa: S105 - advice, no password
_START_AGAIN = '<p class="foot"><a href="/login">Start again</a></p>'


def code_page(*, csrf: str, target: str = "/", error: str = "") -> str:
    """Return the form for the second factor."""
    body = (
        "<p>Your password is right. Now the code that your authenticator app shows.</p>"
        + message(error, bad=True)
        + f'<form method="post" action="/login/code">{hidden("csrf", csrf)}{hidden("next", target)}'
        + field(
            "code",
            "Code",
            autocomplete="one-time-code",
            focus=True,
            numeric=True,
            note="Six digits; a new one every 30 seconds.",
        )
        + f'<button type="submit">Go on</button></form>{_START_AGAIN}'
    )
    return page("Second factor", body)


def new_password_page(*, csrf: str, target: str = "/", error: str = "") -> str:
    """Return the form for a password that must be changed before the first use."""
    body = (
        "<p>Somebody else gave you this password, so that you choose one of your own now.</p>"
        + message(error, bad=True)
        + f'<form method="post" action="/login/password">{hidden("csrf", csrf)}{hidden("next", target)}'
        + _twice()
        + f'<button type="submit">Save and go on</button></form>{_START_AGAIN}'
    )
    return page("Choose a new password", body)


def invite_page(*, csrf: str, token: str, name: str, error: str = "") -> str:
    """Return the form behind an invitation or a reset link."""
    body = (
        f"<p>This link belongs to <strong>{escape(name)}</strong>. Choose the password that you will sign in with.</p>"
        + message(error, bad=True)
        + f'<form method="post" action="/invite">{hidden("csrf", csrf)}{hidden("token", token)}'
        # Password managers store a password under the name that they find beside it.
        + f'<input class="unseen" autocomplete="username" value="{escape(name)}" tabindex="-1" aria-hidden="true" readonly>'
        + _twice()
        + '<button type="submit">Save and sign in</button></form>'
    )
    return page("Choose your password", body)


def dead_link_page(reason: str) -> str:
    """Return what is said about a link that does not work any more."""
    body = (
        message(reason, bad=True)
        + "<p>Links for choosing a password work once and for a limited time. If you have already used it, sign in with the "
        "password that you chose. If not, ask an admin for a new link.</p>"
        '<p class="foot"><a href="/login">Go to the sign-in</a></p>'
    )
    return page("This link does not work", body)


def failure_page(reason: str) -> str:
    """Return what is said when a link could not be looked up."""
    return page("Something does not work", message(reason, bad=True) + "<p>Your link is still good: open it again later.</p>")


def _twice() -> str:
    return field(
        "password", "New password", kind="password", autocomplete="new-password", focus=True, note=PASSWORD_NOTE
    ) + field("again", "The same once more", kind="password", autocomplete="new-password")
