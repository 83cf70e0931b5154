"""Upkeep of the workbench in memory: backups, a difference that can be mended, rules, holds."""

from dataclasses import replace
from datetime import timedelta

from engine.errors import InputError, NotFound
from engine.keeping_views import (
    BackupInfo,
    Difference,
    LegalHold,
    ReconcileReport,
    RetentionEffect,
    RetentionKind,
)
from tests.ui.fake_people import START


class FakeUpkeep:
    """Everything in lists; `differences` is what the next comparison finds."""

    def start_upkeep(self):
        self.stored_backups, self.stored_rules, self.stored_holds = [], [], []
        self.applied_rules = []
        self.differences = (
            Difference(collection_id="c-1", collection="Annual <b>reports</b>", place="vectors", expected=120, found=118,
                       missing=3, orphans=1, mended=False),
        )  # fmt: skip

    async def backups(self, p):
        return list(reversed(self.stored_backups))

    async def start_backup(self, p):
        n = len(self.stored_backups) + 1
        made = BackupInfo(
            id=f"b-{n}", name=f"workbench-{n}.backup", scheduled=False, state="done", size_bytes=12_400_000, documents=17,
            rows=9_800, files=19, encrypted=False, sha256="ab" * 32, started_at=START, ended_at=START, tested_at=None, test_ok=None,
        )  # fmt: skip
        self.stored_backups.append(made)
        return made

    async def test_backup(self, p, backup_id):
        self.stored_backups = [
            replace(one, test_ok=True, tested_at=START, detail="9,800 rows and 19 originals came back")
            if one.id == backup_id
            else one
            for one in self.stored_backups
        ]

    async def reconcile(self, p, *, check=False, collection_id=None):
        found = tuple(replace(one, mended=not check) for one in self.differences)
        if not check:
            self.differences = ()
        return ReconcileReport(at=START, collections=3, entries=1_200, differences=found, seconds=0.4)

    async def retention_rules(self, p):
        return list(self.stored_rules)

    async def save_retention_rule(self, p, rule):
        if rule.kind is RetentionKind.AUDIT and rule.days < 365:
            raise InputError("a rule for audit takes 365 to 36,500 days", hint="Choose another number.")
        made = rule if rule.id else replace(rule, id=f"r-{len(self.stored_rules) + 1}")
        self.stored_rules = [one for one in self.stored_rules if one.id != made.id] + [made]
        return made

    async def delete_retention_rule(self, p, rule_id):
        self.stored_rules = [one for one in self.stored_rules if one.id != rule_id]

    async def retention_effects(self, p, rule_id=""):
        return [
            RetentionEffect(rule=one, count=0 if one.id in self.applied_rules else 4, held=1, oldest=START - timedelta(days=900),
                            examples=("old *report*.pdf",) if one.kind is RetentionKind.FILES else ())
            for one in self.stored_rules
        ]  # fmt: skip

    async def apply_retention(self, p, rule_id=""):
        self.applied_rules.append(rule_id)
        return []

    async def legal_holds(self, p):
        return list(self.stored_holds)

    async def set_legal_hold(self, p, kind, object_id, reason):
        made = LegalHold(
            id=f"h-{len(self.stored_holds) + 1}", kind=kind, object_id=object_id, name=f"the {kind}", reason=reason, set_by=p.name,
            set_at=START,
        )  # fmt: skip
        self.stored_holds.append(made)
        return made

    async def release_legal_hold(self, p, hold_id):
        if all(one.id != hold_id for one in self.stored_holds):
            raise NotFound("there is no such hold, or it was released already")
        self.stored_holds = [replace(one, released_at=START) if one.id == hold_id else one for one in self.stored_holds]
