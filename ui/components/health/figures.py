"""The charts: functions from measurements to figures. Colours are those of Okabe and Ito (2008), told apart by everybody.

Plotly reads a few HTML tags in names, so every name of a model or user goes through `plain`. `uirevision` names what is shown.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

from engine.operations_views import TimingPoint, TrafficPoint
from ui.components.safe_text import short

BLUE, ORANGE, GREEN, PINK, SKY, RED, GRAY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C"
STAGE_COLORS = {
    "rewrite": PINK,
    "cache": GRAY,
    "embed": SKY,
    "search": BLUE,
    "rerank": GREEN,
    "generate": ORANGE,
    "ground": RED,
}
"""In the order of an answer. "first_token" is a part of "generate", and "total" is all of them: neither is stacked."""
PERCENTILES: tuple[tuple[str, str, str, str], ...] = (
    ("p50", "p50_ms", BLUE, "solid"),
    ("p95", "p95_ms", ORANGE, "dash"),
    ("p99", "p99_ms", RED, "dot"),
)
SHARES: tuple[tuple[str, str, str, str], ...] = (
    ("failed", "failed", RED, "solid"),
    ("refused", "refused", ORANGE, "dash"),
    ("from the cache", "cached", BLUE, "dot"),
    ("fallback", "fallback", GREEN, "dashdot"),
)
TICKS = [
    {"dtickrange": [None, 43_200_000], "value": "%H:%M"},
    {"dtickrange": [43_200_000, None], "value": "%d %b"},
]
CONFIG = {"displayModeBar": False, "responsive": True}


def plain(text: str, limit: int = 40) -> str:
    """Return a name as Plotly shows it letter by letter."""
    return html.escape(short(text, limit))


def percentiles(points: Sequence[TimingPoint], stage: str, revision: str) -> Any:
    """Return p50, p95 and p99 of a stage over time, in seconds."""
    rows = [one for one in points if one.timing.label == stage]
    return _lines(
        [one.at for one in rows],
        [(name, [getattr(one.timing, field) / 1000 for one in rows], color, dash) for name, field, color, dash in PERCENTILES],
        f"{revision}-{stage}",
        "%{y:.3~s}s",
        ticksuffix=" s",
    )


def stacked_stages(points: Sequence[TimingPoint], step_seconds: int, revision: str) -> Any:
    """Return the mean time of each stage over time, one upon the other, in seconds: what an answer's time is made of."""
    import plotly.graph_objects as go  # type: ignore[import-untyped]

    figure = go.Figure()
    for stage, color in STAGE_COLORS.items():
        rows = [one for one in points if one.timing.label == stage]
        if rows:
            figure.add_bar(
                x=[one.at for one in rows], y=[one.timing.mean_ms / 1000 for one in rows], name=stage, marker_color=color,
                hovertemplate="%{y:.3~s}s", width=850 * step_seconds,
            )  # fmt: skip
    figure.update_layout(barmode="stack")
    return _finished(figure, revision, ticksuffix=" s")


def questions(points: Sequence[TrafficPoint], step_seconds: int, revision: str) -> Any:
    """Return questions per minute."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_bar(
        x=[one.at for one in points], y=[one.questions * 60 / step_seconds for one in points], marker_color=BLUE,
        name="questions per minute", hovertemplate="%{y:.2f}",
    )  # fmt: skip
    return _finished(figure, revision)


def shares(points: Sequence[TrafficPoint], revision: str) -> Any:
    """Return the shares of failed, refused, cached and fallback answers in percent; steps without questions are gaps."""

    def series(field: str) -> list[float | None]:
        return [min(100.0, 100 * getattr(one, field) / one.questions) if one.questions else None for one in points]

    return _lines(
        [one.at for one in points],
        [(name, series(field), color, dash) for name, field, color, dash in SHARES],
        revision,
        "%{y:.1f} %",
        ticksuffix=" %",
    )


def documents(points: Sequence[TrafficPoint], revision: str) -> Any:
    """Return documents that were processed and that failed."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, color, of, pattern in _DOCUMENTS:
        figure.add_bar(
            x=[one.at for one in points], y=[of(one) for one in points], name=name, marker_color=color,
            marker_pattern_shape=pattern, hovertemplate="%{y:,}",
        )  # fmt: skip
    figure.update_layout(barmode="stack")
    return _finished(figure, revision)


_DOCUMENTS: tuple[tuple[str, str, Callable[[TrafficPoint], int], str], ...] = (
    ("done", BLUE, lambda one: one.documents_done, ""),
    ("failed", RED, lambda one: one.documents_failed, "/"),
)


def spending(rows: Sequence[tuple[str, float]], revision: str) -> Any:
    """Return amounts by name, the greatest on top."""
    import plotly.graph_objects as go

    ordered = sorted(rows, key=lambda row: row[1])[-10:]
    figure = go.Figure(
        go.Bar(
            x=[usd for _, usd in ordered],
            y=list(range(len(ordered))),
            orientation="h",
            marker_color=BLUE,
            customdata=[plain(name, 80) for name, _ in ordered],
            hovertemplate="%{customdata}: $%{x:,.2f}<extra></extra>",
            text=[f"${usd:,.2f}" for _, usd in ordered],
            textposition="auto",
        )
    )
    figure = _finished(figure, revision)
    # Names stand on the ticks by number: two names may be the same when shortened.
    figure.update_yaxes(tickvals=list(range(len(ordered))), ticktext=[plain(name, 24) for name, _ in ordered], automargin=True)
    figure.update_xaxes(tickprefix="$", type="linear", rangemode="tozero")
    figure.update_layout(hovermode="closest", bargap=0.35)
    return figure


def _lines(
    times: Sequence[Any], lines: Sequence[tuple[str, list[Any], str, str]], revision: str, hover: str, *, ticksuffix: str
) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, values, color, dash in lines:
        figure.add_scatter(
            x=times,
            y=values,
            name=name,
            mode="lines+markers",
            hovertemplate=hover,
            line={"color": color, "dash": dash, "width": 2},
            marker={"size": 5},  # a value between two gaps has no line
        )
    return _finished(figure, revision, ticksuffix=ticksuffix)


def _finished(figure: Any, revision: str, *, ticksuffix: str = "") -> Any:
    figure.update_layout(
        uirevision=revision,
        margin={"l": 0, "r": 8, "t": 8, "b": 0},
        hovermode="x unified",
        bargap=0.15,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "traceorder": "normal", "title": {"text": ""}},
    )
    figure.update_yaxes(rangemode="tozero", ticksuffix=ticksuffix, nticks=6)
    # Few, flat ticks without the year: a phone is narrow.
    figure.update_xaxes(type="date", nticks=5, tickangle=0, tickformatstops=TICKS, hoverformat="%d %b %H:%M")
    return figure
