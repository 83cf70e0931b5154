"""The audit of the workbench in memory: a few hundred entries, filters that work, a chain that can be broken."""

import json
from datetime import timedelta

from engine.audit_views import AuditEntry, AuditFacets, SavedView, SourceUse, Verification
from tests.ui.fake_people import START

SEEN = [
    ("auth.login", "success", {}),
    ("document.upload", "success", {"sha256": "ab" * 32, "verdict": "accepted"}),
    ("provider.edit", "success", {"before": {"base_url": "http://a", "timeout_seconds": 60.0},
                                  "after": {"base_url": "http://b", "timeout_seconds": 60.0}, "key": "dropped"}),
    ("collection.grant", "success", {"user": "bob", "before": "", "after": "read"}),
    ("question.ask", "success", {"documents": ["d-0001"], "refused": False, "provider": "extractive"}),
    ("document.delete", "denied", {}),
    ("auth.login", "failure", {}),
]  # fmt: skip


class FakeAudit:
    """Entries in a list; `broken` is the entry that verification names, 0 = none."""

    def start_audit(self):
        self.broken = 0
        self.saved_audit_views = {}
        self.exported = []
        self.entries = []
        for n in range(1, 251):
            action, outcome, details = SEEN[n % len(SEEN)]
            self.entries.append(
                AuditEntry(
                    seq=n, at=START + timedelta(minutes=n), actor="admin" if n % 3 else "", actor_id="u-admin", session_id="s-1",
                    action=action, object_type=action.split(".")[0], object=f"d-{n:04d}", outcome=outcome, ip="127.0.0.1",
                    details=details,
                )
            )  # fmt: skip

    async def audit(self, p, *, query=None, limit=200, before_seq=None):
        found = [one for one in reversed(self.entries) if before_seq is None or one.seq < before_seq]
        return [one for one in found if query is None or _fits(one, query)][:limit]

    async def audit_facets(self, p):
        return AuditFacets(
            actors=("admin", "bob"),
            actions=tuple(sorted({action for action, _, _ in SEEN})),
            outcomes=("denied", "failure", "success"),
            object_types=("document",),
        )

    async def audit_verify(self, p):
        if self.broken:
            return Verification(
                ok=False, rows=self.broken - 1, first_bad=self.broken, problem="the entry was altered after it was written",
                head=250, head_hash="00", checkpoints=0,
            )  # fmt: skip
        return Verification(ok=True, rows=250, first_bad=None, problem="", head=250, head_hash="00", checkpoints=3)

    async def audit_export(self, p, *, query, format):
        self.exported.append((query, format))
        return json.dumps([one.seq for one in self.entries if _fits(one, query)]).encode()

    async def audit_views(self, p):
        return [SavedView(name=name, query=query) for name, query in sorted(self.saved_audit_views.items())]

    async def save_audit_view(self, p, name, query):
        self.saved_audit_views[name] = query

    async def delete_audit_view(self, p, name):
        del self.saved_audit_views[name]

    async def audit_sources(self, p, *, document_id="", user="", since=None, until=None):
        uses = [
            SourceUse(at=START, user=name, message_id=f"m-{n}", question_id=f"q-{n}", document_id=key, document=one.name, version=1, page=n)
            for n, name in enumerate(("analyst", "admin"), 1)
            for key, one in self.stored_documents.items()
        ]  # fmt: skip
        return [one for one in uses if document_id in ("", one.document_id) and user in ("", one.user)]


def _fits(one, query):
    return (
        (query.action in ("", one.action) or (query.action.endswith(".") and one.action.startswith(query.action)))
        and query.outcome in ("", one.outcome)
        and query.actor in ("", one.actor)
        and query.text in f"{one.action} {one.object} {one.ip}"
        and (query.since is None or one.at >= query.since)
        and (query.until is None or one.at < query.until)
    )
