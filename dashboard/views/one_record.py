"""One record under one strategy as a compact card of HTML: its answer, what drove it, where it looks, what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dashboard.views.ledger import plain, signed
from dashboard.views.picker import MARKS
from dashboard.views.sketch import Picture, audio_strip, look_of, picture, strongest_words
from fusion_core.compare.result import StrategyCost
from fusion_core.reading.texts import show_text
from fusion_core.types import Ledger, Trace
from fusion_core.words import ORIGINAL, count, present_in, say

CHANCE = "chance"
AT_CHANCE = "At chance level: not an answer, and nothing of it is explained."
#: What stands for the class every strategy answers by itself.
OWN = ""


@dataclass(frozen=True)
class StrategyCard:
    """What is said of a strategy beside its trace. original: whether it came with the encoders."""

    name: str
    status: str
    cost: StrategyCost
    failure: str = ""
    original: bool = False


def card(about: StrategyCard, trace: Trace | None, today: Trace | None, target: str, thumbnail: Picture | None) -> str:
    """Return the card of a strategy; today: the trace of the one it is compared with.

    target: the class that bars and map explain, `OWN` for each strategy's own answer. thumbnail: its picture.
    """
    facts = f'<p class="cost">{_cost(about.cost)}</p>'
    if trace is None:
        return f'<div class="one">{_head(about, "")}<p>{escape(about.failure or "No answer.")}</p>{facts}</div>'
    if about.status == CHANCE:
        return f'<div class="one chance">{_head(about, "")}<p>{AT_CHANCE}</p>{facts}</div>'
    mark = _beside(trace, today)
    explained = target or trace.prediction.top
    parts = [
        _head(about, mark),
        _answer(trace),
        bars(trace.ledgers[explained]),
        _map(trace, explained, thumbnail),
        facts,
    ]
    return f'<div class="one{" differs" if mark else ""}">{"".join(parts)}</div>'


def differs(trace: Trace, today: Trace | None) -> bool:
    """Return whether a strategy answers otherwise than the one it is compared with."""
    return today is not None and trace.status != CHANCE and trace.prediction.top != today.prediction.top


def _beside(trace: Trace, today: Trace | None) -> str:
    if today is None or trace.strategy == today.strategy:
        return ""
    return f"≠ {say(today.strategy)}" if differs(trace, today) else ""


def _head(about: StrategyCard, mark: str) -> str:
    tag = f'<span class="apart">{escape(mark)}</span>' if mark else ""
    name = f"{say(about.name)} ({ORIGINAL})" if about.original else say(about.name)
    return f'<div class="one-head"><b>{escape(name)}</b>{tag}</div>'


def _answer(trace: Trace) -> str:
    said = trace.prediction
    tone = {True: "good", False: "bad", None: ""}[said.correct]
    word = {True: "right", False: "wrong", None: "no truth known"}[said.correct]
    return (
        f'<div class="said"><i class="{tone}" role="img" aria-label="{word}">{MARKS[said.correct]}</i>'
        f'<strong class="{tone}">{escape(show_text(said.top))}</strong><span>{plain(said.confidence, 2)}</span></div>'
    )


def bars(account: Ledger) -> str:
    """Return the signed contributions as bars, ± 2 standard errors printed; a bar within them is pale."""
    present = present_in(account)
    most = max((abs(v) for v in account.contributions.values() if math.isfinite(v)), default=0.0) or 1.0
    rows = "".join(_bar(m, account, m in present, most) for m in account.contributions)
    pair = max(account.interactions.items(), key=lambda item: abs(item[1]), default=None)
    inside = ""
    if pair is not None and math.isfinite(pair[1]):
        name = " × ".join(say(m) for m in pair[0].split("+"))
        most_word = "most: " if len(account.interactions) > 1 else ""
        inside = f'<p class="inside">inside them, {most_word}{escape(name)} {signed(pair[1], 2)}</p>'
    return f'<div class="bars">{rows}</div>{inside}'


def _bar(modality: str, account: Ledger, present: bool, most: float) -> str:
    value, error = account.contributions[modality], account.standard_errors.get(modality)
    name = f"<span>{escape(say(modality))}</span>"
    if not present or not math.isfinite(value):
        word = "no number" if present else "absent"
        return f'{name}<span class="track"></span><span class="value gone">{word}</span>'
    width = 50 * abs(value) / most
    tone = ("against" if value < 0 else "for") + (" pale" if error is not None and abs(value) <= 2 * error else "")
    spread = f" <small>± {2 * error:.2f}</small>" if error is not None and math.isfinite(error) else ""
    return (
        f'{name}<span class="track"><i class="{tone}" style="width:{width:.1f}%"></i></span>'
        f'<span class="value">{signed(value, 2)}{spread}</span>'
    )


def _map(trace: Trace, target: str, thumbnail: Picture | None) -> str:
    """Return where it looks: cells over the picture, the strongest words, and seconds; named as what it is."""
    look = look_of(trace, target)
    if look is None:
        return '<p class="what">There is no map of this answer.</p>'
    image = picture(look, trace.axes.get("image"), thumbnail)
    beside = strongest_words(look, trace.axes.get("text")) + audio_strip(look, trace.axes.get("audio"))
    note = f'<p class="what" title="{escape(look.sentence)}">{escape(look.name)}<br>{escape(look.check)}</p>'
    return f'<div class="look">{image}<div class="beside">{beside}</div></div>{note}'


def _cost(cost: StrategyCost) -> str:
    return f"{cost.milliseconds:.1f} ms · {count(cost.parameters)} weights"


def tally(traces: Sequence[Trace], today: Trace | None) -> str:
    """Return in one sentence how many strategies are right, and how many answer otherwise than today's."""
    offered = [trace for trace in traces if trace.status != CHANCE]
    right = sum(trace.prediction.correct is True for trace in offered)
    known = any(trace.prediction.correct is not None for trace in offered)
    only = f"{say(offered[0].strategy)} is {'right' if right else 'wrong'}" if len(offered) == len(traces) == 1 else ""
    parts = [only or f"{right} of {len(offered)} strategies are right"] if known else ["no truth is known"]
    others = sum(differs(trace, today) for trace in offered)
    if today is not None and len(offered) > 1:
        parts.append(f"{others} of {len(offered) - 1} answer otherwise than {say(today.strategy)}")
    return f"{'; '.join(parts)}."


def explained_note(target: str, original: bool = False) -> str:
    """Return how bars, maps and costs are meant, in one caption; original: whether one came with the encoders."""
    to = f"the truth, “{show_text(target)}”" if target else "each strategy’s own answer"
    return (
        f"Bars: exact Shapley contributions to {to}, in logits less the mean logit, ± 2 standard errors; "
        "pale: not told from 0. Maps, each modality by its own strongest: blue is for the class, or attention above an "
        "even share (×); orange against. Attention is where it looks, not why it answers. ms: one fusion of encoded "
        f"tokens{', and of the original its whole transformer' if original else ''}."
    )
