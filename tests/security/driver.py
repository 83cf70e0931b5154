"""What an attacker has: HTTP requests, websockets, and an account of their own."""

import asyncio
import json
import re
import time
from pathlib import Path

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

from tests.security.people import PASSWORD

SCRIPT = "tests/security/secured_app.py"


def seed_of(data):
    """Return what the server wrote about its rows, once it is ready."""
    file, until = Path(data) / "seed.json", time.monotonic() + 120
    while not file.exists():
        assert time.monotonic() < until, "the server did not become ready"
        time.sleep(0.1)
    return json.loads(file.read_text())


def signed_in(url, name):
    """Return an HTTP client that has the session cookie of this person."""
    client = httpx.Client(base_url=url, timeout=30)
    csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)[1]
    answer = client.post("/login", data={"csrf": csrf, "name": name, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    client.headers["cookie"] = f"wb_session={client.cookies['wb_session']}"
    return client


def tab(url, cookie, *, replay="", headers=(), origin=None):
    """Open a tab's websocket; `replay` is a Streamlit session id to come back to."""
    protocols = ["streamlit", "x", *([replay] if replay else [])]
    return connect(
        url.replace("http", "ws") + "/_stcore/stream",
        additional_headers=[("cookie", cookie), *headers],
        subprotocols=protocols, origin=origin, max_size=None,
    )  # fmt: skip


def rerun(page="", query="", **widget):
    """Return the frame that asks for a run of the page; `widget` is one whose value changed: its id and the value."""
    message = BackMsg()
    message.rerun_script.query_string = query
    message.rerun_script.page_name = page
    if widget:
        message.rerun_script.widget_states.widgets.add(**widget)
    return message.SerializeToString()


def widget_id(messages, kind, label=""):
    """Return the id of the first widget of this kind (and label) that a run drew."""
    elements = [message.delta.new_element for message in messages if message.delta.HasField("new_element")]
    found = [getattr(one, kind) for one in elements if one.WhichOneof("type") == kind]
    return next(one.id for one in found if not label or one.label == label)


async def run(websocket, page="", query="", **widget):
    """Run the page once; return the Streamlit session id, the raw frames and their messages."""
    await websocket.send(rerun(page, query, **widget))
    frames, messages, session_id = [], [], ""
    while True:
        frame = await asyncio.wait_for(websocket.recv(), 30)
        message = ForwardMsg.FromString(frame)
        frames.append(frame)
        messages.append(message)
        if message.WhichOneof("type") == "new_session":
            session_id = message.new_session.initialize.session_id
        if message.WhichOneof("type") == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return session_id, frames, messages
