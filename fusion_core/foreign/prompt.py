"""The sequence a decoder reads: fixed pieces of its template, and places for the record's own tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from fusion_core.asked import Asked
from fusion_core.attention import Segments
from fusion_core.errors import CallError
from fusion_core.types import MODALITIES

#: What a decoder is asked where it is to say whether a pair belongs together, and its answers: no match, match.
MATCH_PROMPT = "Does the text describe what was given with it? Answer yes or no."
MATCH_ANSWERS = ("no", "yes")
MAX_ANSWER, MAX_ANSWERS = 64, 4_096


@dataclass(frozen=True)
class Template:
    """How a family frames a record: `before`, opening, the media, closing, `between`, the text, `after`, the answer.

    opening, closing: what stands directly around the media, only where they are there. gap: what stands between the
    record's text and the operator's prompt. answer: what stands between `after` and the first letter of an answer.
    space: what stands before the record's text and is cut into pieces with it: it goes where the text does.
    framed: whether the pieces a tokenizer puts before every text of its own accord stand first here too.
    mark: the piece that holds the media's place in the family's own text. Some tokenizers begin every stretch of text
    with a blank of their own, others the first one only: what follows the mark is cut as it is behind it.
    """

    media: str
    before: str = ""
    opening: str = ""
    closing: str = ""
    between: str = ""
    after: str = ""
    gap: str = "\n"
    answer: str = ""
    space: str = ""
    framed: bool = True
    mark: str = ""

    def trail(self, prompt: str) -> str:
        """Return what stands behind the record's text: the operator's prompt, if there is one, and `after`."""
        return (self.gap + prompt if prompt else "") + self.after


@dataclass(frozen=True)
class Part:
    """One part of the sequence: fixed pieces, or (named after a modality) the place of its tokens.

    beside: the modality that fixed pieces stand with; where it is absent, so are they. Empty: they always stand.
    """

    name: str
    pieces: tuple[int, ...] = ()
    beside: str = ""

    @property
    def place(self) -> bool:
        """Whether this is where the tokens of a modality stand."""
        return self.name in MODALITIES


@dataclass(frozen=True)
class Prompt:
    """A template as pieces of one tokenizer, in order, and the answers to weigh.

    The last part is `answer_start`: its one piece is where the first piece of an answer is told. lead, trail: the text
    directly around a record's own, with which it is cut into pieces. space: as in a template.
    """

    parts: tuple[Part, ...]
    answers: tuple[tuple[int, ...], ...]
    lead: str
    trail: str
    space: str = ""

    @property
    def length(self) -> int:
        """Number of fixed pieces, and of those of the longest answer."""
        return sum(len(part.pieces) for part in self.parts) + max(len(answer) for answer in self.answers)

    def segments(self, lengths: Mapping[str, int]) -> Segments:
        """Return every part's name with its number of tokens; `lengths` has those of the places."""
        return tuple((part.name, lengths[part.name] if part.place else len(part.pieces)) for part in self.parts)


def read_prompt(template: Template, tokenizer: Tokenizer, asked: Asked) -> Prompt:
    """Cut a template into pieces; raises CallError for a label that is no answer or a long one."""
    mark = template.mark if tokenizer.token_to_id(template.mark) is not None else ""
    lead, trail = mark + template.between, template.trail(asked.prompt or (MATCH_PROMPT if asked.task else ""))
    start = (_framing(tokenizer) if template.framed else ()) + _ids(tokenizer, template.before)
    found = tokenizer.encode(f"{lead}{template.space}a{trail}", add_special_tokens=False)
    between = tuple(i for i, (_, end) in zip(found.ids, found.offsets, strict=True) if end <= len(lead))
    between = between[1:] if mark else between
    after = tuple(i for i, (at, _) in zip(found.ids, found.offsets, strict=True) if at > len(lead + template.space))
    fixed = [
        Part("prompt_start", start),
        Part("prompt_open", _ids(tokenizer, template.opening), template.media),
        Part(template.media),
        Part("prompt_close", _ids(tokenizer, template.closing), template.media),
        Part("prompt_between", between),
        Part("text"),
        Part("prompt_after", after[:-1]),
        Part("answer_start", after[-1:]),
    ]
    parts = tuple(part for part in fixed if part.place or part.pieces)
    if not after:
        raise ValueError("a template needs pieces behind the text, from which the answer is told")
    answers = [_answer(tokenizer, trail, template.answer, word) for word in (asked.labels or MATCH_ANSWERS)]
    if sum(len(answer) for answer in answers) > MAX_ANSWERS:
        raise CallError(f"the labels are over {MAX_ANSWERS:,} word pieces together; give fewer or shorter ones")
    return Prompt(parts, tuple(answers), lead, trail, template.space)


def _framing(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the special pieces a tokenizer puts before a text of its own accord."""
    marks = tokenizer.encode("a")
    inner = next((n for n, special in enumerate(marks.special_tokens_mask) if not special), len(marks.ids))
    return tuple(marks.ids[:inner])


def _ids(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False).ids) if text else ()


def _answer(tokenizer: Tokenizer, trail: str, gap: str, word: str) -> tuple[int, ...]:
    """Return the pieces of an answer as they are cut behind the template; by themselves where they would merge."""
    whole, known = _ids(tokenizer, trail + gap + word), _ids(tokenizer, trail)
    found = whole[len(known) :] if whole[: len(known)] == known else _ids(tokenizer, gap + word)
    if not 1 <= len(found) <= MAX_ANSWER:
        raise CallError(f"label {word[:40]!r} is {len(found)} word pieces; an answer has 1 to {MAX_ANSWER}")
    return found


def stop_pieces(settings: Mapping[str, Any], tokenizer: Tokenizer, names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the pieces at which a free answer ends: those of `generation_config.json`, and these by name."""
    given = settings.get("eos_token_id", [])
    listed = given if isinstance(given, list) else [given]
    named = [tokenizer.token_to_id(name) for name in names]
    return tuple(sorted({piece for piece in (*listed, *named) if isinstance(piece, int)}))
