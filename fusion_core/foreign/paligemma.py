"""PaliGemma (Beyer 2024) and PaliGemma 2: patches of a SigLIP tower before the words of a Gemma decoder.

The prompt is a prefix in which everything reads everything; only the answer reads in order. A record's text is asked
as a question in English, `answer en {text}`, as the models that were tuned on many tasks were; where there is no text,
`answer en` asks for nothing in particular. Gemma reads its word pieces times the root of its width (its embedding table
does that), and picture tokens as the projector gives them. A record has one picture; several are not read.

PaliGemma 2 is Gemma 2: its attention bends scores (`attn_logit_softcapping`), which is written out here, and half of
its layers read `sliding_window` pieces back. Prompt and answer together are kept within that window, where both kinds
of layers are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from fusion_core.asked import Asked
from fusion_core.encoders.text import read_tokenizer
from fusion_core.errors import ModelError
from fusion_core.foreign.decoder import FREE_PIECES, DecoderHead
from fusion_core.foreign.family import DECODER, Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.pictures import PatchEncoder
from fusion_core.foreign.pieces import prompted_pieces
from fusion_core.foreign.prompt import Template, read_prompt, stop_pieces
from fusion_core.types import Tokens

TEMPLATE = Template("image", between="<bos>answer en", space=" ", after="\n", gap=" ", framed=False)


class PrefixHead(DecoderHead):
    """A decoder whose prompt is read in both directions, and counted from 1."""

    def positions(self, there: Tensor, given: Mapping[str, Tokens]) -> tuple[Tensor, Tensor]:
        """Count what is there in order, from 1."""
        found, following = super().positions(there, given)
        return found + 1, following + 1

    def visible(self, there: Tensor, given: Mapping[str, Tokens]) -> Tensor:
        """Let everything in the prompt read everything in it."""
        return there[:, None].expand(-1, there.shape[1], -1)


class Capped(nn.Module):
    """Scores of the vocabulary, bent to lie within a cap."""

    def __init__(self, out: nn.Module, cap: float) -> None:
        super().__init__()
        self.out, self.cap = out, cap

    def forward(self, states: Tensor) -> Tensor:
        """Score states `[..., H]` as `[..., V]`."""
        found: Tensor = self.cap * (self.out(states) / self.cap).tanh()
        return found


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a PaliGemma together; raises ModelError where its picture is wider than its words, or outgrows its window."""
    own, text, vision = model.model, model.config.text_config, model.config.vision_config
    width, given = int(text.hidden_size), int(own.multi_modal_projector.linear.out_features)
    if given != width:
        raise ModelError(f"{folder.path.name} gives picture tokens {given} wide to a language model {width} wide")
    tokenizer = read_tokenizer(folder.path)
    if tokenizer.token_to_id("<bos>") is None:
        raise ModelError(f"tokenizer.json of {folder.path.name} has no <bos>, which stands before its text")
    prompt = read_prompt(TEMPLATE, tokenizer, asked)

    def embed(pixels: Tensor) -> Tensor:
        found: Tensor = own.get_image_features(pixels).pooler_output
        return found

    encoder = PatchEncoder(
        folder.source,
        folder.preprocessing,
        *(int(vision.image_size), int(vision.patch_size), width),
        embed,
    )
    patches = encoder.grid[0] * encoder.grid[1]
    # Within the window of the layers that have one, they read as the others do.
    window = getattr(text, "sliding_window", None)
    beyond = max(0, int(text.max_position_embeddings) - int(window) + FREE_PIECES) if window else 0
    pieces = prompted_pieces(folder.source, tokenizer, own.language_model, prompt, patches + beyond)
    specs = {"text": pieces.spec, "image": encoder.spec}
    cap = getattr(text, "final_logit_softcapping", None)
    out = model.lm_head if cap is None else Capped(model.lm_head, float(cap))
    stops = stop_pieces(folder.settings("generation_config.json"), tokenizer, ("<eos>",))
    head = PrefixHead(specs, own.language_model, out, prompt, tokenizer, bool(asked.task), stops)
    if getattr(text, "attn_logit_softcapping", None) is not None:
        head.kernel = "explicit"
    return Parts({"text": pieces, "image": encoder}, head)


CLASSES = {"labels": "PaliGemmaForConditionalGeneration", "match": "PaliGemmaForConditionalGeneration"}

#: Its class would make any model that is named there.
PARTS = {"text_config": ("gemma", "gemma2"), "vision_config": ("siglip_vision_model",)}

family("paligemma")(Family(CLASSES, DECODER, build, parts=PARTS))
