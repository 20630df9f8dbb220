"""Pictures as tiles (SmolVLM, Idefics3): sizes, marks, positions and answers are the family's own."""

from __future__ import annotations

import importlib
import json
from io import BytesIO

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer

from fusion_core.asked import Asked
from fusion_core.encoders.stack import decode
from fusion_core.errors import ModelError
from fusion_core.foreign import load_foreign
from fusion_core.foreign.tiles import Tiling
from fusion_core.reading.media import media_from_bytes
from fusion_core.types import Record
from tests.fusion_core.foreign.conftest import LABELS, MATCH
from tests.fusion_core.foreign.test_decoders import TEXT, answered, likelihoods
from tests.fusion_core.foreign.tiny import FAMILIES

NAMES = {"smolvlm": "SmolVLM", "idefics3": "Idefics3"}
STARTS = {"smolvlm": "<|im_start|>", "idefics3": "<|begin_of_text|>"}
FAKE = "<fake_token_around_image>"
#: Height and width of a picture, and the grid of tiles it gets.
SHAPES = {(40, 40): (2, 2), (24, 60): (1, 2), (90, 31): (2, 1), (1, 1): (2, 2), (3, 700): (1, 2), (500, 1): (2, 1)}
both = pytest.mark.parametrize("name", NAMES)


def picture(height, width):
    pixels = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    kept = BytesIO()
    Image.fromarray(pixels).save(kept, "PNG")
    return media_from_bytes(kept.getvalue(), "x.png")


def processor(name, folder):
    module = importlib.import_module(f"transformers.models.{name}.image_processing_pil_{name}")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    return getattr(module, f"{NAMES[name]}ImageProcessorPil")(**settings)


def seen(name, folder, record):
    shown = Image.fromarray(decode(record, "image")[0].pixels)  # as an array, one pixel high is one channel
    found = processor(name, folder)(shown, return_row_col_info=True, return_tensors="pt")
    return found, (found["rows"][0][0], found["cols"][0][0])


def expanded(name, rows, columns, cells=4):
    """The text that the family's own processor puts for a picture."""
    images = {"rows": [[rows]], "cols": [[columns]]}
    if name == "idefics3":
        own = transformers.models.idefics3.processing_idefics3.Idefics3Processor.__new__(
            transformers.models.idefics3.processing_idefics3.Idefics3Processor
        )
        own.fake_image_token, own.global_image_tag, own.image_token, own.image_seq_len = FAKE, "<global-img>", "<image>", cells
        return own.replace_image_token(images, 0)
    made = transformers.models.smolvlm.processing_smolvlm.get_image_prompt_string
    return made(rows, columns, cells, FAKE, "<image>", "<global-img>")


@pytest.fixture(scope="module")
def owned(folders):
    def own(name):
        folder = folders(name)
        model = getattr(transformers, f"{NAMES[name]}ForConditionalGeneration").from_pretrained(folder).eval()
        return model, unframed(folder), folder

    return own


def unframed(folder):
    """The tokenizer without the pieces it puts first of its own accord: the chat template has them."""
    kept = json.loads((folder / "tokenizer.json").read_text())
    return Tokenizer.from_str(json.dumps(kept | {"post_processor": None}))


@both
@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_a_picture_of_any_shape_is_read_as_the_family_reads_it(owned, opened, name, height, width):
    own, tokenizer, folder = owned(name)
    record = Record("x", text=TEXT, image=picture(height, width))
    found, grid = seen(name, folder, record)
    assert grid == SHAPES[height, width]
    model = opened(name)
    inputs = model.prepare([record])
    tiles = inputs.modalities["image"]
    assert torch.allclose(tiles.values[0], found["pixel_values"][0].float(), atol=1e-5)
    prompt = f"{STARTS[name]}User:{expanded(name, *grid)}{TEXT}<end_of_utterance>\nAssistant:"
    pixels = {"pixel_values": found["pixel_values"].float(), "pixel_attention_mask": found["pixel_attention_mask"]}
    wanted = likelihoods(own, tokenizer, prompt, LABELS.labels, **pixels)
    assert torch.allclose(answered(model, record), wanted, atol=2e-4)
