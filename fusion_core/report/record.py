"""The top of a case file: verdict, what the record is, and what every strategy answers."""

from __future__ import annotations

from pathlib import PurePosixPath

from fusion_core.report.case import CHANCE, EMBEDDED, Case, StrategyRow
from fusion_core.report.markup import Markup, card, joined, listed, number, safe, table, tag
from fusion_core.report.pictures import photo, ticks, waveform
from fusion_core.types import Media, Record, Trace
from fusion_core.words import ACCURACY_UNKNOWN, ORIGINAL, count, cut, original_of, plain, say

LONGEST_TEXT = 4_000  # characters
LONGEST_VALUE = 300
MOST_SLICES = 40


def header(case: Case) -> Markup:
    """Return the title, what the file is about, and the verdict in one sentence."""
    facts = [f"record {case.record.id}", f"model {case.model}", f"{case.date:%Y-%m-%d %H:%M} UTC"]
    return tag(
        "header",
        tag("p", tag("b", "Fusion Lens"), " case file", class_="brand"),
        tag("h1", *verdict(case.traces[0])),
        tag("p", " · ".join(facts), class_="caption"),
    )


def verdict(trace: Trace) -> tuple[str, ...]:
    """Return what the strategy answers, how sure it is and whether that is right; at chance level it answers nothing.

    The parts make one sentence.
    """
    name, answer = say(trace.strategy), trace.prediction
    truth = "" if answer.label is None else answer.label
    if trace.status == CHANCE:
        known = joined(" The label is ", tag("strong", truth), ".") if truth else ""
        return (f"No answer: {name} is at chance level on its validation records.", known)
    tone = {True: "good", False: "bad", None: ""}[answer.correct]
    said = (
        "Predicted ",
        tag("strong", answer.top, class_=tone or None),
        " with probability ",
        number(answer.confidence, plain(answer.confidence, 2)),
        f" by {name}; ",
    )
    if answer.correct is None:
        return (*said, "the record has no label, so whether that is right is not known.")
    end = "that is correct." if answer.correct else "that is wrong."
    stranger = "" if truth in answer.classes else " (no class of this model)"
    return (*said, "the label is ", tag("strong", truth), f"{stranger}: ", end)


def record_card(case: Case) -> Markup:
    """Return the record itself: text, image, sound, label, timestamp, slices, flags and what reading had to do."""
    record = case.record
    lanes = [_text(record), _image(case), _audio(case)]
    return card("The record", tag("div", *lanes, class_="lanes record"), listed(_facts(case)))


def _lane(name: str, fact: str, *inside: str) -> Markup:
    head = tag("p", tag("b", name), tag("span", fact, class_="caption"), class_="lane-head")
    return tag("div", head, *inside, class_=f"lane {name}-lane")


def _none(name: str) -> Markup:
    return _lane(name, "", tag("p", f"no {name} in this record", class_="empty"))


def _text(record: Record) -> Markup:
    if record.text is None:
        return _none("text")
    length = len(record.text)
    fact = f"{length:,} characters"
    if length > LONGEST_TEXT:
        fact = f"the first {LONGEST_TEXT:,} of {fact}"
    return _lane("text", fact, tag("p", record.text[:LONGEST_TEXT], class_="prose"))


def _image(case: Case) -> Markup:
    if case.record.image is None:
        return _none("image")
    if case.photo is None:
        return _lane("image", "", tag("p", "the image file cannot be decoded", class_="empty"))
    return _lane("image", f"{case.photo.width} × {case.photo.height} px", photo(case.photo, "the record's image"))


def _audio(case: Case) -> Markup:
    sound = case.sound
    if case.record.audio is None:
        return _none("audio")
    if sound is None:
        return _lane("audio", "", tag("p", "the audio file cannot be decoded", class_="empty"))
    cut_off = sound.whole > sound.seconds + 0.05
    level = "silent" if sound.level is None else f"peak {plain(sound.level, 0)} dBFS"
    length = f"{plain(sound.seconds, 1)} s" + (f", the first of {plain(sound.whole, 1)} s" if cut_off else "")
    player = tag("audio", controls="", preload="metadata", src=sound.src)
    short = f", its first {plain(sound.playable, 1)} s" if sound.playable < sound.seconds - 0.05 else ""
    return _lane(
        "audio",
        f"{length} · {sound.rate / 1000:g} kHz · {level}",
        player,
        waveform(sound, f"waveform of {length}"),
        ticks(sound),
        tag("p", f"{EMBEDDED}{short}", class_="caption"),
    )


def _facts(case: Case) -> list[tuple[str, str]]:
    record, trace = case.record, case.traces[0]
    rows = [("label", "none" if record.label is None else record.label)]
    stamp = "none" if record.timestamp is None else f"{record.timestamp:%Y-%m-%d %H:%M:%S} UTC"
    rows.append(("timestamp", stamp))
    rows.append(("present", ", ".join(record.present()) or "nothing"))
    rows += [("not read by this model", m) for m in record.present() if m not in case.reads]
    slices = list(record.meta.items())
    rows += [(cut(say(key), LONGEST_VALUE), cut(str(value), LONGEST_VALUE)) for key, value in slices[:MOST_SLICES]]
    if len(slices) > MOST_SLICES:
        rows.append(("further columns", str(len(slices) - MOST_SLICES)))
    rows.append(("flags", _chips(tuple(say(flag) for flag in dict.fromkeys(record.flags)))))
    rows.append(("what reading had to do", _notes(trace)))
    rows += [
        ("the model writes by itself", t.free_answer or "nothing") for t in case.traces if t.free_answer is not None
    ]
    rows += [(f"{m} file", _file(media)) for m, media in (("image", record.image), ("audio", record.audio)) if media]
    return rows


def _chips(words: tuple[str, ...]) -> str:
    return joined(*(tag("span", word, class_="chip") for word in words), by=" ") if words else "none"


def _notes(trace: Trace) -> str:
    own = [note for note in dict.fromkeys(trace.notes) if note not in trace.record.flags]
    return "; ".join(own) or "nothing beyond decoding"


def _file(media: Media) -> str:
    # A table may carry a whole path of the machine it was made on: the last part names the file.
    name = PurePosixPath(media.name.replace("\\", "/")).name
    return joined(cut(name, 120), " ", tag("span", f"SHA-256 {media.sha256}", class_="hash"))


def strategies_card(case: Case) -> Markup:
    """Return every strategy's own answer beside how good it is; one at chance level gives none."""
    told = {trace.strategy for trace in case.traces}
    columns = ("strategy", "answer", "probability", "correct", "validation accuracy", "parameters", "status")
    original = original_of({row.fitted.strategy: row.fitted.status for row in case.rows})
    rows = [_strategy(row, row.fitted.strategy in told, original) for row in case.rows]
    seen = {row.fitted.validation_records for row in case.rows}
    among = f" on {min(seen):,} validation records" if len(seen) == 1 and min(seen) else ""
    caption = f"Validation accuracy{among} with its 95 % Wilson interval. Marked: told in full below."
    return card(
        "Every strategy on this record", table(columns, rows, "strategies"), tag("p", caption, class_="caption")
    )


def part_id(strategy: str) -> str:
    """Return where on the page a strategy is told in full; no drawing has such a name."""
    return f"strategy-{strategy}"


def _strategy(row: StrategyRow, told: bool, original: str | None) -> tuple[str, ...]:
    fitted, name = row.fitted, say(row.fitted.strategy)
    status = f"{ORIGINAL}, {fitted.status}" if fitted.strategy == original else fitted.status
    link = tag("a", name, href=f"#{part_id(fitted.strategy)}") if told else safe(name)
    return (
        tag("span", link, class_="told" if told else None),
        *_answer(row),
        _accuracy(fitted.validation_accuracy, fitted.interval),
        number(fitted.parameters, count(fitted.parameters)),
        status,
    )


def _accuracy(accuracy: float | None, interval: tuple[float, float] | None) -> str:
    if accuracy is None or interval is None:
        return tag("span", ACCURACY_UNKNOWN, class_="muted")
    return joined(number(accuracy, f"{accuracy:.2f}"), f" [{interval[0]:.2f}, {interval[1]:.2f}]")


def _answer(row: StrategyRow) -> tuple[str, str, str]:
    answer = row.prediction
    if row.chance:
        return tag("span", "at chance level – not an answer", class_="muted"), "–", "–"
    if answer is None or not answer.finite:
        return tag("span", "no finite answer", class_="bad"), "–", "–"
    marks = {True: ("✓ yes", "good"), False: ("✗ no", "bad"), None: ("· no label", "muted")}
    mark, tone = marks[answer.correct]
    return answer.top, number(answer.confidence, plain(answer.confidence, 2)), tag("span", mark, class_=tone)
