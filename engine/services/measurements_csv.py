"""The measurements as one long table: a row for each number, so that any program can pivot it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime

from engine.cells import neutral_cell
from engine.operations_views import Measurements, Timing

COLUMNS = ("at", "section", "label", "metric", "value", "unit")
Line = tuple[str, str, str, float | int | None, str]  # section, label, metric, value, unit


def table(found: Measurements, *, at: datetime) -> str:
    """Return CSV with a header. Points carry the beginning of their step; what is of the whole range or of now carries `at`.

    A number that nobody knows is an empty cell.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for moment, (section, label, metric, value, unit) in _lines(found, at):
        number = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
        writer.writerow([moment.isoformat(), section, neutral_cell(label), metric, number, unit])
    return text.getvalue()


def _lines(found: Measurements, at: datetime) -> Iterator[tuple[datetime, Line]]:
    for point in found.traffic:
        for metric in ("questions", "failed", "refused", "fallback", "cached", "documents_done", "documents_failed"):
            yield point.at, ("traffic", "", metric, getattr(point, metric), "")
    for one in found.stage_points:
        yield from ((one.at, line) for line in _timing("stage", one.timing))
    for line in _whole(found):
        yield at, line


def _whole(found: Measurements) -> Iterator[Line]:
    for section, timings in (("stages of the range", found.stages), ("dependencies of the range", found.dependencies)):
        for timing in timings:
            yield from _timing(section, timing)
    for cache in found.caches:
        yield "cache", f"{cache.name} ({cache.where})", "hits", cache.hits, ""
        yield "cache", f"{cache.name} ({cache.where})", "misses", cache.misses, ""
        yield "cache", f"{cache.name} ({cache.where})", "rate", cache.rate, "share"
    for error, count in found.errors:
        yield "errors", error, "count", count, ""
    yield "ingestion", "", "waiting", found.ingestion.waiting, ""
    yield "ingestion", "", "running", found.ingestion.running, ""
    yield "ingestion", "", "oldest", found.ingestion.oldest_seconds, "s"
    for section, files in (("slowest files", found.ingestion.slowest), ("stalled files", found.ingestion.stalled)):
        for file in files:
            yield section, file.document, file.state, file.seconds, "s"
    yield from _costs(found)
    yield "quality", "", "answers", found.quality.answers, ""
    yield "quality", "", "unsupported sentences", found.quality.unsupported_rate, "share"
    yield "quality", "", "refusals", found.quality.refusal_rate, "share"


def _costs(found: Measurements) -> Iterator[Line]:
    costs = found.spending
    for metric, dollars in (("today", costs.today), ("this month", costs.month), ("forecast of the month", costs.forecast)):
        yield "spending", "", metric, dollars, "US$"
    yield "spending", "", "calls without a price", costs.unknown_calls, ""
    for section, sums in (("spending by model", costs.by_model), ("spending by user", costs.by_user)):
        for label, dollars in sums:
            yield section, label, "this month", dollars, "US$"


def _timing(section: str, timing: Timing) -> Iterator[Line]:
    yield section, timing.label, "count", timing.count, ""
    yield section, timing.label, "errors", timing.errors, ""
    for metric in ("mean", "p50", "p95", "p99"):
        yield section, timing.label, metric, float(getattr(timing, f"{metric}_ms")), "ms"
