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
from tests.fusion_core.foreign.conftest import LABELS
from tests.fusion_core.foreign.test_decoders import TEXT, answered, likelihoods
from tests.fusion_core.foreign.tiny import FAMILIES
from tests.fusion_core.foreign.tiny.tiled import idefics3

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
        kind = transformers.models.idefics3.processing_idefics3.Idefics3Processor
        own = kind.__new__(kind)  # made, it asks for a tokenizer of its own class
        own.fake_image_token, own.global_image_tag = FAKE, "<global-img>"
        own.image_token, own.image_seq_len = "<image>", cells
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


def test_the_first_smolvlms_are_published_as_idefics3_and_begin_as_their_tokenizer_does(tmp_path):
    folder = idefics3(tmp_path / "smolvlm-instruct", start="<|im_start|>")
    own = transformers.Idefics3ForConditionalGeneration.from_pretrained(folder).eval()
    record = Record("x", text=TEXT, image=picture(24, 60))
    found, grid = seen("idefics3", folder, record)
    prompt = f"<|im_start|>User:{expanded('idefics3', *grid)}{TEXT}<end_of_utterance>\nAssistant:"
    wanted = likelihoods(own, unframed(folder), prompt, LABELS.labels, pixel_values=found["pixel_values"].float())
    assert torch.allclose(answered(load_foreign(folder, LABELS), record), wanted, atol=2e-4)


def test_a_tokenizer_that_begins_no_conversation_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"has no <\|begin_of_text\|> and no <\|im_start\|>"):
        load_foreign(idefics3(tmp_path / "other", start="<start>"), LABELS)


@both
def test_without_splitting_a_picture_is_one_tile_on_a_grid(folders, tmp_path, name):
    folder = FAMILIES[name](tmp_path / "one", do_image_splitting=False)
    own = getattr(transformers, f"{NAMES[name]}ForConditionalGeneration").from_pretrained(folder).eval()
    record = Record("x", text=TEXT, image=picture(24, 60))
    found, grid = seen(name, folder, record)
    assert grid == (0, 0)
    model = load_foreign(folder, LABELS)
    assert model.stack.specs["image"].grid == (2, 2)
    inputs = model.prepare([record])
    axis = inputs.axes(0)["image"]
    assert axis.grid == (2, 2)
    assert axis.labels[3] == "row 2, column 2"
    assert axis.spans[3] == (30.0, 12.0, 60.0, 24.0)
    assert any("squeezed" in note for note in inputs.notes[0])
    assert torch.allclose(inputs.modalities["image"].values[0], found["pixel_values"][0].float(), atol=1e-5)
    prompt = f"{STARTS[name]}User:{expanded(name, 0, 0)}{TEXT}<end_of_utterance>\nAssistant:"
    wanted = likelihoods(own, unframed(folder), prompt, LABELS.labels, pixel_values=found["pixel_values"].float())
    assert torch.allclose(answered(model, record), wanted, atol=2e-4)


@both
def test_what_is_absent_is_not_in_the_sequence_and_neither_are_its_marks(owned, opened, name):
    own, tokenizer, folder = owned(name)
    model, start = opened(name), f"{STARTS[name]}User:"
    told = likelihoods(own, tokenizer, f"{start}{TEXT}<end_of_utterance>\nAssistant:", LABELS.labels)
    assert torch.allclose(answered(model, Record("t", text=TEXT)), told, atol=2e-4)
    shown = Record("i", image=picture(40, 40))
    found, grid = seen(name, folder, shown)
    pixels = found["pixel_values"].float()
    prompt = f"{start}{expanded(name, *grid)}<end_of_utterance>\nAssistant:"
    wanted = likelihoods(own, tokenizer, prompt, LABELS.labels, pixel_values=pixels)
    assert torch.allclose(answered(model, shown), wanted, atol=2e-4)


def laid_out(head, tokens):
    """The sequence of one record as the language model reads it, `[L, H]`: what is there, where it stands."""
    given = head.project(tokens)
    x, there = head.sequence(given)
    positions, following = head.positions(there, given)
    assert sorted(positions[there].tolist()) == list(range(int(following[0])))
    return x[there][positions[there].argsort()]


def test_a_mark_stands_only_where_a_token_of_its_tile_is(owned, opened):
    own, tokenizer, _ = owned("smolvlm")
    model = opened("smolvlm")
    _, tokens = model.encode_record(Record("i", image=picture(40, 40)))
    image = tokens["image"]
    assert image.positions[0, :, 0].tolist() == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [0] * 4
    assert (image.positions[0, :, 1:] == 2).all()
    kept = image.mask & ((image.positions[..., 0] == 2) | (image.positions[..., 0] == 0))
    kept[0, 5] = False
    found = laid_out(model.head("smolvlm"), {**tokens, "image": image.each(lambda v: v, kept)})
    # One tile of the first row without its second cell, and the whole view; nothing of the second row.
    wanted = f"<|im_start|>User:{FAKE}<row_1_col_2>{'<image>' * 3}\n", "\n\n"
    rest = f"{FAKE}<global-img>{'<image>' * 4}{FAKE}<end_of_utterance>\nAssistant:"
    ids = torch.tensor([piece for part in (*wanted, rest) for piece in tokenizer.encode(part).ids])
    cells = ids == tokenizer.token_to_id("<image>")
    assert len(found) == len(ids)
    assert torch.equal(found[~cells], own.get_input_embeddings()(ids[~cells]))
    assert torch.equal(found[cells], image.values[kept])


@both
def test_records_of_several_shapes_answer_together_as_they_do_alone(opened, name):
    model = opened(name)
    shapes = [*SHAPES][:4]
    records = [Record(str(n), text=TEXT[: 4 + n], image=picture(*shape)) for n, shape in enumerate(shapes)]
    records.append(Record("none", text=TEXT))
    pool = model.encode(model.prepare(records))
    alone = torch.stack([answered(model, record) for record in records])
    rows = torch.tensor([4, 2, 0, 3, 1])
    with torch.no_grad():
        together = model.fuse({m: t.rows(rows) for m, t in pool.items()}, name)
        crossed = model.fuse_rows(pool, {"text": torch.tensor([0, 3]), "image": torch.tensor([2, 1])}, name)
    assert torch.allclose(together, alone[rows], atol=2e-5)
    for found, (text, image) in zip(crossed, ((0, 2), (3, 1)), strict=True):
        mixed = Record("m", text=records[text].text, image=records[image].image)
        assert torch.allclose(found, answered(model, mixed), atol=2e-5)


@both
def test_the_free_answer_is_what_greedy_generation_writes(owned, opened, name):
    own, tokenizer, folder = owned(name)
    record = Record("x", text=TEXT, image=picture(24, 60))
    found, grid = seen(name, folder, record)
    _, tokens = opened(name).encode_record(record)
    prompt = f"{STARTS[name]}User:{expanded(name, *grid)}{TEXT}<end_of_utterance>\nAssistant:"
    ids = torch.tensor([tokenizer.encode(prompt).ids])
    with torch.no_grad():
        told = own.generate(
            input_ids=ids, pixel_values=found["pixel_values"].float(), max_new_tokens=24, do_sample=False
        )
    wanted = tokenizer.decode(told[0, ids.shape[1] :].tolist(), skip_special_tokens=True).strip()
    assert opened(name).head(name).free_answer(tokens) == wanted


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_cells_lie_in_the_picture_and_cover_it_twice(opened, height, width):
    model = opened("smolvlm")
    inputs = model.prepare([Record("x", image=picture(height, width))])
    axis, rows, columns = inputs.axes(0)["image"], *SHAPES[height, width]
    boxes = torch.tensor(axis.spans)
    assert axis.grid is None
    assert boxes[:, :2].min() >= 0
    assert (boxes[:, 2:].amax(dim=0) - torch.tensor([width, height])).abs().max() < 1e-3
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert areas[:-4].sum() == pytest.approx(width * height, rel=1e-4)
    assert areas[-4:].sum() == pytest.approx(width * height, rel=1e-4)
    assert axis.labels[0] == "tile 1,1 row 1, column 1"
    assert axis.labels[-5] == f"tile {rows},{columns} row 2, column 2"
    assert axis.labels[-3] == "whole picture, row 1, column 2"
    assert len(set(axis.labels)) == len(axis.labels) == 4 * (rows * columns + 1)
    member = model.stack.encoders["image"].token_of(inputs.modalities["image"])
    assert member.shape == inputs.modalities["image"].values.shape[1:]
    assert member.flatten().bincount().tolist() == [3 * 8 * 8] * len(axis.labels)


def test_a_cell_is_moved_by_its_own_tile(opened):
    model = opened("smolvlm")
    encoder = model.stack.encoders["image"]
    inputs = model.prepare([Record("x", image=picture(24, 60))]).modalities["image"]
    values = inputs.values.clone().requires_grad_()
    tokens = encoder.encode(type(inputs)(values, inputs.mask, inputs.axes))
    (slope,) = torch.autograd.grad(tokens.values[0, 4:8].pow(2).sum(), values)
    assert [bool(tile.abs().max() > 0) for tile in slope[0]] == [False, True, False]
    flat = encoder.baseline(inputs)
    assert torch.allclose(flat[0, 0, :, 0, 0], inputs.values[0].mean(dim=(0, 2, 3)), atol=1e-6)
    assert (flat[0] == flat[0, :1, :, :1, :1]).all()


@both
def test_grids_are_those_of_the_familys_own_processor(folders, name):
    made = np.random.default_rng(0)
    for longest, side in ((48, 16), (40, 16), (64, 32), (16, 16)):
        own = processor(name, folders(name))
        tiling = Tiling(longest, side, True, 8)
        for height, width in made.integers(1, 90, (12, 2)).tolist():
            shown = Image.fromarray(np.zeros((height, width, 3), np.uint8))
            found = own(
                shown, size={"longest_edge": longest}, max_image_size={"longest_edge": side}, return_row_col_info=True
            )
            high, wide = tiling.sizes(height, width)[1]
            grid = (high // side, wide // side)
            assert (found["rows"][0][0], found["cols"][0][0]) == (grid if grid != (1, 1) else (0, 0))
            assert grid[0] * grid[1] + (grid != (1, 1)) <= tiling.most


def test_real_sizes_are_read_and_others_are_refused(tmp_path):
    smol = {"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 512}}
    assert (Tiling.read(smol, "x", 16, 4).cells, Tiling.read(smol, "x", 16, 4).most) == (8, 17)
    first = {"size": {"longest_edge": 1536}, "max_image_size": {"longest_edge": 384}}
    assert Tiling.read(first, "x", 14, 3).cells == 9  # six pixels at the edge of a tile belong to no patch
    for wrong in (
        {"size": {"height": 512, "width": 512}},
        {"size": {"longest_edge": 4096}, "max_image_size": {"longest_edge": 64}},
        {"do_resize": False}, {"size": {"longest_edge": 8192}}, {"max_image_size": {"longest_edge": 480}},
        {"max_image_size": {"longest_edge": 4096}},
    ):  # fmt: skip
        with pytest.raises(ModelError, match=r"preprocessor_config\.json of x"):
            Tiling.read(smol | wrong, "x", 16, 4)
    folder = FAMILIES["smolvlm"](tmp_path / "m")
    kept = json.loads((folder / "tokenizer.json").read_text().replace(FAKE, "<other>"))
    (folder / "tokenizer.json").write_text(json.dumps(kept))
    with pytest.raises(ModelError, match=FAKE):
        load_foreign(folder, LABELS)


@both
def test_a_match_asks_yes_or_no_behind_the_text(owned, name):
    own, tokenizer, folder = owned(name)
    record = Record("x", text=TEXT, image=picture(24, 60))
    found, grid = seen(name, folder, record)
    model = load_foreign(folder, Asked(task="match", prompt="Same?"))
    prompt = f"{STARTS[name]}User:{expanded(name, *grid)}{TEXT}\nSame?<end_of_utterance>\nAssistant:"
    wanted = likelihoods(own, tokenizer, prompt, ("no", "yes"), pixel_values=found["pixel_values"].float())
    assert torch.allclose(answered(model, record), wanted, atol=2e-4)
    assert answered(model, Record("t", text=TEXT)).abs().max() == 0


@both
def test_states_are_the_familys_own_at_the_cells_with_nothing_else_to_read(owned, opened, name):
    own, tokenizer, folder = owned(name)
    model = opened(name)
    head = model.head(name)
    records = [Record(str(n), image=picture(*shape)) for n, shape in enumerate(((24, 60), (40, 40)))]
    image = model.encode(model.prepare(records))["image"]
    with torch.no_grad():
        found = head.states("image", image)
    assert torch.equal(found.mask, image.mask)
    assert found.values.shape[-1] == head.states_width("image")
    assert found.values[0, 12:].abs().max() == 0
    for row, record in enumerate(records):
        shown, grid = seen(name, folder, record)
        ids = torch.tensor(
            [tokenizer.encode(f"{STARTS[name]}User:{expanded(name, *grid)}<end_of_utterance>\nAssistant:").ids]
        )
        with torch.no_grad():
            read = own.model(input_ids=ids, pixel_values=shown["pixel_values"].float()).last_hidden_state
        wanted = read[ids == tokenizer.token_to_id("<image>")]
        assert torch.allclose(found.values[row][found.mask[row]], wanted, atol=2e-4)
