"""The whole app over the real engine, with one person of each kind: `streamlit run tests/security/secured_app.py`.

Only the embedder is a stand-in. What tests need to know of the rows that were made is written to `seed.json` in the data folder.
"""

import json
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from engine import load_settings  # noqa: E402
from engine.access_views import Scope  # noqa: E402
from engine.assembly import Assembly  # noqa: E402
from engine.testing import HashedWords  # noqa: E402
from engine.types import Principal, Role  # noqa: E402
from tests.fixtures.loading.tiny_pdf import pdf  # noqa: E402
from tests.security.people import PASSWORD, PEOPLE  # noqa: E402
from ui.start import FRAME, app_options  # noqa: E402

settings = load_settings(ingestion={"worker": "inside"})  # a process of its own would load the real embedder
LOCAL = Principal(user_id="local", name="test", role=Role.ADMIN)
NARROW = (Scope.READ, Scope.ASK, Scope.WRITE)


@asynccontextmanager
async def build():
    assembly = Assembly(settings)
    assembly.use_embedder("local", HashedWords())
    async with assembly.opened(serve=True) as workbench:
        people = {name: await workbench.create_user(LOCAL, name, PASSWORD, Role(role)) for name, role in PEOPLE.items()}
        alice = replace(LOCAL, user_id=people["alice"].id, name="alice", role=Role.ANALYST, session_id="s")
        collection = await workbench.create_collection(alice, "Filings")
        document, _ = await workbench.upload(
            alice, collection.id, "report.pdf", pdf([[(72, 700, "Net sales rose by 5 percent.")]])
        )
        await workbench.process(alice, collection.id)
        keys = {}
        for name, role in PEOPLE.items():
            who = replace(alice, user_id=people[name].id, name=name, role=Role(role))
            scopes = {Role.ADMIN: tuple(Scope), Role.OPERATOR: (*NARROW, Scope.OPERATE)}.get(who.role, NARROW)
            keys[name] = (await workbench.create_api_key(who, "live", scopes)).text
        dead = await workbench.create_api_key(alice, "dead", NARROW)
        await workbench.revoke_api_key(alice, dead.info.id)
        keys["revoked key"] = dead.text
        seed = {"keys": keys, "document_id": document.id, "collection_id": collection.id}
        (settings.data_dir / "seed.json").write_text(json.dumps(seed))
        yield workbench


app = st.App(FRAME, **app_options(settings, build))
