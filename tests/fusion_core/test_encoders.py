"""The real encoders: what a token is, what happens to awkward input, and what is never loaded."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, ViTConfig, ViTModel

from fusion_core.encoders import DEFAULT_SOURCES, EncoderRoots, EncoderSource, load_encoder
from fusion_core.encoders.image import EFFICIENTNET, ImageEncoder
from fusion_core.encoders.source import locate, read_config, verify
from fusion_core.errors import FusionError, ModelError
from fusion_core.reading.clips import Clip
from fusion_core.reading.pictures import Picture


@pytest.fixture(scope="module")
def encoders():
    return {m: load_encoder(m, source, EncoderRoots()) for m, source in DEFAULT_SOURCES.items()}


def encode(encoder, values):
    inputs, notes = encoder.prepare(values)
    with torch.no_grad():
        return inputs, encoder.encode(inputs), notes


def picture(height, width, seed=0):
    return Picture(np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8), ())


def clip(seconds, rate=16_000, seed=0):
    samples = np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate)).astype(np.float32)
    return Clip(samples, rate, ())


def test_weights_are_the_ones_with_the_documented_hashes(encoders):
    assert encoders["text"].source.sha256.startswith("53aa51172d14")
    assert encoders["image"].source.sha256.startswith("579344248a93")
    assert encoders["audio"].source.sha256.startswith("c170cba0eed1")


def test_pieces_are_merged_to_words_with_their_characters(encoders):
    text = "It doesn't re-charge unbelievably, sadly."
    inputs, tokens, _ = encode(encoders["text"], [text])
    axis = inputs.axes[0]
    assert axis.labels == ("It", "doesn't", "re-charge", "unbelievably", ",", "sadly", ".")
    assert all(text[int(a) : int(b)] == label for (a, b), label in zip(axis.spans, axis.labels, strict=True))
    assert tokens.values.shape == (1, 7, 384)


def test_word_tokens_are_the_mean_of_the_models_own_states(encoders):
    encoder = encoders["text"]
    inputs, tokens, _ = encode(encoder, ["unbelievably good"])
    ids = torch.tensor([encoder.tokenizer.encode("unbelievably good").ids])
    with torch.no_grad():
        hidden = encoder.model(input_ids=ids).last_hidden_state[0]
    pieces = (inputs.groups[0] == 0).nonzero()[:, 0]
    assert len(pieces) > 1
    torch.testing.assert_close(tokens.values[0, 0], hidden[pieces].mean(0), atol=1e-5, rtol=1e-5)


def test_texts_do_not_depend_on_their_batch(encoders):
    texts = ["good", "a much longer sentence about the camera", None, ""]
    _, together, _ = encode(encoders["text"], texts)
    for row, text in enumerate(texts[:2]):
        _, alone, _ = encode(encoders["text"], [text])
        count = int(alone.mask.sum())
        torch.testing.assert_close(together.values[row, :count], alone.values[0, :count], atol=1e-5, rtol=1e-5)
    assert together.mask[2].sum() == 0


def test_a_long_text_is_cut_and_says_so(encoders):
    inputs, tokens, notes = encode(encoders["text"], ["word " * 2000])
    last = int(inputs.axes[0].spans[-1][1])
    assert notes[0] == (f"text cut to its first {last:,} of 10,000 characters ({int(tokens.mask.sum())} words)",)


@pytest.mark.parametrize("text", ["-" * 1_000_000, "a" * 1_000_000, "a-" * 500_000, "é 漢字 " * 150_000])
def test_a_megabyte_of_text_is_cut_within_a_second_and_says_so(encoders, text):
    started = time.perf_counter()
    inputs, _, notes = encode(encoders["text"], [text])
    assert time.perf_counter() - started < 5.0
    assert "text cut to its first" in notes[0][0]
    assert all(a <= b <= len(text) for a, b in inputs.axes[0].spans)


@pytest.mark.parametrize("text", [" ", "\u0000", "🙂", "שלום", "​", "a" * 5000])
def test_odd_text_gives_at_least_one_token_with_spans_inside_the_text(encoders, text):
    inputs, tokens, _ = encode(encoders["text"], [text])
    axis = inputs.axes[0]
    assert tokens.mask.sum() == len(axis.labels) >= 1
    assert all(0 <= a <= b <= len(text) for a, b in axis.spans)
    assert torch.isfinite(tokens.values).all()


def test_cells_cover_the_whole_picture_row_by_row(encoders):
    inputs, tokens, _ = encode(encoders["image"], [picture(200, 640)])
    spans = inputs.axes[0].spans
    assert tokens.values.shape == (1, 49, 1280)
    assert spans[0][:2] == (0.0, 0.0)
    assert spans[-1][2:] == (640.0, 200.0)
    assert spans[1][0] > spans[0][0]
    assert spans[1][1] == spans[0][1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 3), (224, 224)])
def test_pictures_of_any_shape_give_finite_cells(encoders, shape):
    _, tokens, _ = encode(encoders["image"], [picture(*shape)])
    assert torch.isfinite(tokens.values).all()


def test_the_14x14_stage_is_an_option():
    encoder = ImageEncoder(EFFICIENTNET, stage="14x14")
    inputs, tokens, _ = encode(encoder, [picture(50, 50)])
    assert tokens.values.shape == (1, 196, 112)
    assert inputs.axes[0].grid == (14, 14)


def test_frames_know_their_seconds_and_are_at_most_forty(encoders):
    for seconds, count in ((0.5, 25), (3.0, 40), (29.0, 40)):
        inputs, tokens, _ = encode(encoders["audio"], [clip(seconds)])
        axis = inputs.axes[0]
        assert int(tokens.mask.sum()) == len(axis.labels) == count
        assert axis.spans[-1][1] == pytest.approx(seconds, abs=0.02)


def test_clips_do_not_depend_on_their_batch(encoders):
    clips = [clip(0.7, seed=1), clip(4.0, seed=2), None]
    _, together, _ = encode(encoders["audio"], clips)
    for row in range(2):
        _, alone, _ = encode(encoders["audio"], [clips[row]])
        count = int(alone.mask.sum())
        torch.testing.assert_close(together.values[row, :count], alone.values[0, :count], atol=1e-4, rtol=1e-4)
    assert together.mask[2].sum() == 0


@pytest.mark.parametrize(
    ("seconds", "note"), [(0.001, "audio of 1 ms padded to 20 ms"), (31.0, "audio cut to its first 30 of 31.0 s")]
)
def test_a_clip_of_awkward_length_says_what_was_done(encoders, seconds, note):
    _, tokens, notes = encode(encoders["audio"], [clip(seconds)])
    assert notes[0] == (note,)
    assert torch.isfinite(tokens.values).all()


def test_a_batch_with_nothing_in_it_is_all_absent(encoders):
    for encoder in encoders.values():
        _, tokens, _ = encode(encoder, [None, None])
        assert not tokens.mask.any()
        assert tokens.values.shape[0] == 2


def test_every_element_of_the_input_belongs_to_a_token_or_to_none(encoders):
    values = {"text": "three plain words", "image": picture(30, 40), "audio": clip(1.0)}
    for m, encoder in encoders.items():
        inputs, tokens, _ = encode(encoder, [values[m]])
        owner = encoder.token_of(inputs)
        assert owner.shape == inputs.values.shape[1:]
        assert set(owner[owner >= 0].tolist()) == set(range(int(tokens.mask.sum())))


def tiny_bert(folder):
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "good": 5, "bad": 6}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = BertConfig(vocab_size=7, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return EncoderSource("directory", folder.name)


def test_a_local_hugging_face_folder_is_a_text_encoder(tmp_path):
    source = tiny_bert(tmp_path / "tiny")
    encoder = load_encoder("text", source, EncoderRoots((tmp_path,)))
    _, tokens, _ = encode(encoder, ["good bad"])
    assert tokens.values.shape == (1, 2, 16)
    assert len(encoder.source.sha256) == 64


def test_a_local_vision_transformer_is_an_image_encoder(tmp_path):
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path / "vit")
    encoder = load_encoder("image", EncoderSource("directory", "vit"), EncoderRoots((tmp_path,)))
    inputs, tokens, _ = encode(encoder, [picture(64, 64)])
    assert tokens.values.shape == (1, 16, 16)
    assert inputs.axes[0].grid == (4, 4)


@pytest.mark.parametrize("key", ["auto_map", "custom_pipelines", "_attn_implementation_internal"])
def test_a_config_that_names_code_is_refused(tmp_path, key):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "vision_config": {key: {"x": "y"}}}))
    with pytest.raises(ModelError, match=f"its config names {key}") as caught:
        read_config(tmp_path)
    assert caught.value.code == "model_refused"


def test_a_folder_with_python_files_is_refused(tmp_path):
    tiny_bert(tmp_path / "tiny")
    (tmp_path / "tiny" / "modeling.py").write_text("raise SystemExit")
    with pytest.raises(ModelError, match="it holds Python files"):
        load_encoder("text", EncoderSource("directory", "tiny"), EncoderRoots((tmp_path,)))


def test_pickled_weights_are_never_looked_at(tmp_path):
    tiny_bert(tmp_path / "tiny")
    (tmp_path / "tiny" / "model.safetensors").rename(tmp_path / "tiny" / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        load_encoder("text", EncoderSource("directory", "tiny"), EncoderRoots((tmp_path,)))


def test_a_class_outside_the_list_is_refused(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "config.json").write_text('{"model_type": "gpt2"}')
    save_file({"w": torch.zeros(1)}, tmp_path / "x" / "model.safetensors")
    with pytest.raises(ModelError, match="'gpt2' is no text encoder; allowed: bert"):
        load_encoder("text", EncoderSource("directory", "x"), EncoderRoots((tmp_path,)))


@pytest.mark.parametrize("name", ["../outside", "/etc", "a/../../outside"])
def test_encoder_folders_stay_inside_their_roots(tmp_path, name):
    for folder in ("root/a", "outside"):
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(FusionError) as caught:
        locate(EncoderSource("directory", name), EncoderRoots((tmp_path / "root",)))
    assert caught.value.code == "path_refused"


def test_weights_that_are_not_in_the_file_are_never_random(tmp_path):
    source = tiny_bert(tmp_path / "tiny")
    path = tmp_path / "tiny" / "model.safetensors"
    save_file({f"other.{k}": v for k, v in load_file(path).items()}, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="they would be random"):
        load_encoder("text", source, EncoderRoots((tmp_path,)))


def test_half_precision_weights_are_read_as_single(tmp_path):
    source = tiny_bert(tmp_path / "tiny")
    path = tmp_path / "tiny" / "model.safetensors"
    save_file({k: v.half() for k, v in load_file(path).items()}, path, metadata={"format": "pt"})
    _, tokens, _ = encode(load_encoder("text", source, EncoderRoots((tmp_path,))), ["good"])
    assert tokens.values.dtype == torch.float32


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_cut_encoder_file_is_one_sentence(tmp_path, name):
    source = tiny_bert(tmp_path / "tiny")
    path = tmp_path / "tiny" / name
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError):
        load_encoder("text", source, EncoderRoots((tmp_path,)))


def test_another_tokenizer_beside_the_same_weights_is_noticed(tmp_path):
    source = tiny_bert(tmp_path / "tiny")
    known = load_encoder("text", source, EncoderRoots((tmp_path,))).source
    path = tmp_path / "tiny" / "tokenizer.json"
    path.write_text(path.read_text().replace('"good": 5', '"good": 6').replace('"bad": 6', '"bad": 5'))
    with pytest.raises(ModelError, match="is not the one the model was fitted with"):
        load_encoder("text", known, EncoderRoots((tmp_path,)))


def test_the_hub_is_closed_unless_the_operator_opens_it():
    with pytest.raises(ModelError, match="pass --allow-hub"):
        locate(EncoderSource("hub", "someone/something"), EncoderRoots())


def test_a_wrong_hash_stops_loading(tmp_path):
    (tmp_path / "w").write_bytes(b"weights")
    with pytest.raises(ModelError, match="it is damaged or changed"):
        verify(tmp_path / "w", "0" * 64)
