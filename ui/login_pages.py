"""The pages that are seen before a sign-in: small HTML without scripts, readable by eye, keyboard and screen reader."""

from __future__ import annotations

from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5a6878; --paper: #fff; --ground: #eef2f6; --line: #cdd7e1;
  --edge: #7a8896; --accent: #1f5f8b; --on-accent: #fff; --bad: #9c1c1c; --bad-ground: #fdeeee; --good-ground: #eaf3fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --soft: #a3b0be; --paper: #1d252e; --ground: #14191f;
  --line: #3a4856; --edge: #728294; --accent: #5fa8d8; --on-accent: #0d1318; --bad: #ffb3b3;
  --bad-ground: #3d2020; --good-ground: #1b3040; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.5 "Source Sans 3", "Source Sans Pro", system-ui, -apple-system, "Segoe UI", sans-serif; }
main { width: 100%; max-width: 25rem; background: var(--paper); border: 1px solid var(--line); border-radius: .75rem;
  padding: 2rem 2rem 1.75rem; box-shadow: 0 1px 2px rgb(0 0 0 / 6%), 0 8px 24px rgb(0 0 0 / 6%); }
.brand { display: flex; align-items: center; gap: .6rem; font-weight: 600; color: var(--soft); margin: 0 0 1.25rem; }
.brand svg { width: 1.6rem; height: 1.6rem; fill: none; stroke: var(--accent); stroke-width: 2; stroke-linecap: round;
  stroke-linejoin: round; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .35rem; }
p { margin: 0 0 1rem; color: var(--soft); }
label { display: block; font-weight: 600; margin: 1rem 0 .3rem; }
.note { font-size: .875rem; color: var(--soft); margin: .3rem 0 0; }
input { width: 100%; padding: .6rem .75rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--edge); border-radius: .5rem; }
input:focus-visible, button:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
button { width: 100%; margin-top: 1.5rem; padding: .65rem 1rem; font: inherit; font-weight: 600;
  border: 0; border-radius: .5rem; background: var(--accent); color: var(--on-accent); cursor: pointer; }
button:hover { filter: brightness(1.08); }
.message { border-radius: .5rem; padding: .65rem .85rem; margin: 1rem 0 0; background: var(--good-ground); color: var(--ink); }
.message + p { margin-top: 1rem; }
.message.bad { background: var(--bad-ground); color: var(--bad); }
.foot { margin: 1.25rem 0 0; }
a { color: var(--accent); }
strong { color: var(--ink); overflow-wrap: anywhere; }
.unseen { position: absolute; width: 1px; height: 1px; padding: 0; border: 0; overflow: hidden; clip-path: inset(50%); }
code { font-family: "Source Code Pro", ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
"""

_BRAND = (
    '<p class="brand"><svg viewBox="0 0 24 24" aria-hidden="true">'
    '<path d="M6 3h9l4 4v14H6z"/><path d="M9 13l2.2 2.2L15.5 11"/></svg>'
    "RAG Workbench</p>"
)


def page(title: str, body: str) -> str:
    """Return a whole page; `body` is HTML whose variable parts are already escaped."""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="/login/style.css"><title>{escape(title)} · RAG Workbench</title></head>'
        f"<body><main>{_BRAND}<h1>{escape(title)}</h1>{body}</main></body></html>"
    )


def message(text: str, *, bad: bool = False) -> str:
    """Return a message that a screen reader announces."""
    return f'<p class="message{" bad" * bad}" role="{"alert" if bad else "status"}">{escape(text)}</p>' if text else ""


def login_page(*, csrf: str, name: str = "", target: str = "/", error: str = "", notice: str = "") -> str:
    """Return the sign-in form; the name typed before a failure is kept."""
    focus_password = bool(name)
    body = (
        "<p>Ask your documents, and check every answer against the page it came from.</p>"
        + message(error, bad=True)
        + message(notice)
        + f'<form method="post" action="/login">{hidden("csrf", csrf)}{hidden("next", target)}'
        + field("name", "User name", value=name, autocomplete="username", focus=not focus_password)
        + field("password", "Password", kind="password", autocomplete="current-password", focus=focus_password)
        + '<button type="submit">Sign in</button></form>'
    )
    return page("Sign in", body)


def setup_page(*, csrf: str, token: str = "", name: str = "", error: str = "") -> str:
    """Return the form for the first admin."""
    body = (
        "<p>Nobody can sign in yet. Make the first account: it will be an admin and can add the others.</p>"
        + message(error, bad=True)
        + f'<form method="post" action="/setup">{hidden("csrf", csrf)}'
        + field(
            "token",
            "One-time set-up token",
            value=token,
            focus=not token,
            note="The server printed it when it started: in the terminal where you ran it, or in its log.",
        )
        + field(
            "name",
            "User name",
            value=name,
            autocomplete="username",
            focus=bool(token) and not name,
            note="No spaces: for example anna or anna.berg.",
        )
        + field(
            "password",
            "Password",
            kind="password",
            autocomplete="new-password",
            focus=bool(token and name),
            note="At least 10 characters. A few unrelated words are easy to remember.",
        )
        + '<button type="submit">Create the first admin</button></form>'
    )
    return page("Set up this workbench", body)


def logout_page(*, csrf: str) -> str:
    """Return the question that stands between a foreign link and a sign-out."""
    return page(
        "Sign out?",
        f'<form method="post" action="/logout">{hidden("csrf", csrf)}<button type="submit">Sign out</button></form>',
    )


def hidden(name: str, value: str) -> str:
    """Return a field that is not shown."""
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def field(
    name: str,
    label: str,
    *,
    kind: str = "text",
    value: str = "",
    autocomplete: str = "off",
    note: str = "",
    focus: bool = False,
    numeric: bool = False,
) -> str:
    """Return a labelled field; its note is read out with it. `numeric` asks phones for their keys with digits."""
    digits = ' inputmode="numeric"' if numeric else ""
    focused = " autofocus" if focus else ""
    described = f' aria-describedby="{name}-note"' if note else ""
    return (
        f'<label for="{name}">{escape(label)}</label><input id="{name}" name="{name}" type="{kind}" value="{escape(value)}" '
        f'autocomplete="{autocomplete}" autocapitalize="none" spellcheck="false" required{described}{digits}{focused}>'
        + (f'<p class="note" id="{name}-note">{escape(note)}</p>' if note else "")
    )
