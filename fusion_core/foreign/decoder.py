"""Decoder fusion: the record's tokens stand in a language model's prompt, which weighs the candidate answers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import DynamicCache

from fusion_core.attention import Segments
from fusion_core.errors import CallError
from fusion_core.foreign.head import ROWS, ForeignHead
from fusion_core.foreign.hearing import hearing
from fusion_core.foreign.prompt import Prompt
from fusion_core.fusion.head import HeadOutput, TokenSpec
from fusion_core.types import Tokens

#: Memory of the vocabulary's scores at once, and of one layer's work; pieces of an answer that is written freely.
VOCABULARY_BYTES, LAYER_BYTES = 400_000_000, 1_000_000_000
FREE_PIECES = 24


@dataclass(frozen=True)
class Candidates:
    """The answers side by side, all but the last piece of each (which is told, never read).

    pieces: those pieces `[A]`. steps: how far into its answer each stands `[A]`. order: which reads which, `[A, A]`.
    told, at: all pieces of all answers `[S]` and where each is told: 0 where the prompt ends, 1 + a behind piece a.
    lengths: pieces per answer.
    """

    pieces: Tensor
    steps: Tensor
    order: Tensor
    told: Tensor
    at: Tensor
    lengths: tuple[int, ...]


def candidates(answers: tuple[tuple[int, ...], ...]) -> Candidates:
    """Lay answers side by side."""
    starts = torch.tensor([0, *(len(a) - 1 for a in answers)]).cumsum(0).tolist()
    at = [0 if k == 0 else start + k for start, a in zip(starts, answers, strict=False) for k in range(len(a))]
    owner = torch.tensor([n for n, a in enumerate(answers) for _ in a[1:]], dtype=torch.long)
    steps = torch.tensor([k for a in answers for k in range(len(a) - 1)], dtype=torch.long)
    return Candidates(
        torch.tensor([piece for a in answers for piece in a[:-1]], dtype=torch.long),
        steps,
        (owner[:, None] == owner) & (steps[:, None] >= steps),
        torch.tensor([piece for a in answers for piece in a]),
        torch.tensor(at),
        tuple(len(a) for a in answers),
    )


class DecoderHead(ForeignHead):
    """`logits_c` is the mean log-likelihood per piece of answer c behind the prompt.

    One pass reads the prompt once for all answers: their pieces stand side by side behind it, each reads the prompt
    and its own answer only, and stands where it would alone. What is absent is not in the sequence: nobody reads it,
    and positions are counted without it. A match weighs the answers no and yes, 0 for both where one of the pair is
    absent. Nothing present gives zeros. fused: the last state where the answer begins.
    """

    def __init__(
        self,
        specs: Mapping[str, TokenSpec],
        language: Any,
        out: nn.Module,
        prompt: Prompt,
        tokenizer: Tokenizer,
        pair: bool,
        stops: tuple[int, ...] = (),
    ) -> None:
        super().__init__(specs)
        self.language, self.out, self.prompt, self.pair = language, out, prompt, pair
        self.tokenizer, self.stops = tokenizer, stops
        self.candidates = candidates(prompt.answers)
        self.readout = ("answer_start",)
        config = language.config
        self.width = int(config.hidden_size)
        # Per layer about 24 tensors of its width are kept for the way back, and three of its inner width.
        inner = 3 * int(config.intermediate_size) // self.width
        self.bytes_per_element = 4 * (24 + inner) * int(config.num_hidden_layers)
        self.bytes_per_token = 4 * (8 + inner) * self.width
        each = 8 * (1 + len(self.candidates.pieces)) * int(config.vocab_size)
        self.at_once = max(1, min(ROWS, VOCABULARY_BYTES // each))

    @property
    def cannot(self) -> dict[str, str]:
        """The towers, whose attention is over when the language model begins."""
        why = "its tower runs when a record is encoded, so the tower's own attention is not drawn"
        return {f"attention within {m}": why for m in self.modalities if m != "text"}

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Weigh the answers, a few rows at a time when nobody differentiates."""
        count = len(next(iter(projected.values())).mask)
        tokens = sum(length for _, length in self._segments(projected)) + len(self.candidates.pieces)
        rows = max(1, min(self.at_once, LAYER_BYTES // (tokens * self.bytes_per_token)))
        parts = torch.arange(count).split(count if torch.is_grad_enabled() else rows)
        done = [self._weighed({m: t.rows(part) for m, t in projected.items()}) for part in parts]
        logits, fused = (torch.cat(found) for found in zip(*done, strict=True))
        return HeadOutput(logits, {}, fused)

    def states(self, modality: str, tokens: Tokens) -> Tokens:
        """Return the last states at a modality's tokens, `[B, T, H]`, with no other in the sequence."""
        if modality not in self.modalities:
            raise CallError(f"the model does not read {modality}; it reads {', '.join(self.modalities)}")
        given = self.project({m: tokens if m == modality else self._nothing(m, tokens) for m in self.modalities})
        x, there = self.sequence(given)
        found = self._read(x, there, self.positions(there, given)[0], torch.ones(0, 0, dtype=torch.bool), given)
        start = 0
        for name, length in self._segments(given):
            if name == modality:
                own = found[:, start : start + length]
                break
            start += length
        return Tokens(torch.where(tokens.mask[..., None], own, 0.0), tokens.mask)

    def states_width(self, modality: str) -> int:
        """Return the width of `states`."""
        return self.width

    def free_answer(self, tokens: Mapping[str, Tokens]) -> str:
        """Return what the model writes by itself of a record, the likeliest piece each time, at most 24 pieces."""
        given = {m: t.rows(torch.tensor([0])) for m, t in self.project(tokens).items()}
        x, there = self.sequence(given)
        positions, following = self.positions(there, given)
        read = _Memory(self.language)
        mask = self.visible(there, given) | torch.eye(there.shape[1], dtype=torch.bool)
        state = read(x, mask[:, None], positions)
        written: list[int] = []
        while (piece := int(self.out(state[0, -1]).argmax())) not in self.stops:
            written.append(piece)
            if len(written) == FREE_PIECES:
                break
            seen = torch.cat([there, there.new_ones(1, len(written))], dim=1)
            step = (following[:, None] + len(written) - 1).expand(*positions.shape[:-1], 1)
            state = read(self.embedded(torch.tensor([piece]))[None], seen[:, None, None], step)
        return str(self.tokenizer.decode(written, skip_special_tokens=True)).strip()

    def positions(self, there: Tensor, given: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        """Return where every piece of the prompt stands, `[B, P]`, and where the next would, `[B]`: counted in order.

        there: which are in the sequence, `bool [B, P]`. A family that places by rows and columns gives `[K, B, P]`.
        """
        return (there.cumsum(dim=1) - 1).clamp(min=0), there.sum(dim=1)

    def visible(self, there: Tensor, given: Mapping[str, Tokens]) -> Tensor:
        """Return which pieces of the prompt each of them reads, `bool [B, P, P]`: itself and those before it."""
        length = there.shape[1]
        return there[:, None] & torch.ones(length, length, dtype=torch.bool).tril()

    def embedded(self, pieces: Tensor) -> Tensor:
        """Return word pieces as the language model reads them, `[A, H]`."""
        found: Tensor = self.language.get_input_embeddings()(pieces)
        return found

    def sequence(self, given: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        """Return the prompt with the record's tokens in their places, `[B, P, H]`, and what is there, `[B, P]`."""
        present = {m: t.mask.any(dim=1, keepdim=True) for m, t in given.items()}
        count = len(next(iter(present.values())))
        values, there = [], []
        for part in self.prompt.parts:
            if part.place:
                values.append(given[part.name].values)
                there.append(given[part.name].mask)
                continue
            values.append(self.embedded(torch.tensor(part.pieces)).expand(count, -1, -1))
            stands = present[part.beside] if part.beside else torch.ones(count, 1, dtype=torch.bool)
            there.append(stands.expand(-1, len(part.pieces)))
        return torch.cat(values, dim=1), torch.cat(there, dim=1)

    def _weighed(self, given: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        x, there = self.sequence(given)
        positions, following = self.positions(there, given)
        own, last = self.candidates, x.shape[1] - 1
        more = self.embedded(own.pieces).expand(len(x), -1, -1)
        places = _behind(positions, following, own.steps)
        found = self._read(torch.cat([x, more], dim=1), there, places, own.order, given)
        likely = self._told(found[:, last:])
        logits = torch.stack([part.mean(dim=1) for part in likely.split(own.lengths, dim=1)], dim=1)
        present = torch.stack([t.mask.any(dim=1) for t in given.values()])
        said = present.all(dim=0) if self.pair else present.any(dim=0)
        return torch.where(said[:, None], logits, 0.0), found[:, last]

    def _told(self, states: Tensor) -> Tensor:
        """Return the log-likelihood of every piece of every answer `[B, S]`, from states `[B, 1 + A, H]`.

        Some pieces at a time, those told at one place together: many answers of a large vocabulary are gigabytes.
        """
        own, each = self.candidates, 8 * len(states) * int(self.language.config.vocab_size)
        found = []
        for places in torch.arange(states.shape[1]).split(max(1, VOCABULARY_BYTES // each)):
            first, count = int(places[0]), len(places)
            here = ((own.at >= first) & (own.at < first + count)).nonzero()[:, 0]
            scores = self.out(states[:, first : first + count]).log_softmax(dim=-1)
            found.append((here, scores[:, own.at[here] - first, own.told[here]]))
        order = torch.cat([here for here, _ in found]).argsort()
        return torch.cat([told for _, told in found], dim=1)[:, order]

    def _read(self, x: Tensor, there: Tensor, positions: Tensor, order: Tensor, given: Mapping[str, Tokens]) -> Tensor:
        """Return the last states `[B, P + A, H]`; order: which pieces behind the prompt read which, `[A, A]`."""
        batch, more = len(x), len(order)
        prompt = torch.cat(
            [self.visible(there, given), torch.zeros(batch, there.shape[1], more, dtype=torch.bool)], dim=2
        )
        behind = torch.cat([there[:, None].expand(-1, more, -1), order.expand(batch, -1, -1)], dim=2)
        mask = torch.cat([prompt, behind], dim=1)
        # What is not there reads itself, and nobody reads it: a row without keys has no softmax.
        mask = mask | torch.eye(mask.shape[1], dtype=torch.bool)
        axis: Segments = (*self._segments(given), ("answer", more))
        exist = torch.cat([there, there.new_ones(batch, more)], dim=1)
        with hearing("stream", axis, axis, exist[:, None, None]):
            told = self.language(inputs_embeds=x, attention_mask=mask[:, None], position_ids=positions, use_cache=False)
        states: Tensor = told.last_hidden_state
        return states

    def _segments(self, given: Mapping[str, Tokens]) -> Segments:
        return self.prompt.segments({m: t.mask.shape[1] for m, t in given.items()})

    def _nothing(self, modality: str, beside: Tokens) -> Tokens:
        count, spec = len(beside.mask), self.specs[modality]
        places = torch.zeros(count, 1, spec.places, dtype=torch.int32) if spec.places else None
        return Tokens(beside.values.new_zeros(count, 1, spec.width), beside.mask.new_zeros(count, 1), None, places)


class _Memory:
    """A language model that keeps what it read: each call reads on behind the last."""

    def __init__(self, language: Any) -> None:
        self.language, self.cache = language, DynamicCache(config=language.config)
        # Transformers before 5.24 call it by another name.
        known = inspect.signature(language.forward).parameters
        self.name = "cache" if "cache" in known else "past_key_values"

    def __call__(self, x: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        """Return the last states of `x [1, A, H]`; mask: what each of them reads of all so far, `[1, 1, A, N]`."""
        told = self.language(
            inputs_embeds=x, attention_mask=mask, position_ids=positions, use_cache=True, **{self.name: self.cache}
        )
        states: Tensor = told.last_hidden_state
        return states


def _behind(positions: Tensor, following: Tensor, steps: Tensor) -> Tensor:
    """Return positions with those of pieces behind the prompt, so many steps on: `[..., B, P + A]`."""
    more = (following[:, None] + steps).expand(*positions.shape[:-1], len(steps))
    return torch.cat([positions, more], dim=-1)
