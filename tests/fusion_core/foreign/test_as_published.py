"""Folders as the families are published: what a tokenizer or a preprocessor leaves unsaid, or says in another way."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from fusion_core.asked import Asked
from fusion_core.encoders import EncoderSource
from fusion_core.errors import ModelError
from fusion_core.foreign import decoder, load_foreign
from fusion_core.foreign.llava import TEMPLATE
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.foreign.prompt import read_prompt
from fusion_core.foreign.weights import stored_elements
from fusion_core.reading.clips import Clip
from fusion_core.reading.pictures import Picture
from fusion_core.trace import trace_record
from fusion_core.types import Record
from tests.fusion_core.foreign.conftest import LABELS
from tests.fusion_core.foreign.test_decoders import answered


def changed(folder, to, name, **entries):
    """A copy of a folder, one of its settings files with other entries."""
    shutil.copytree(folder, to)
    file = to / name
    before = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(before | entries))
    return to


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("SiglipTokenizer", "a photo of the cats"),
        ("GemmaTokenizer", "a photo, of the cat's!"),
        ("Siglip2Tokenizer", "a photo, of the cat's!"),
        ("PreTrainedTokenizerFast", "A  Photo, of THE cat's!"),
    ],
)
def test_siglip_reads_text_as_it_was_trained(folders, tmp_path, kind, read):
    folder = changed(folders("siglip"), tmp_path / "siglip", "tokenizer_config.json", tokenizer_class=kind)
    written = json.loads((folder / "tokenizer.json").read_text())
    written["normalizer"] = None  # as Gemma's, which has no lower case
    (folder / "tokenizer.json").write_text(json.dumps(written))
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    encoder = load_foreign(folder, LABELS).stack.encoders["text"]
    text = "A  Photo, of THE cat's!"
    ids, axis, _ = encoder._pieces(text)
    assert ids == plain.encode(read, add_special_tokens=False).ids[: encoder.limit]
    assert axis.labels[1] == "Photo"


def test_text_that_nothing_closes_leaves_the_last_position_to_padding(folders, records, tmp_path):
    folder = shutil.copytree(folders("siglip"), tmp_path / "siglip")
    written = json.loads((folder / "tokenizer.json").read_text()) | {"post_processor": None}
    (folder / "tokenizer.json").write_text(json.dumps(written))
    model = load_foreign(folder, LABELS, lambda: records("siglip"))
    (trace,) = trace_record(model, Record("x", text="red " * 30), ("siglip",))
    assert len(trace.axes["text"].labels) == 11
    lengths = {a.key: a.weights.shape[-1] for a in trace.attention if a.site == "text tower"}
    assert lengths == {"text": 11, "text_end": 1}


def test_llava_that_pads_pictures_to_a_square_is_refused(folders, tmp_path):
    folder = changed(folders("llava"), tmp_path / "llava", "preprocessor_config.json", do_pad=True)
    with pytest.raises(ModelError, match="pads pictures to a square"):
        load_foreign(folder, LABELS)
    load_foreign(changed(folders("llava"), tmp_path / "not", "preprocessor_config.json", do_pad=False), LABELS)


@pytest.mark.parametrize("off", ["do_normalize", "do_rescale"])
def test_a_step_that_a_folder_leaves_out_is_left_out(folders, tmp_path, off):
    folder = changed(folders("clip"), tmp_path / "clip", "preprocessor_config.json", **{off: False})
    pixels = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    own = CLIPImageProcessorPil(**json.loads((folder / "preprocessor_config.json").read_text()))
    wanted = own(images=pixels, return_tensors="pt")["pixel_values"].float()
    found, _ = load_foreign(folder, LABELS).stack.encoders["image"].prepare([Picture(pixels, ())])
    assert torch.allclose(found.values, wanted, atol=1e-4)


def test_pictures_that_keep_their_size_are_refused(folders, tmp_path):
    folder = changed(folders("clip"), tmp_path / "clip", "preprocessor_config.json", do_resize=False)
    with pytest.raises(ModelError, match="leaves pictures their size"):
        load_foreign(folder, LABELS)


def test_clap_that_repeats_and_cuts_is_fed_as_the_family_feeds_it(folders, tmp_path):
    folder = changed(folders("clap"), tmp_path / "clap", "preprocessor_config.json", padding="repeat")
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder)
    samples = np.random.default_rng(0).standard_normal(int(3.5 * 16_000)).astype("f4")
    wanted = extractor(samples, sampling_rate=16_000, return_tensors="pt")["input_features"].float()
    model = load_foreign(folder, LABELS)
    inputs, _ = model.stack.encoders["audio"].prepare([Clip(samples, 16_000, ())])
    tower = model.head("clap").towers["audio"]
    heard = []
    tower.audio.register_forward_pre_hook(
        lambda _, given, named: heard.append(named["input_features"]), with_kwargs=True
    )
    tokens = model.stack.encoders["audio"].encode(inputs)
    tower(tokens)
    assert heard[0].shape == wanted.shape
    # Frames at the seams differ, and those only.
    assert float(((heard[0] - wanted).abs().amax(dim=-1) > 0.01).float().mean()) < 0.03
    assert tower.states(tokens).isfinite().all()


def test_a_piece_across_the_end_of_a_text_does_not_say_what_follows_twice():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: n for n, piece in enumerate([*alphabet, ".Ċ"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [(".", "Ċ")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    assert tokenizer.encode("a.\nb").tokens == ["a", ".Ċ", "b"]
    table = torch.nn.Embedding(len(vocabulary), 4)
    encoder = PieceEncoder(EncoderSource("directory", "x"), tokenizer, table, 64, 0, ("", "\nWhat?"))
    ids, axis, _ = encoder._pieces("a.")
    assert [tokenizer.id_to_token(n) for n in ids] == ["a", "."]
    assert axis.spans == ((0.0, 1.0), (1.0, 2.0))
    assert [tokenizer.id_to_token(n) for n in encoder._pieces("a.\nb")[0]] == ["a", ".Ċ", "b"]


def test_rows_of_many_tokens_go_through_a_decoder_one_at_a_time(opened, records, monkeypatch):
    model = opened("llava")
    head, tokens = model.head("llava"), model.encode(model.prepare(records("llava")[:4]))
    run, batches = head._weighed, []
    monkeypatch.setattr(head, "_weighed", lambda given: batches.append(len(given["text"].mask)) or run(given))
    with torch.no_grad():
        whole = model.fuse(tokens, "llava")
        monkeypatch.setattr(decoder, "LAYER_BYTES", 1)
        found = model.fuse(tokens, "llava")
    assert batches == [4, 1, 1, 1, 1]
    assert torch.allclose(found, whole, atol=1e-5)


def test_answers_weighed_a_few_places_at_a_time_are_the_same(opened, records, monkeypatch):
    model, some = opened("llava"), records("llava")[:2]
    whole = torch.stack([answered(model, record) for record in some])
    monkeypatch.setattr(decoder, "VOCABULARY_BYTES", 1)
    places = []
    hook = model.head("llava").out.register_forward_hook(lambda _, given, scores: places.append(scores.shape[:2]))
    found = torch.stack([answered(model, record) for record in some])
    hook.remove()
    assert torch.allclose(found, whole, atol=1e-6)
    assert set(places) == {(1, 1)}


@pytest.mark.parametrize("entry", [{"dtype": "F32"}, {"dtype": "F32", "shape": 5}, {"dtype": "F32", "shape": ["2"]}])
def test_a_header_without_shapes_is_no_safetensors_file(tmp_path, entry):
    text = json.dumps({"w": entry | {"data_offsets": [0, 4]}}).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * 4)
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        stored_elements([file])


def sentencepiece(everywhere):
    """A tokenizer as Llama's: a blank of its own before every stretch of text, or before the first one only."""
    bytes_ = [f"<0x{n:02X}>" for n in range(256)]
    letters = [*map(chr, range(33, 127)), "▁", "re", "red", "▁red", "▁A"]
    vocabulary = {piece: n for n, piece in enumerate(["<unk>", "<s>", "</s>", *bytes_, *letters])}
    merges = [("r", "e"), ("re", "d"), ("▁", "red"), ("▁", "A")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    if everywhere:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>", "<image>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("text", ["red A", " red", "red ", "a.\nred"])
def test_llava_is_cut_into_the_pieces_of_the_whole_text(everywhere, text):
    tokenizer = sentencepiece(everywhere)
    prompt = read_prompt(TEMPLATE, tokenizer, Asked(labels=("red", "a red"), prompt="Which?"))
    table = torch.nn.Embedding(tokenizer.get_vocab_size(), 4)
    around = (prompt.lead, prompt.trail)
    ids, _, _ = PieceEncoder(EncoderSource("directory", "x"), tokenizer, table, 99, 0, around, prompt.space)._pieces(
        text
    )
    own = {"text": tuple(ids), "image": (tokenizer.token_to_id("<image>"),)}
    found = [piece for part in prompt.parts for piece in own.get(part.name, part.pieces)]
    whole = f"USER: <image>\n{text}\nWhich? ASSISTANT:"
    assert found == tokenizer.encode(whole).ids
    for label, answer in zip(("red", "a red"), prompt.answers, strict=True):
        assert [*found, *answer] == tokenizer.encode(f"{whole} {label}").ids
