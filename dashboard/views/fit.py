"""Fit in words and HTML: what a record set holds, how far a fit is, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from dashboard.views.labels import cut, say
from fusion_core.fit_plan import FitStep
from fusion_core.model import Fitted
from fusion_core.reading.records import RecordSet
from fusion_core.reading.texts import show_text
from fusion_core.types import MODALITIES
from fusion_core.words import AS_LOADED, ORIGINAL, count

MOST_CLASSES = 12
LONGEST_CLASS = 28


@dataclass(frozen=True)
class Account:
    """What a record set holds. classes, present: names with counts, over the records that can be learned from."""

    rows: int
    refused: int
    learned: int
    classes: tuple[tuple[str, int], ...]
    present: tuple[tuple[str, int], ...]


def account(records: RecordSet, learned: Mapping[str, str]) -> Account:
    """Count a set. learned: what is learned of each record, by id."""
    own = [record for record in records.records if record.id in learned]
    having = Counter(m for record in own for m in record.present())
    return Account(
        rows=len(records),
        refused=len(records.refusals),
        learned=len(own),
        classes=tuple(Counter(learned[record.id] for record in own).most_common()),
        present=tuple((m, having[m]) for m in MODALITIES),
    )


def account_html(found: Account, teacher: str | None) -> str:
    """Return the account as HTML. teacher: whose answers are learned, None for labels."""
    word = "labelled" if teacher is None else "answered"
    refused = f"{found.refused:,} could not be read" if found.refused else "all could be read"
    balance = f"largest {found.classes[0][1] / found.learned:.0%}" if found.classes else "none"
    cards = (
        ("rows", f"{found.rows:,}", refused),
        (word, f"{found.learned:,}", "can be learned from" if teacher is None else f"by {escape(show_text(teacher))}"),
        ("classes", f"{len(found.classes):,}", balance),
    )
    figures = "".join(
        f"<div><span>{name}</span><strong>{value}</strong><small>{note}</small></div>" for name, value, note in cards
    )
    return (
        f'<div class="fit-figures">{figures}</div><div class="fit-bars">'
        f"<section><h4>What is to be told apart?</h4>{_class_bars(found)}</section>"
        f"<section><h4>What do the records have?</h4>{_bars(found.present, found.learned)}</section></div>"
    )


def _class_bars(found: Account) -> str:
    shown, rest = found.classes[:MOST_CLASSES], found.classes[MOST_CLASSES:]
    more = ""
    if rest:
        low, high = rest[-1][1], rest[0][1]
        each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        each += " record" if high == 1 else " records"
        more = f'<p class="fit-note">and {len(rest):,} more with {each} each</p>'
    return (_bars(shown, found.learned) if shown else '<p class="fit-note">No class.</p>') + more


def _bars(named: Sequence[tuple[str, int]], of: int) -> str:
    return f"<ul>{''.join(_bar(show_text(name), number, number / max(1, of)) for name, number in named)}</ul>"


def _bar(name: str, number: int, share: float) -> str:
    return (
        f'<li><span title="{escape(name)}">{escape(cut(name, LONGEST_CLASS))}</span>'
        f'<i><b style="width:{100 * share:.1f}%"></b></i><em>{number:,} · {share:.0%}</em></li>'
    )


def size_words(parameters: int | None, level: str) -> str:
    """Return what a strategy is, as the caption of its choice."""
    return level if parameters is None else f"{level} · {count(parameters)} weights"


def time_left(seconds: float | None) -> str:
    """Return how long a fit still takes, as the end of a sentence; empty while that is not known."""
    if seconds is None:
        return ""
    if seconds < 5:
        return ", a few seconds left"
    if seconds < 90:
        return f", about {5 * round(seconds / 5)} s left"
    return f", about {round(seconds / 60)} min left"


def step_sentence(step: FitStep) -> str:
    """Return what a fit is doing."""
    if step.stage == "encode":
        return f"Encoding {step.done:,} of {step.of:,} records{time_left(step.seconds_left)}."
    if step.stage == "save":
        measured = f" Clean records measured for diagnosis: {step.done:,} of {step.of:,}." if step.of > 1 else ""
        return f"Saving the bundle.{measured}"
    name = say(step.strategy or "")
    return f"Training {name}: pass {step.done} of at most {step.of}{time_left(step.seconds_left)}."


def progress_html(step: FitStep, planned: Collection[str]) -> str:
    """Return a line per strategy: done with its figures, under way with its passes, or waiting."""
    names = [*planned, *(n for n in (*step.fitted, *step.curves) if n not in planned)]
    return f'<ul class="fit-progress">{"".join(_progress_row(name, step) for name in dict.fromkeys(names))}</ul>'


def _progress_row(name: str, step: FitStep) -> str:
    passes = step.curves.get(name, ())
    if name in step.fitted:
        tone, share, said = "done", 1.0, _accuracy(step.fitted[name])
    elif name == step.strategy and step.stage == "train":
        best = f", best {max(p.accuracy for p in passes):.2f}" if passes else ""
        tone, share, said = "now", step.done / max(1, step.of), f"pass {step.done} of {step.of}{best}"
    else:
        tone, share, said = "wait", 0.0, "waiting"
    return (
        f'<li class="{tone}"><span>{escape(say(name))}</span>'
        f'<i><b style="width:{100 * share:.0f}%"></b></i><em>{said}</em></li>'
    )


def _accuracy(fitted: Fitted) -> str:
    accuracy, (low, high), _ = fitted.measured
    return f"{accuracy:.2f} ({low:.2f} to {high:.2f})"


def result_html(fitted: Mapping[str, Fitted], distilled: bool) -> str:
    """Return the strategies, the best first: accuracy with its interval beside chance, status, size and time.

    distilled: a teacher's answers were learned, so that accuracy is agreement with them.
    """
    ranked = sorted(fitted.values(), key=lambda f: -f.rank)
    measure = "agreement with the teacher" if distilled else "validation accuracy"
    rows = "".join(_result_row(f) for f in ranked)
    return (
        f'<div class="fit-scroll"><table class="fit-result"><thead><tr><th>strategy</th><th colspan="2">{measure}, '
        "95 % interval</th><th>status</th><th>weights</th><th>seconds</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _result_row(fitted: Fitted) -> str:
    accuracy, (low, high), chance = fitted.measured
    span = (
        f'<div class="fit-span" role="img" aria-label="{_accuracy(fitted)}, chance {chance:.2f}">'
        f'<u style="left:{100 * chance:.1f}%"></u>'
        f'<b style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></b>'
        f'<s style="left:{100 * accuracy:.1f}%"></s></div>'
    )
    status = "at chance" if fitted.status == "chance" else fitted.status
    name = say(fitted.strategy) + (f" ({ORIGINAL})" if fitted.status == AS_LOADED else "")
    return (
        f'<tr class="{escape(fitted.status)}"><th scope="row">{escape(name)}</th>'
        f'<td class="fit-figure"><strong>{accuracy:.3f}</strong> '
        f"<small>{low:.3f} to {high:.3f}</small></td>"
        f"<td>{span}</td><td><em>{escape(status)}</em></td><td>{fitted.parameters:,}</td>"
        f"<td>{'–' if fitted.status == AS_LOADED else f'{fitted.seconds:.1f}'}</td></tr>"
    )


def result_caption(fitted: Mapping[str, Fitted], distilled: bool, seed: int) -> str:
    """Return how the figures came to be and what they allow to say."""
    any_of = max(fitted.values(), key=lambda f: f.training_records)
    held = f"{any_of.validation_records:,} records held out of {any_of.validation_records + any_of.training_records:,}"
    if distilled:
        chance = f"the teacher's commonest answer alone ({any_of.chance:.2f})"
        measure = "How often a head answers as the teacher did, right or wrong"
    else:
        chance = f"the commonest class alone ({any_of.chance:.2f})"
        measure = "Share answered rightly"
    return (
        f"{measure}, of {held}; band: 95 % Wilson interval; tick: {chance}. Where bands overlap this set does not tell "
        f"two strategies apart. Seed {seed}."
    )


def ended_sentence(name: str, fitted: Mapping[str, Fitted], planned: Collection[str], stopped: bool) -> str:
    """Return what came of a fit."""
    trained = sum(f.status != AS_LOADED for f in fitted.values())
    done = f"{trained} strateg{'y' if trained == 1 else 'ies'}"
    done += ", and the original beside them" if trained < len(fitted) else ""
    if not stopped:
        return f"“{name}” is fitted: {done}."
    left = [say(n) for n in planned if n not in fitted]
    without = f" Not trained: {', '.join(left)}." if left else ""
    return f"“{name}” was stopped early and keeps what was done: {done}.{without}"
