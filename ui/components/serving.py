"""Who wrote an answer, how long it took and what it cost; and who should have written it but could not."""

from __future__ import annotations

from datetime import datetime

from engine.registry import GENERATORS
from engine.types import Answer
from ui.components.safe_text import counted, escape, short


def serving_label(answer: Answer) -> str:
    """Return provider, model, seconds, tokens and cost in one line of Markdown; what is not known is left out."""
    tokens = answer.usage.input_tokens + answer.usage.output_tokens
    parts = [_who(answer.provider, answer.model)]
    parts += [f"{answer.serving.seconds:.1f} s"] * bool(answer.serving.seconds)
    parts += [counted(tokens, "token")] * bool(tokens)
    cost = answer.serving.cost_usd
    if cost:
        parts.append(escape(money(cost)))
    elif cost is None and tokens and not _in_process(answer.provider):
        parts.append("price unknown")
    return " · ".join(part for part in parts if part)


def outage_line(answer: Answer) -> str:
    """Return who could not answer, why, and who did instead, as Markdown; "" when the first one answered."""
    if not answer.serving.outages:
        return ""
    first = answer.serving.outages[0]
    named = f"chat · {first.provider} · {first.model} "  # breakers name what they stand before; the sentence did already
    told = "it " + first.reason.removeprefix(named) if first.reason.startswith(named) else first.reason
    reason = escape(short(told, 300)).removesuffix("\\.")
    served = _who(answer.provider, answer.model)
    return f"**{_who(first.provider, first.model)}** could not answer ({reason}), so **{served}** did."


def kept_badge(answer: Answer, asked_at: datetime) -> str:
    """Return, as Markdown, that an answer was kept and how old it was when it was given; "" for one that was written then."""
    if not answer.serving.cached_at:
        return ""
    age = (asked_at - datetime.fromisoformat(answer.serving.cached_at)).total_seconds()
    return f":violet-badge[:material/history: Kept answer · {_age(age)} old]"


def _age(seconds: float) -> str:
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return "under a minute"


def money(usd: float) -> str:
    """Return an amount in US dollars, with as many places as make it readable."""
    if 0 < usd < 0.0001:
        return "< $0.0001"
    return f"${usd:,.4f}" if 0 < usd < 0.1 else f"${usd:,.2f}"


def _who(provider: str, model: str) -> str:
    return escape(short(provider)) + (f" · {escape(short(model))}" if model not in ("", provider) else "")


def _in_process(provider: str) -> bool:
    # Its price is its electricity: parts without key and address are built in under their registry name.
    spec = GENERATORS.get(provider)
    return spec is not None and not (spec.secret or spec.url)
