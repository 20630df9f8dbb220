"""The frozen half of a fused model: records to inputs to tokens, every modality by its own encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch

from fusion_core.encoders import Encoder, EncoderRoots, EncoderSource, load_encoder
from fusion_core.errors import ModelError, RecordError
from fusion_core.fusion.head import TokenSpec
from fusion_core.reading.bounded import decode_audio, decode_image
from fusion_core.reading.clips import Clip
from fusion_core.reading.media import read_media
from fusion_core.reading.pictures import Picture
from fusion_core.reading.texts import clean_text
from fusion_core.types import MODALITIES, Inputs, ModalityInputs, Record, Tokens


class EncoderStack:
    """One encoder per modality, loaded when first needed."""

    def __init__(
        self,
        sources: Mapping[str, EncoderSource],
        roots: EncoderRoots | None = None,
        preprocessing: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self.expected = preprocessing or {}
        self.given = {m: sources[m] for m in MODALITIES if m in sources}
        self.modalities = tuple(self.given)
        self.roots = roots or EncoderRoots()

    @cached_property
    def encoders(self) -> dict[str, Encoder]:
        """The loaded encoders; raises ModelError when one cannot be used."""
        return {m: self.load(m) for m in self.given}

    def load(self, modality: str) -> Encoder:
        """Load one encoder; raises ModelError when it cannot be used, or prepares its input in another way now."""
        encoder = self.opened(modality)
        expected = self.expected.get(modality, encoder.preprocessing)
        if expected != encoder.preprocessing:
            raise ModelError(
                f"the model was fitted with {modality} prepared as {expected}, not {encoder.preprocessing}"
            )
        return encoder

    def opened(self, modality: str) -> Encoder:
        """Return an encoder as its source gives it."""
        return load_encoder(modality, self.given[modality], self.roots)

    @property
    def preprocessing(self) -> dict[str, dict[str, Any]]:
        """What each encoder does to its input, as it is written to `model.json`."""
        return {m: encoder.preprocessing for m, encoder in self.encoders.items()}

    @property
    def sources(self) -> dict[str, EncoderSource]:
        """Where the loaded weights came from, with the hashes found."""
        return {m: encoder.source for m, encoder in self.encoders.items()}

    @property
    def specs(self) -> dict[str, TokenSpec]:
        """What a head must know of each modality's tokens."""
        return {m: encoder.spec for m, encoder in self.encoders.items()}

    def prepare(self, records: Sequence[Record]) -> Inputs:
        """Decode and preprocess records; raises RecordError, with the record's id, at the first that cannot be read."""
        decoded: dict[str, list[tuple[Any, tuple[str, ...]]]] = {
            m: [decode(record, m) for record in records] for m in self.modalities
        }
        parts: dict[str, ModalityInputs] = {}
        notes: list[list[str]] = [list(record.flags) for record in records]
        for m, encoder in self.encoders.items():
            with torch.no_grad():
                parts[m], said = encoder.prepare([value for value, _ in decoded[m]])
            for row, own in enumerate(notes):
                own.extend((*decoded[m][row][1], *said[row]))
        return Inputs(parts, tuple(tuple(own) for own in notes))

    def encode(self, inputs: Inputs) -> dict[str, Tokens]:
        """Encode prepared inputs into tokens; differentiable with respect to the inputs' values."""
        return {m: self.encoders[m].encode(part) for m, part in inputs.modalities.items()}


class LoadedStack(EncoderStack):
    """Encoders that are there already, such as those of one model that has them all."""

    def __init__(self, encoders: Mapping[str, Encoder]) -> None:
        super().__init__({m: encoder.source for m, encoder in encoders.items()})
        self.ready = {m: encoders[m] for m in self.modalities}

    def load(self, modality: str) -> Encoder:
        """Return one of the encoders."""
        return self.ready[modality]


def decode(record: Record, modality: str) -> tuple[str | Picture | Clip | None, tuple[str, ...]]:
    """Return a record's decoded text, picture or clip (None where absent) and what decoding had to do."""
    try:
        if modality == "text":
            return clean_text(record.text) if record.text is not None else (None, ())
        media = record.image if modality == "image" else record.audio
        if media is None:
            return None, ()
        decoded = (decode_image if modality == "image" else decode_audio)(read_media(media), media.name)
        return decoded, decoded.notes
    except RecordError as error:
        raise RecordError(str(error), error.code, record.id) from error
    except OSError as error:
        raise RecordError(f"{modality} file cannot be read any more", "file_missing", record.id) from error
