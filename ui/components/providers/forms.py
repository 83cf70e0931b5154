"""Adding a provider, changing one, and replacing its key. A key is handed over once and then forgotten with its widget."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

import streamlit as st

from engine.errors import EngineError
from engine.provider_views import Choices, KindInfo, ProviderInfo
from engine.registry import Field
from engine.types import Scalar
from ui.components.providers.looks import embedded
from ui.components.providers.state import PageState
from ui.components.providers.testing import in_use, run_test, verdict
from ui.components.safe_text import escape
from ui.session import Desk

VENDOR = "Empty = the vendor's own address"
EMBEDDED = "Empty = kept in the data folder of this workbench"


def add_form(desk: Desk, state: PageState, taken: Collection[str]) -> None:
    """Draw the form for a new provider; it is saved, then called once."""
    kinds = {one.kind: one for one in desk.call(desk.workbench.provider_kinds)}
    chosen = st.selectbox(
        "Kind", list(kinds), format_func=lambda kind: kinds[kind].label, key=f"providers_add_kind_{state.opened}"
    )
    if not chosen:
        st.info("There is no kind of provider to add.", icon=":material/inbox:")
        return
    kind = kinds[chosen]
    if not kind.installed:
        st.warning(f"It needs the package {escape(kind.needs)}, which is not installed.", icon=":material/deployed_code:")
    with st.form(f"providers_add_form_{chosen}", border=False, enter_to_submit=False):
        name = st.text_input("Name", free_name(chosen, taken), key=f"providers_add_name_{chosen}_{state.opened}", max_chars=60)
        address = _address(kind, f"providers_add_address_{chosen}_{state.opened}")
        key = _key(state, "Key", kind.key_name, "Stored encrypted; only its last 4 characters are ever shown.")
        options = _options(kind.fields, {}, f"providers_add_{chosen}", state.opened)
        timeout = _timeout(60.0, f"providers_add_timeout_{chosen}_{state.opened}")
        _failure(state)
        saved = st.form_submit_button("Save and test", key="providers_add_save", type="primary", disabled=not kind.installed)
    if not saved:
        return
    try:
        made = desk.call(
            desk.workbench.add_provider, chosen, name=name, base_url=address, key=key, options=options, timeout_seconds=timeout
        )
    except EngineError as error:
        state.fail(error, key_given=bool(key))
    else:
        _finish(desk, state, made, _model_there(desk, made), f"**{escape(made.name)}** was added.")
    st.rerun()


def edit_form(desk: Desk, state: PageState, info: ProviderInfo) -> None:
    """Draw the form for a provider that exists. A key never travels to another host: that is said before it is saved."""
    st.markdown(f"**{escape(info.name)}** · {escape(info.label)}")
    address = info.base_url
    if info.url:
        # Outside the form: what a new address means for the key is to be read before anything is saved.
        address = _text(
            "Address", info.base_url, f"providers_edit_address_{state.opened}", _where(info.url, embedded=embedded(info.kind))
        )
    moved = bool(info.key_last4) and host(address) != host(info.base_url)
    with st.form("providers_edit_form", border=False, enter_to_submit=False):
        if moved:
            st.warning(
                "This is another host. **The stored key will be dropped** unless you enter it again below.",
                icon=":material/key_off:",
            )
        label = f"Key (set, ends in {escape(info.key_last4)})" if info.key_last4 else "Key"
        key = _key(state, label, info.key_name, "Empty = leave it as it is." if not moved else "Empty = go on without a key.")
        options = _options(info.fields, info.options, "providers_edit", state.opened)
        timeout = _timeout(info.timeout_seconds, f"providers_edit_timeout_{state.opened}")
        _failure(state)
        # Another button than the one that stood there before the warning: a click on that one must not count.
        button = "providers_edit_save_moved" if moved else "providers_edit_save"
        saved = st.form_submit_button("Save", key=button, type="primary")
    if not saved:
        return
    try:
        made, dropped = desk.call(
            desk.workbench.edit_provider,
            info.name,
            base_url=address if address != info.base_url else None,
            key=key or None,
            options=options if options != dict(info.options) else None,
            timeout_seconds=timeout if timeout != info.timeout_seconds else None,
        )
    except EngineError as error:
        state.fail(error, key_given=bool(key))
    else:
        state.close()
        state.changed((True, f"**{escape(made.name)}** was saved."))
        if dropped:
            state.notices.append((False, "Its stored key was dropped, for the host changed. Set a key for the new address."))
    st.rerun()


def rotate_form(desk: Desk, state: PageState, info: ProviderInfo, choices: Choices | None) -> None:
    """Draw the form for another key of a provider; it is saved, then called once."""
    now = f"Its key ends in {escape(info.key_last4)}; the new one replaces it at once." if info.key_last4 else "It has no key."
    st.markdown(f"**{escape(info.name)}** · {now}")
    with st.form("providers_rotate_form", border=False):
        key = _key(state, "New key", info.key_name, "Stored encrypted; only its last 4 characters are ever shown.")
        _failure(state)
        saved = st.form_submit_button("Save and test", key="providers_rotate_save", type="primary")
    if not saved:
        return
    if not key:
        state.failure = "Enter the new key\\."
    else:
        try:
            made, _ = desk.call(desk.workbench.edit_provider, info.name, key=key)
        except EngineError as error:
            state.fail(error, key_given=True)
        else:
            _finish(
                desk, state, made, in_use(made, made.roles[0], choices), f"The key of **{escape(made.name)}** was replaced."
            )
    st.rerun()


def _model_there(desk: Desk, made: ProviderInfo) -> str:
    """Return the usual model, or another one that a new provider has: a server of one's own rarely has the vendor's."""
    usual = made.models.get(made.roles[0], "")
    try:
        known = desk.call(desk.workbench.provider_models, made.name, made.roles[0]) if usual else []
    except EngineError:  # the test that follows tells what is wrong
        known = []
    return known[0] if known and usual not in known else usual


def _finish(desk: Desk, state: PageState, made: ProviderInfo, model: str, done: str) -> None:
    state.close()
    notes = [(True, done)]
    run_test(desk, state, made, made.roles[0], model)
    if state.tested:
        notes.append(verdict(made.name, state.tested))
    elif state.failure:
        notes.append((False, f"It could not be tested. {state.failure}"))
    state.tested, state.failure = None, ""
    state.changed(*notes)


def free_name(kind: str, taken: Collection[str]) -> str:
    """Return a name for a new provider of a kind that no other one has."""
    numbered = (f"{kind}-{number}" for number in range(2, len(taken) + 3))
    return kind if kind not in taken else next(name for name in numbered if name not in taken)


def host(address: str) -> tuple[str, str, int | None]:
    """Return where an address leads, without its path; an unreadable one leads to itself."""
    try:
        parts = urlsplit(address.strip())
        port = parts.port
    except ValueError:
        return address, "", None
    return parts.scheme, parts.hostname or "", port


def _where(url: str, *, embedded: bool) -> str:
    return (EMBEDDED if embedded else VENDOR) if url == "vendor" else f"Usually {url}"


def _address(kind: KindInfo, key: str) -> str:
    if not kind.url:
        return ""
    return _text("Address", "" if kind.url == "vendor" else kind.url, key, _where(kind.url, embedded=kind.embedded))


def _key(state: PageState, label: str, key_name: str, words: str) -> str:
    if not key_name:
        return ""
    # Its name changes with every refusal and whenever a dialog closes, so that a typed key is gone after the run that used it.
    entered = st.text_input(
        label,
        type="password",
        autocomplete="new-password",
        key=f"providers_secret_{state.number}",
        placeholder=key_name,
        help=words,
    )
    return (entered or "").strip()


def _text(label: str, value: str, key: str, words: str = "") -> str:
    return (st.text_input(label, value, key=key, max_chars=500, placeholder=words, help=words or None) or "").strip()


def _options(fields: Sequence[Field], values: Mapping[str, Scalar], key: str, opened: int) -> dict[str, Scalar]:
    given = dict(values)
    for one in fields:
        value, name = given.get(one.name, one.default), f"{key}_{one.name}_{opened}"
        if isinstance(one.default, bool):
            given[one.name] = st.checkbox(one.label, bool(value), key=name, help=one.help or None)
        elif isinstance(one.default, int):
            entered = st.number_input(one.label, value=int(value), step=1, key=name, help=one.help or None)
            given[one.name] = int(entered if entered is not None else one.default)
        else:
            # Not stripped: a prefix may end in a space.
            given[one.name] = st.text_input(one.label, str(value), key=name, max_chars=500, help=one.help or None) or ""
    return given


def _timeout(value: float, key: str) -> float:
    with st.expander("More", type="compact"):
        entered = st.number_input("Seconds to wait for an answer", 1.0, 600.0, value, step=5.0, format="%.0f", key=key)
    return float(entered or value)


def _failure(state: PageState) -> None:
    if state.failure:
        st.error(state.failure, icon=":material/error:")
