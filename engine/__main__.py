"""`python -m engine`: the command line."""

from __future__ import annotations

import os

import typer

from engine.commands import (
    access,
    audit,
    backup,
    breakers,
    generations,
    keeping,
    library,
    operations,
    providers,
    questions,
    upkeep,
    users,
    versions,
)
from engine.commands.evaluation import evaluate
from engine.commands.worker import worker

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
for command in (
    library.ingest,
    library.fetch,
    upkeep.sync,
    questions.ask,
    questions.search,
    library.documents,
    library.text,
    library.delete,
    versions.versions,
    versions.activate,
    evaluate,
    operations.grant,
    backup.backup,
    backup.verify,
    backup.restore,
    backup.export,
    providers.use,
    providers.migrate_store,
    generations.reembed,
    generations.generations,
    generations.revert_generation,
    keeping.reconcile,
    operations.health,
    operations.serve,
    worker,
):
    app.command()(command)
app.command("import")(backup.import_)
app.command("doctor", hidden=True)(operations.health)  # its former name
app.add_typer(users.user, name="user")
app.add_typer(access.group, name="group")
app.add_typer(access.key, name="key")
app.add_typer(providers.provider, name="provider")
app.add_typer(audit.audit, name="audit")
app.add_typer(breakers.breakers, name="breakers")
app.add_typer(upkeep.retention, name="retention")
app.add_typer(upkeep.hold, name="hold")

# Documents are secrets: what these commands, and the server they become, write is for this account alone.
os.umask(0o077)

if __name__ == "__main__":
    app(prog_name="python -m engine")
