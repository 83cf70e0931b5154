"""Who may speak to the network: a short list, each with its reason. Everything else goes through one of them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    *(path for folder in ("engine", "ui", "pages", "api") for path in sorted((ROOT / folder).rglob("*.py"))),
    ROOT / "app.py",
]
CLIENTS = {
    "httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "aiohttp", "websockets", "websocket", "http.client",
    "urllib.request", "socket", "ssl", "ftplib", "smtplib", "imaplib", "poplib", "telnetlib", "xmlrpc", "socketserver", "asyncpg",
    "huggingface_hub", "pycurl", "paramiko", "grpc", "openai", "ollama", "google", "pinecone", "chromadb", "qdrant_client",
    "opentelemetry.exporter", "redis", "celery", "kombu",
}  # fmt: skip
CALLS = {"create_connection", "open_connection", "urlopen", "urlretrieve", "open_unix_connection", "create_datagram_endpoint"}
MAY = {
    "engine/security/fetch.py": "the one function for addresses that people name",
    "engine/security/post.py": "the one function for webhooks; its client is that of engine/security/fetch.py",
    "engine/vendors/mail.py": "the mail server that an operator set in the settings",
    "engine/security/egress.py": "looks names up for the rules, and connects to nothing",
    "engine/monitoring/tracing.py": "names and numbers to the collector that an operator set; nothing else chooses its address",
    "engine/security/certificates.py": "one handshake with an address that the guard allowed, to read a certificate",
    "engine/vendors/openai.py": "transports of engine/vendors/limits.py, pinned",
    "engine/vendors/ollama.py": "transports of engine/vendors/limits.py, pinned",
    "engine/vendors/google_client.py": "transports of engine/vendors/limits.py, pinned",
    "engine/vendors/pinecone.py": "transports of engine/vendors/limits.py, pinned",
    "engine/stores/chroma.py": "a transport of engine/vendors/limits.py, pinned",
    "engine/stores/qdrant.py": "a transport of engine/vendors/limits.py, pinned",
    "engine/embedding/gemini.py": "names of the SDK; its clients are those of engine/vendors/google_client.py",
    "engine/generation/ollama.py": "names of the SDK; its clients are those of engine/vendors/ollama.py",
    "engine/generation/gemini.py": "names of the SDK; its clients are those of engine/vendors/google_client.py",
    "engine/generation/gemini_legacy.py": "an SDK over requests: what it connected to is compared before a byte is sent",
    "engine/vendors/postgres.py": "asks the guard at each connection of its driver",
    "engine/vendors/redis.py": "errors of the SDK; its client is that of engine/vendors/redis_client.py",
    "engine/vendors/redis_client.py": "the address is a setting of the operator, never one that a user or a provider names",
    "engine/vendors/celery.py": "the broker's address is a setting of the operator, never one that a user or a provider names",
    "engine/celery_app.py": "takes messages from that broker",
    "engine/vendors/huggingface.py": "asks the guard before a model is downloaded",
}


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def speaks(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {name for name in imported(tree) if any(f"{name}.".startswith(f"{client}.") for client in CLIENTS)}
    return found | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in CALLS}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_those_with_a_reason_speak_to_the_network(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    assert not speaks(path) or name in MAY, f"{name} uses {speaks(path)}: fetch with engine.security.fetch, or give a reason"


def test_the_list_holds_nobody_who_does_not() -> None:
    assert {name for name in MAY if not speaks(ROOT / name)} == set()


def test_every_client_of_a_vendor_hands_its_guard_on() -> None:
    made = [
        (path, node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Limits" and path.parts[-2] in ("vendors", "stores")
    ]
    assert len(made) >= 6
    for path, node in made:
        assert "endpoint.guard" in ast.unparse(node), f"{path.name} makes a client that may connect to anything"


# Streamlit fetches an address that is given as a picture, or lets the browser do it. What these draw is bytes of our own.
PICTURES = {"image", "audio", "video", "logo", "link_button", "page_link", "pdf"}


def drawn() -> list[tuple[str, ast.Call]]:
    return [
        (str(path.relative_to(ROOT)), node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "st"
    ]


OUR_PAGES = {("ui/components/account.py", "account")}  # a StreamlitPage of the frame, never a text


def test_screens_draw_no_picture_and_no_link_from_a_text() -> None:
    for name, call in drawn():
        if call.func.attr in PICTURES and call.args:  # type: ignore[attr-defined]
            source = ast.unparse(call.args[0])
            ours = source.endswith((".png", ".pages")) or (name, source) in OUR_PAGES
            assert ours or isinstance(call.args[0], ast.Constant), f"{name}: {ast.unparse(call)}"


def test_no_markdown_of_a_screen_makes_a_link_or_a_picture_of_what_varies() -> None:
    for name, call in drawn():
        for part in ast.walk(call):
            if isinstance(part, ast.JoinedStr):
                pieces = [
                    "{}" if isinstance(one, ast.FormattedValue) else str(getattr(one, "value", "")) for one in part.values
                ]
                assert "]({" not in "".join(pieces), f"{name}: {ast.unparse(part)}"
