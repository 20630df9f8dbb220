"""Qwen2-VL and Qwen2.5-VL: pictures of any shape, placed by row and column, read as the family's own forward does."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from fusion_core.asked import Asked
from fusion_core.encoders.stack import decode
from fusion_core.foreign import load_foreign
from fusion_core.foreign.folder import open_folder
from fusion_core.foreign.qwen_vision import embedding
from fusion_core.model import pool_rows
from fusion_core.reading.pictures import Picture
from fusion_core.types import Record, Tokens
from fusion_core.verify.parity import parity
from tests.fusion_core.foreign.conftest import LABELS

TEXT = "what is red"
KINDS = {
    "qwen2_vl": transformers.Qwen2VLForConditionalGeneration,
    "qwen2_5_vl": transformers.Qwen2_5_VLForConditionalGeneration,
}
both = pytest.mark.parametrize("name", list(KINDS))


class Own:
    """The family's own model, with what its processor would give it."""

    def __init__(self, name, folder):
        self.model = KINDS[name].from_pretrained(folder).eval()
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.processor = Qwen2VLImageProcessorPil(**json.loads((folder / "preprocessor_config.json").read_text()))

    def inputs(self, text, pixels=None):
        seen = {} if pixels is None else dict(self.processor(images=pixels, return_tensors="pt"))
        cells = 0 if pixels is None else int(seen["image_grid_thw"].prod()) // 4
        picture = f"<|vision_start|>{'<|image_pad|>' * cells}<|vision_end|>" if cells else ""
        system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        framed = f"{system}<|im_start|>user\n{picture}{text}<|im_end|>\n<|im_start|>assistant\n"
        return self.tokenizer.encode(framed).ids, seen

    def reads(self, ids, seen):
        ids = torch.tensor([ids])
        own = {**seen, "mm_token_type_ids": (ids == self.model.config.image_token_id).int()} if seen else {}
        return {"input_ids": ids, **own}

    def index(self, ids, seen):
        """Return the family's rotary index of a whole record, `[3, P]`."""
        given = self.reads(ids, seen)
        if not seen:
            return torch.arange(len(ids)).expand(3, -1)
        kept = {k: v for k, v in given.items() if k != "pixel_values"}
        return self.model.model.get_rope_index(**kept)[0][:, 0]

    def likelihoods(self, labels, text, pixels=None):
        """Return the mean log-likelihood of each label, each in a pass of its own."""
        start, seen = self.inputs(text, pixels)
        found = []
        for label in labels:
            told = self.tokenizer.encode(label).ids
            with torch.no_grad():
                logits = self.model(**self.reads(start + told, seen)).logits[0, len(start) - 1 : -1]
            found.append(logits.log_softmax(dim=-1)[torch.arange(len(told)), told].mean())
        return torch.stack(found)


@pytest.fixture(scope="module")
def own(folders):
    made = {}
    return lambda name: made.setdefault(name, Own(name, folders(name)))


def pixels(record):
    return decode(record, "image")[0].pixels


def noise(height, width):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def read(model, text, seen):
    """Return the tokens of a text and a picture given as pixels."""
    stack = model.stack.encoders
    words, _ = stack["text"].prepare([text])
    image, _ = stack["image"].prepare([None if seen is None else Picture(seen, ())])
    with torch.no_grad():
        return {"text": stack["text"].encode(words), "image": stack["image"].encode(image)}


def answered(model, tokens):
    with torch.no_grad():
        return model.fuse(tokens, model.default_strategy)[0]


@both
@pytest.mark.parametrize("shape", [(40, 40), (16, 90), (70, 20)])
def test_answers_are_weighed_as_the_family_does(own, opened, name, shape):
    seen = noise(*shape)
    wanted = own(name).likelihoods(LABELS.labels, TEXT, seen)
    assert torch.allclose(answered(opened(name), read(opened(name), TEXT, seen)), wanted, atol=2e-4)
    assert wanted.std() > 0.01


@both
def test_what_is_absent_is_not_in_the_sequence(own, opened, records, name):
    seen = pixels(records(name)[0])
    for text, picture in ((TEXT, None), (None, seen)):
        wanted = own(name).likelihoods(LABELS.labels, text or "", picture)
        assert torch.allclose(answered(opened(name), read(opened(name), text, picture)), wanted, atol=2e-4)


@both
def test_a_match_asks_yes_or_no_behind_the_text(own, folders, records, name):
    model = load_foreign(folders(name), Asked(task="match", prompt="Same?"), lambda: records(name))
    record = Record("x", text=TEXT, image=records(name)[0].image)
    wanted = own(name).likelihoods(("no", "yes"), f"{TEXT}\nSame?", pixels(record))
    assert torch.allclose(answered(model, model.encode(model.prepare([record]))), wanted, atol=2e-4)
    assert answered(model, read(model, TEXT, None)).abs().max() == 0


@both
def test_the_free_answer_is_what_greedy_generation_writes(own, opened, records, name):
    seen = pixels(records(name)[1])
    start, given = own(name).inputs(TEXT, seen)
    model = own(name).model
    with torch.no_grad():
        told = model.generate(**own(name).reads(start, given), max_new_tokens=24, do_sample=False)
    wanted = own(name).tokenizer.decode(told[0, len(start) :].tolist(), skip_special_tokens=True).strip()
    head = opened(name).head(name)
    assert head.free_answer(read(opened(name), TEXT, seen)) == wanted
    assert head.stops


@both
def test_the_rotary_index_is_the_familys_for_pictures_of_several_shapes_in_one_batch(own, opened, name):
    model = opened(name)
    head = model.head(name)
    shown = [
        ("red", noise(16, 90)),
        (TEXT, noise(70, 20)),
        (TEXT, None),
        ("the cat", noise(40, 40)),
        (None, noise(9, 9)),
    ]
    given = head.project(pool_rows([read(model, text, seen) for text, seen in shown]))
    _, there = head.sequence(given)
    found, following = head.positions(there, given)
    assert len(given["image"].mask.sum(dim=1).unique()) > 3
    for row, (text, seen) in enumerate(shown):
        wanted = own(name).index(*own(name).inputs(text or "", seen))
        assert torch.equal(found[:, row, there[row]], wanted)
        assert following[row] == wanted.max() + 1


@both
def test_cells_that_are_left_keep_their_rows_and_columns(own, opened, name):
    model = opened(name)
    head, seen = model.head(name), noise(32, 48)
    tokens = read(model, TEXT, seen)
    start, given = own(name).inputs(TEXT, seen)
    whole, image = own(name).index(start, given), tokens["image"]
    assert image.positions[0, -1].tolist() == [3, 5]
    kept = (image.positions[0] < 3).all(dim=1)[None]  # rows and columns 0 to 2
    part = head.project({**tokens, "image": Tokens(image.values, kept, None, image.positions)})
    _, there = head.sequence(part)
    found, _ = head.positions(there, part)
    first = start.index(own(name).model.config.image_token_id)
    cells = whole[:, first : first + image.mask.shape[1]]
    assert torch.equal(found[:, 0, first : first + image.mask.shape[1]][:, kept[0]], cells[:, kept[0]])
    behind = first + image.mask.shape[1]
    assert torch.equal(found[:, 0, behind:], whole[:, behind:] - 3)  # three columns fewer
    shorter = Tokens(image.values[:, kept[0]], kept[:, kept[0]], None, image.positions[:, kept[0]])
    alone = answered(model, {**tokens, "image": shorter})
    garbled = torch.where(kept[..., None], image.values, torch.nan)
    holes = Tokens(garbled, kept, None, torch.where(kept[..., None], image.positions, 99))
    assert torch.allclose(answered(model, {**tokens, "image": holes}), alone, atol=2e-5)
    states = head.states("image", holes)
    assert torch.allclose(states.values[:, kept[0]], head.states("image", shorter).values, atol=2e-5)
    assert states.values[:, ~kept[0]].abs().max() == 0


@both
def test_a_cell_of_the_vision_tower_is_the_picture_at_its_place(folders, name):
    """With attention silenced every cell reads its own pixels only: so order is by rows, windows or not."""
    folder = open_folder(folders(name))
    vision = copy.deepcopy(folder.load(KINDS[name].__name__).model.visual)
    for block in vision.blocks:
        torch.nn.init.zeros_(block.attn.proj.weight)
    shown = torch.randn(2, 3, 24, 40, requires_grad=True)
    cells = embedding(vision)(shown)
    assert cells.shape == (2, 15, 32)
    for number in (0, 7, 14):
        (slope,) = torch.autograd.grad(cells[1, number].square().sum(), shown, retain_graph=True)
        read_by = slope.abs().sum(dim=1) > 0
        row, column = divmod(number, 5)
        assert not read_by[0].any()
        assert read_by[1, row * 8 : row * 8 + 8, column * 8 : column * 8 + 8].all()
        assert read_by.sum() == 64


@both
def test_tokens_of_pixels_and_boxes_of_cells_cover_the_picture(opened, name):
    encoder = opened(name).stack.encoders["image"]
    for height, width in ((1, 1), (1, 60), (60, 1), (33, 47), (3, 500), (900, 5), (1, 900)):
        inputs, _ = encoder.prepare([Picture(noise(height, width), ())])
        axis = inputs.axes[0]
        rows, columns = axis.grid
        assert len(axis.labels) == len(axis.spans) == rows * columns
        assert inputs.values.shape[2:] == (rows * 8, columns * 8)
        boxes = np.array(axis.spans)
        assert np.allclose([*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)], [0, 0, width, height])
        assert np.isclose(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sum(), height * width)
        assert encoder.token_of(inputs).unique().tolist() == list(range(rows * columns))
        assert rows * columns <= encoder.sizing.cells
        assert torch.isfinite(answered(opened(name), read(opened(name), None, noise(height, width)))).all()


@both
def test_the_way_of_gradients_agrees_where_heads_share_keys(opened, records, name):
    model = opened(name)
    _, tokens = model.encode_record(records(name)[0])
    found = parity(model, tokens, name)
    assert found.passed
    assert found.value < 1e-4
