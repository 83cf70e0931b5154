"""The facade in memory: what pages need to be looked at and tested without the engine. No embedding, no database."""

import asyncio
import hashlib
import io
import itertools
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from PIL import Image, ImageDraw

from engine.documents import Chunk, Page, PageImage
from engine.errors import (
    AddressDenied,
    InputError,
    NotFound,
    PasswordNeeded,
    ProviderUnavailable,
    QuestionRejected,
    UnsupportedFile,
)
from engine.ingestion_views import OnDuplicate
from engine.types import Principal, Right, Role
from engine.views import CollectionInfo, ConversationInfo, DocumentInfo, MessageInfo, UploadVerdict
from tests.ui.fake_access import FakeAccess, fill_access
from tests.ui.fake_answer import TEXT, finished, kept
from tests.ui.fake_audit import FakeAudit
from tests.ui.fake_ingestion import FakeIngestion
from tests.ui.fake_operations import FakeOperations
from tests.ui.fake_people import START, FakePeople
from tests.ui.fake_providers import FakeProviders, fill_providers
from tests.ui.fake_upkeep import FakeUpkeep


class FakeWorkbench(FakeAccess, FakeAudit, FakeIngestion, FakeOperations, FakePeople, FakeProviders, FakeUpkeep):
    """Keeps everything in dictionaries; `fail` makes the named methods raise."""

    def __init__(self, *, step_seconds=0.0):
        self.meter = None
        self.setup_token = "set-up-token-for-the-fake"
        self.fail = {}
        self.step_seconds = step_seconds
        self.start_people()
        self.stored_collections, self.stored_documents, self.texts = {}, {}, {}
        self.stored_conversations, self.stored_messages = {}, {}
        self.stored_held, self.tasks = {}, {}
        self.fresh = []  # of each question, whether a fresh answer was asked for
        self.start_providers()
        self.start_audit()
        self.start_access()
        self.start_operations()
        self.start_ingestion()
        self.start_upkeep()
        self.ids = (f"{kind:04d}" for kind in itertools.count(1))

    def __getattribute__(self, name):
        fail = object.__getattribute__(self, "__dict__").get("fail", {})
        if name in fail:

            async def failing(*_args, **_options):
                raise fail[name]

            return failing
        return object.__getattribute__(self, name)

    # --- documents

    async def collections(self, p):
        return [self._counted(one) for one in self.stored_collections.values()]

    def _counted(self, one):
        docs = [d for d in self.stored_documents.values() if d.collection_id == one.id and d.state != "deleted"]
        return replace(
            one,
            documents=len(docs),
            chunks=sum(d.chunks for d in docs),
            failed=sum(d.state == "failed" for d in docs),
            working=sum(d.state not in ("live", "failed") for d in docs),
        )

    async def create_collection(self, p, name, *, description="", chunker=""):
        if any(one.name == name for one in self.stored_collections.values()):
            raise InputError(f"a collection named {name!r} exists", hint="choose another name")
        info = CollectionInfo(
            id=f"c-{next(self.ids)}", name=name, description=description, right=Right.OWNER, chunker=chunker or "recursive",
            embedder="local", documents=0, chunks=0, failed=0, working=0, created_at=START,
        )  # fmt: skip
        self.stored_collections[info.id] = info
        return info

    async def delete_collection(self, p, collection_id):
        self.stored_collections.pop(collection_id)

    async def upload(self, p, collection_id, name, data, *, password=None, on_duplicate=OnDuplicate.ASK):
        self.uploaded_as.append((name, on_duplicate))
        data = data if isinstance(data, bytes) else data.read_bytes()
        if name.endswith(".exe"):
            raise UnsupportedFile(
                f"{name} is a program, which no loader reads", hint="Upload PDF, Word, Excel, PowerPoint or text."
            )
        sha = hashlib.sha256(data).hexdigest()
        for one in list(self.stored_documents.values()):
            if one.collection_id != collection_id or one.state == "deleted":
                continue
            if one.sha256 == sha and on_duplicate is not OnDuplicate.VERSION:
                return one, UploadVerdict.DUPLICATE
            if one.name == name:
                self.stored_documents[one.id] = replace(one, version=one.version + 1, versions=one.versions + 1, sha256=sha)
                return self.stored_documents[one.id], UploadVerdict.NEW_VERSION
        info = DocumentInfo(
            id=f"d-{next(self.ids)}", collection_id=collection_id, collection=self.stored_collections[collection_id].name, name=name,
            media_type="application/pdf", title="", version=1, state="stored", progress=0.0, reason="", hint="", pages=0,
            pages_with_text=0, chunks=0, size_bytes=len(data), sha256=sha, warnings=(), created_at=START, updated_at=datetime.now(UTC),
        )  # fmt: skip
        self.stored_documents[info.id] = info
        if self.step_seconds:
            self.tasks[info.id] = asyncio.create_task(self._process(info.id))
        else:
            self._finish(info.id)
        return info, UploadVerdict.ACCEPTED

    async def upload_url(self, p, collection_id, url):
        if "127.0.0.1" in url:
            raise AddressDenied
        return await self.upload(p, collection_id, url.rsplit("/", 1)[-1], url.encode())

    async def _process(self, document_id):
        for state, progress in (("parsed", 0.25), ("chunked", 0.5), ("embedded", 0.8)):
            await asyncio.sleep(self.step_seconds)
            self.stored_documents[document_id] = replace(self.stored_documents[document_id], state=state, progress=progress)
        await asyncio.sleep(self.step_seconds)
        self._finish(document_id)

    def _finish(self, document_id):
        one = self.stored_documents[document_id]
        if "broken" in one.name:
            outcome = {
                "state": "failed",
                "reason": "the file ends in the middle of a table",
                "hint": "Save it again and upload that copy.",
            }
        elif "secret" in one.name:
            outcome = {"state": "failed", "reason": "the file is encrypted", "hint": PasswordNeeded.default_hint}
        else:
            with_text = 3 if "scan" in one.name else 6
            warnings = (
                ("3 of 6 pages have no text (scanned pictures): 2, 4, 5. They cannot be found or cited.",)
                if "scan" in one.name
                else ()
            )
            outcome = {
                "state": "live",
                "progress": 1.0,
                "pages": 6,
                "pages_with_text": with_text,
                "chunks": 12,
                "warnings": warnings,
            }
        self.stored_documents[document_id] = replace(one, **outcome)

    async def documents(self, p, collection_id=None):
        return [d for d in self.stored_documents.values() if d.state != "deleted" and collection_id in (None, d.collection_id)]

    async def document(self, p, document_id):
        try:
            return self.stored_documents[document_id]
        except KeyError:
            raise NotFound("there is no such document") from None

    async def page(self, p, document_id, number, *, version=None):
        return Page(number=number, text=f"Annual report, page {number}.\n\n{self.texts.get(document_id, TEXT)}")

    async def chunks(self, p, document_id, *, version=None):
        one = await self.document(p, document_id)
        found = []
        for number in range(1, one.pages_to_open + 1):
            text = (await self.page(p, document_id, number)).text
            for ordinal, start in enumerate((0, len(text) // 2)):
                end = len(text) // 2 if start == 0 else len(text)
                found.append(
                    Chunk(id=f"{document_id}-{number}-{ordinal}", collection_id=one.collection_id, document_id=one.id,
                          document_name=one.name, version=1, version_id="v", ordinal=len(found), page=number, start=start, end=end,
                          text=text[start:end], section=("Results", "Revenue"))
                )  # fmt: skip
        return found

    async def original(self, p, document_id, *, version=None):
        return b"%PDF-1.4 fake"

    async def page_image(self, p, document_id, number, *, version=None, highlight=(), width=1000):
        if (await self.document(p, document_id)).name.endswith(".txt"):
            return None
        picture = Image.new("RGB", (width, int(width * 1.3)), "white")
        draw, text = ImageDraw.Draw(picture, "RGBA"), (await self.page(p, document_id, number)).text
        for row, start in enumerate(range(0, len(text), 60)):
            if any(start < end and begin < start + 60 for begin, end in highlight):
                draw.rectangle((60, 80 + row * 40, width - 60, 116 + row * 40), fill=(255, 214, 64, 120))
            draw.text((70, 84 + row * 40), text[start : start + 60].replace("\n", " "), fill="black", font_size=26)
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return PageImage(png=buffer.getvalue(), width=picture.width, height=picture.height)

    async def delete_document(self, p, document_id):
        self.stored_documents[document_id] = replace(await self.document(p, document_id), state="deleted")

    async def restore_document(self, p, document_id):
        self.stored_documents[document_id] = replace(await self.document(p, document_id), state="live")

    async def quarantine(self, p, collection_id=None):
        found = [one for one in self.stored_held.values() if collection_id in (None, one.collection_id)]
        return sorted(found, key=lambda one: (one.state != "held", -one.score))

    async def release_passage(self, p, chunk_id):
        self.stored_held[chunk_id] = replace(self.stored_held[chunk_id], state="released", decided_by=p.name)

    async def hold_passage(self, p, chunk_id):
        self.stored_held[chunk_id] = replace(self.stored_held[chunk_id], state="held", decided_by=p.name)

    async def reprocess(self, p, document_id, *, password=None):
        self.given_password = password
        self._finish(document_id)
        return self.stored_documents[document_id]

    # --- chat

    async def conversations(self, p):
        return sorted(self.stored_conversations.values(), key=lambda one: one.updated_at, reverse=True)

    async def create_conversation(self, p, collections):
        info = ConversationInfo(
            id=f"k-{next(self.ids)}", title="New conversation", collections=tuple(collections), updated_at=datetime.now(UTC)
        )
        self.stored_conversations[info.id], self.stored_messages[info.id] = info, []
        return info

    async def rename_conversation(self, p, conversation_id, title):
        self.stored_conversations[conversation_id] = replace(self.stored_conversations[conversation_id], title=title)

    async def delete_conversation(self, p, conversation_id):
        self.stored_conversations.pop(conversation_id)

    async def set_scope(self, p, conversation_id, collections):
        one = self.stored_conversations[conversation_id]
        self.stored_conversations[conversation_id] = replace(one, collections=tuple(collections))

    async def messages(self, p, conversation_id):
        if conversation_id not in self.stored_messages:
            raise NotFound("there is no such conversation", hint="start a new one")
        return list(self.stored_messages[conversation_id])

    async def send(self, p, conversation_id, question, *, fresh=False):
        if "provider down" in question:
            raise ProviderUnavailable("the provider does not answer", hint="try again in a minute")
        if len(question) > 4000:
            raise QuestionRejected("a question has 1 to 4000 characters", hint="Change it and send it again.")
        if any(one.state == "streaming" for one in self.stored_messages[conversation_id]):
            raise QuestionRejected("the previous answer is still being written", hint="Stop it, or wait for it.")
        common = {"conversation_id": conversation_id, "created_at": datetime.now(UTC)}
        asked = MessageInfo(id=f"m-{next(self.ids)}", role="user", text=question, state="done", **common)
        reply = MessageInfo(id=f"m-{next(self.ids)}", role="assistant", text="", state="streaming", step="Searching", **common)
        self.stored_messages[conversation_id] += [asked, reply]
        one = self.stored_conversations[conversation_id]
        title = question[:60] if len(self.stored_messages[conversation_id]) == 2 else one.title
        self.stored_conversations[conversation_id] = replace(one, title=title, updated_at=datetime.now(UTC))
        self.fresh.append(fresh)
        if "kept" in question and not fresh:
            self._store(kept(finished(reply, question, self.stored_documents)))
        elif self.step_seconds:
            self.tasks[reply.id] = asyncio.create_task(self._write(reply, question))
        else:
            self._store(finished(reply, question, self.stored_documents))
        return reply

    async def _write(self, reply, question):
        for step in ("Searching", "Found 24 passages in 5 documents", "Ranked 8", "Writing"):
            self._store(replace(reply, step=step))
            await asyncio.sleep(self.step_seconds)
        done, shown = finished(reply, question, self.stored_documents), ""
        for word in done.text.split(" "):
            shown += word + " "
            self._store(replace(reply, step="Writing", text=shown))
            await asyncio.sleep(self.step_seconds / 8)
        self._store(done)

    def _store(self, message):
        stored = self.stored_messages[message.conversation_id]
        stored[:] = [message if one.id == message.id else one for one in stored]

    async def message(self, p, message_id):
        for messages in self.stored_messages.values():
            for one in messages:
                if one.id == message_id:
                    return one
        raise NotFound("there is no such message")

    async def stop(self, p, message_id):
        if message_id in self.tasks:
            self.tasks[message_id].cancel()
        self._store(replace(await self.message(p, message_id), state="stopped", step=""))

    async def citation_states(self, p, message_id):
        answer = (await self.message(p, message_id)).answer
        states = ["current", "changed", "removed", "no access"]
        return {c.n: states[(c.n - 1) % 4] for c in answer.citations} if answer else {}


@asynccontextmanager
async def build_fake(*, step_seconds=0.4):
    """Yield a workbench that takes its time, so that progress can be seen."""
    yield FakeWorkbench(step_seconds=step_seconds)


def seeded():
    """Return a workbench with people of each role, a collection, three documents, an old conversation and providers."""
    workbench = FakeWorkbench()
    for role in Role:
        workbench.person(role.value, role)
    anna = Principal(user_id="u-analyst", name="analyst", role=Role.ANALYST)
    admin = Principal(user_id="u-admin", name="admin", role=Role.ADMIN)

    async def fill():
        collection = await workbench.create_collection(anna, "Filings")
        for name in ("report.pdf", "scan.pdf", "broken.pdf"):
            await workbench.upload(anna, collection.id, name, name.encode())
        conversation = await workbench.create_conversation(anna, [collection.id])
        await workbench.send(anna, conversation.id, "How did revenue develop?")
        one = workbench.stored_conversations[conversation.id]
        workbench.stored_conversations[conversation.id] = replace(one, updated_at=datetime.now(UTC) - timedelta(days=3))
        await fill_providers(workbench, admin)
        await fill_access(workbench, admin)

    asyncio.run(fill())
    return workbench
