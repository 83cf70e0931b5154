"""From a file to a cited answer, and a new version of the file, with the tables on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.testing import ADMIN, offline_workbench
from tests.flows.conftest import add
from tests.servers.databases import SERVERS, database

LEAVE = (
    "Every employee has thirty days of paid leave a year – “Urlaub” 😀.\n\nParking is free for visitors on the second floor."
)
QUESTION = "How many days of paid leave does an employee have?"


@pytest.mark.parametrize("server", SERVERS)
async def test_an_answer_quotes_the_newest_version_also_after_a_restart(server: str, tmp_path: Path) -> None:
    with database(server) as (url, _):
        async with offline_workbench(tmp_path, database_url=url) as workbench:
            collection = (await workbench.create_collection(ADMIN, "handbook")).id
            await add(workbench, collection, "leave.txt", LEAVE)
            first = await workbench.ask(ADMIN, QUESTION, collections=[collection])
            info = await add(workbench, collection, "leave.txt", LEAVE.replace("thirty", "forty"))
        assert any("thirty days" in sentence.text for sentence in first.sentences)
        async with offline_workbench(tmp_path, database_url=url) as workbench:
            answer = await workbench.ask(ADMIN, QUESTION, collections=[collection])
            assert any("forty days" in sentence.text for sentence in answer.sentences)
            assert answer.citations
            for citation in answer.citations:
                page = await workbench.page(ADMIN, info.id, citation.page)
                assert page.text[citation.start : citation.end] == citation.text
                assert (citation.document, citation.version) == ("leave.txt", 2)
            shown = (await workbench.collections(ADMIN))[0]
            assert (type(shown.chunks), shown.documents, shown.failed) == (int, 1, 0)
            assert (await workbench.audit_verify(ADMIN)).ok
