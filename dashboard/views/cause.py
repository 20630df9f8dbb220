"""What went wrong with one record, as HTML: the cause, what speaks for it, the repairs tried, what else it could be."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fusion_core.reading.texts import show_text
from fusion_core.types import Cause, Clue, Diagnosis, Repair
from fusion_core.words import cause_words

OTHERS = 3
LEAST_SHARE = 0.02  # of belief, below which another cause is not worth a line


def cause_html(said: Diagnosis, logged: tuple[str, str] | None, wrong: bool | None) -> str:
    """Return the card of a diagnosis; logged: cause and sentence of the log's own diagnosis, where it knew more.

    wrong: whether the answer is, None without a label; of a right one no repair is told.
    """
    cause = f"{said.cause.modality} {said.cause.fault}"
    sentence = _sentence(said.clues, said.cause)
    score = f"{said.cause.score:.0%} of belief"
    if logged is not None and logged[0] != cause and logged[0] != "none none":
        cause, sentence, score = logged[0], logged[1], "by the records before it in the log"
    found = cause != "none none"
    title = cause_words(cause) if found else _nothing(wrong)
    advice = next((clue.advice for clue in said.clues if f"{clue.modality} {clue.fault}" == cause), "") if found else ""
    parts = [
        f'<div class="cause-name{" found" if found else ""}"><b>{_text(title)}</b><small>{_text(score)}</small></div>',
        f"<p>{_text(sentence if found else NOTHING_FOUND)}</p>",
        f"<p><em>{_text(advice)}</em></p>" if advice else "",
        _repairs(said.repairs) if wrong is not False else "",
        _others(said, cause),
    ]
    return f'<div class="cause">{"".join(parts)}</div>'


def cause_line_html(cause: str, sentence: str) -> str:
    """Return one line with a cause that a log's diagnosis named, and where its evidence stands."""
    where = "Evidence and repair tests stand below the board."
    return (
        f'<div class="cause"><p><b class="cause-word">{_text(cause_words(cause))}</b> {_text(sentence)} '
        f"<small>{_text(where)}</small></p></div>"
    )


NOTHING_FOUND = "No signal of its text, image or audio lies outside what clean validation records show."


def _nothing(wrong: bool | None) -> str:
    return "nothing found that explains it" if wrong else "nothing stands out"


def _sentence(clues: Sequence[Clue], cause: Cause) -> str:
    own = (clue for clue in clues if (clue.modality, clue.fault) == (cause.modality, cause.fault))
    return next((clue.sentence for clue in own), "")


def _repairs(repairs: Sequence[Repair]) -> str:
    """Return the repair tests as a table: a repair counts as far as it beats its control."""
    if not repairs:
        return ""
    rows = "".join(
        f"<tr><td>{_text(r.modality)}</td><td>{_text(r.action)}</td><td>{_text(r.prediction)}</td>"
        f"<td>{r.fix_rate:.0%}</td><td>{r.control:.0%}</td><td>{_verdict(r)}</td></tr>"
        for r in repairs
    )
    return (
        "<table><caption>Repair tests: share of donors after which the wanted class is answered. A repair counts only "
        "as far as it beats its control, the best of the same donors elsewhere and donors of any class here.</caption>"
        "<thead><tr><th>modality</th><th>repair</th><th>answers then</th><th>right</th><th>control</th><th>fixes</th>"
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )


def _verdict(repair: Repair) -> str:
    return {True: "yes", False: "no", None: "–"}[repair.fixes]


def _others(said: Diagnosis, cause: str) -> str:
    others = [c for c in said.ranked if f"{c.modality} {c.fault}" != cause and c.score >= LEAST_SHARE][:OTHERS]
    if not others:
        return ""
    named = [cause_words(f"{c.modality} {c.fault}") if c.fault != "none" else "nothing wrong" for c in others]
    words = ", ".join(f"{name} {c.score:.0%}" for name, c in zip(named, others, strict=True))
    return f"<p><small>Also possible: {_text(words)}.</small></p>"


def _text(words: str) -> str:
    return escape(show_text(words))
