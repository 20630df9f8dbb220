"""Qwen2-Audio weighs answers as its own forward does; its tokens are the clip's, whatever its length."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer

from fusion_core.attribute.pose import at_input
from fusion_core.encoders.stack import decode
from fusion_core.errors import ModelError
from fusion_core.foreign import load_foreign
from fusion_core.reading.clips import Clip
from fusion_core.types import Record
from tests.fusion_core.foreign.conftest import LABELS
from tests.fusion_core.foreign.test_decoders import answered, likelihoods
from tests.fusion_core.foreign.tiny import qwen2_audio as tiny

NAME, TEXT = "qwen2_audio", "what is red"
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
ASSISTANT = "<|im_end|>\n<|im_start|>assistant\n"
RATE, WINDOW = 16_000, 32_000


@pytest.fixture(scope="module")
def family(folders):
    folder = folders(NAME)
    own = transformers.Qwen2AudioForConditionalGeneration.from_pretrained(folder).eval()
    return own, Tokenizer.from_file(str(folder / "tokenizer.json")), folder


def features(folder, samples):
    """The family's features of a clip, and how many tokens its own forward gives it."""
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    found = extractor(
        samples, sampling_rate=RATE, return_attention_mask=True, padding="max_length", return_tensors="pt"
    )
    frames = int(found["attention_mask"].sum())
    read = {"input_features": found["input_features"], "feature_attention_mask": found["attention_mask"]}
    return read, (((frames - 1) // 2 + 1) - 2) // 2 + 1


def asked(count, text=TEXT):
    heard = f"Audio 1: <|audio_bos|>{'<|AUDIO|>' * count}<|audio_eos|>\n" if count else ""
    return f"{SYSTEM}{heard}{text}{ASSISTANT}"


def noise(length, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, length).astype(np.float32)


def heard(model, samples, rate=RATE):
    encoder = model.stack.encoders["audio"]
    inputs, notes = encoder.prepare([Clip(samples, rate, ())])
    with torch.no_grad():
        return encoder, inputs, encoder.encode(inputs), notes[0]


def test_answers_are_weighed_as_the_family_does(family, opened, records):
    own, tokenizer, folder = family
    record = records(NAME)[11]
    read, count = features(folder, decode(record, "audio")[0].samples)
    assert 15 < count < 25
    wanted = likelihoods(own, tokenizer, asked(count), LABELS.labels, gap="", **read)
    assert torch.allclose(answered(opened(NAME), Record("x", text=TEXT, audio=record.audio)), wanted, atol=2e-4)
    assert wanted.std() > 0.01


def test_what_is_absent_is_not_in_the_sequence(family, opened, records):
    own, tokenizer, folder = family
    record = records(NAME)[11]
    read, count = features(folder, decode(record, "audio")[0].samples)
    alone = likelihoods(own, tokenizer, asked(0), LABELS.labels, gap="")
    assert torch.allclose(answered(opened(NAME), Record("t", text=TEXT)), alone, atol=2e-4)
    silent = likelihoods(own, tokenizer, asked(count, ""), LABELS.labels, gap="", **read)
    assert torch.allclose(answered(opened(NAME), Record("a", audio=record.audio)), silent, atol=2e-4)


def test_the_free_answer_is_what_greedy_generation_writes(family, opened, records):
    own, tokenizer, folder = family
    record = records(NAME)[11]
    read, count = features(folder, decode(record, "audio")[0].samples)
    _, tokens = opened(NAME).encode_record(Record("x", text=TEXT, audio=record.audio))
    ids = torch.tensor([tokenizer.encode(asked(count)).ids])
    stops = list(opened(NAME).head(NAME).stops)
    with torch.no_grad():
        told = own.generate(input_ids=ids, **read, max_new_tokens=24, do_sample=False, eos_token_id=stops)
    wanted = tokenizer.decode(told[0, ids.shape[1] :].tolist(), skip_special_tokens=True).strip()
    assert opened(NAME).head(NAME).free_answer(tokens) == wanted


@pytest.mark.parametrize("length", [641, 900, 1_281, 1_600, 5_119, 5_120, 5_121, 20_000, WINDOW - 1, WINDOW])
def test_tokens_are_those_of_the_family_whose_window_is_padded(family, opened, length):
    own, _, folder = family
    samples = noise(length)
    _, inputs, tokens, notes = heard(opened(NAME), samples)
    read, count = features(folder, samples)
    states = (int(read["feature_attention_mask"].sum()) - 1) // 2 + 1
    allowed = (torch.arange(50) < states).expand(1, 1, 50, -1)
    with torch.no_grad():
        whole = own.model.audio_tower(read["input_features"], attention_mask=allowed).last_hidden_state
        wanted = own.model.multi_modal_projector(whole)[:, :count]
    assert tokens.mask.all()
    assert torch.allclose(tokens.values, wanted, atol=2e-4)
    assert len(inputs.axes[0].spans) == count
    assert notes == ()


@pytest.mark.parametrize("length", [0, 1, 320, 640])
def test_a_clip_shorter_than_a_token_is_one_and_is_said(opened, length):
    _, inputs, tokens, (note,) = heard(opened(NAME), noise(length))
    assert tokens.values.shape[1] == len(inputs.axes[0].spans) == 1
    assert torch.isfinite(tokens.values).all()
    assert "silence behind it" in note
    assert inputs.axes[0].spans[0][1] == length / RATE


def test_a_clip_longer_than_the_window_is_cut_and_said(opened):
    samples = noise(3 * WINDOW)
    _, inputs, tokens, notes = heard(opened(NAME), samples)
    _, _, first, _ = heard(opened(NAME), samples[:WINDOW])
    assert torch.equal(tokens.values, first.values)
    assert tokens.values.shape[1] == 25
    assert inputs.axes[0].spans[-1] == pytest.approx((1.92, 2.0))
    assert notes == ("audio cut to its first 2 of 6.0 s",)


def test_the_window_that_is_published_is_750_tokens_of_40_ms(tmp_path):
    sound = {"feature_size": 128, "hop_length": 160, "chunk_length": 30, "n_fft": 400, "return_attention_mask": True}
    tower = {"num_mel_bins": 128, "max_source_positions": 1_500}
    model = load_foreign(tiny(tmp_path, {"max_position_embeddings": 1_024}, sound, tower), LABELS)
    _, inputs, tokens, _ = heard(model, noise(30 * RATE))
    assert inputs.values.shape == (1, 128, 3_000)
    assert tokens.values.shape[1] == model.stack.encoders["audio"].tokens == 750
    assert inputs.axes[0].spans[-1] == pytest.approx((29.96, 30.0))
    with torch.no_grad():
        text = model.encode(model.prepare([Record("t", text=TEXT)]))["text"]
        assert torch.isfinite(model.fuse({"text": text, "audio": tokens}, NAME)).all()
    assert 0 < model.stack.encoders["text"].limit < 1_024 - 750


def test_spans_are_seconds_of_the_clip_at_any_rate(opened):
    _, inputs, _, _ = heard(opened(NAME), noise(44_100 // 2), 44_100)
    spans = inputs.axes[0].spans
    assert spans[0] == pytest.approx((0, 0.08))
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert 0.42 < spans[-1][1] <= 0.5
    assert inputs.axes[0].labels[1] == "0.08-0.16 s"


def test_clips_of_a_batch_do_not_change_each_other(opened):
    encoder = opened(NAME).stack.encoders["audio"]
    clips = [Clip(noise(n, n), RATE, ()) for n in (31_000, 700, 9_000)]
    with torch.no_grad():
        together = encoder.encode(encoder.prepare([clips[0], None, *clips[1:]])[0])
    assert together.mask.sum(dim=1).tolist() == [24, 0, 1, 7]
    assert together.values[1].abs().max() == 0
    for row, clip in zip((0, 2, 3), clips, strict=True):
        _, _, alone, _ = heard(opened(NAME), clip.samples)
        assert torch.allclose(together.values[row][together.mask[row]], alone.values[0], atol=2e-5)
    with torch.no_grad():
        nothing = encoder.encode(encoder.prepare([None, None])[0])
    assert nothing.mask.shape == (2, 1)
    assert not nothing.mask.any()


def test_every_frame_that_is_read_is_a_tokens_and_silence_is_the_family_s(opened):
    encoder, inputs, tokens, _ = heard(opened(NAME), noise(9_000))
    owner = encoder.token_of(inputs)
    assert owner.shape == inputs.values.shape[1:]
    assert owner.min() == 0
    assert owner.unique().tolist() == list(range(tokens.values.shape[1]))
    values = inputs.values.clone().requires_grad_()
    encoder.encode(type(inputs)(values, inputs.mask, inputs.axes)).values.sum().backward()
    assert (values.grad.abs().amax(dim=(0, 1)) > 0).all()
    _, silent, _, _ = heard(opened(NAME), np.zeros(9_000, np.float32))
    assert torch.equal(encoder.baseline(silent), silent.values)
    half = np.concatenate([noise(4_000), np.zeros(8_000, np.float32)])
    _, behind, _, _ = heard(opened(NAME), half)
    assert torch.allclose(encoder.baseline(behind)[0, 0, 0], behind.values[0, :, -3:].max(), atol=1e-5)


def test_memory_of_a_row_counts_tokens_that_are_not_explained(opened, records):
    model, record = opened(NAME), records(NAME)[0]
    inputs, tokens = model.encode_record(record)
    problem = at_input(model, inputs, tokens, NAME, 0, ("text",))
    row = problem.bytes_per_element * problem.values[0].numel()
    assert row >= model.head(NAME).bytes_per_element * sum(t.values.numel() for t in tokens.values())


def test_states_of_the_clip_are_the_language_model_s_own_without_text(family, opened, records):
    own, tokenizer, folder = family
    record = records(NAME)[11]
    read, count = features(folder, decode(record, "audio")[0].samples)
    ids = torch.tensor([tokenizer.encode(asked(count, "")).ids])
    _, tokens = opened(NAME).encode_record(record)
    with torch.no_grad():
        states = opened(NAME).head(NAME).states("audio", tokens["audio"])
        whole = own.model(input_ids=ids, **read).last_hidden_state[0]
    assert torch.allclose(states.values[0], whole[ids[0] == own.config.audio_token_id], atol=2e-4)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"sound": {"feature_size": 80}}, "its audio tower reads 16 of 100"),
        ({"sound": {"chunk_length": 30}}, "its audio tower reads 16 of 100"),
        ({"sound": {"hop_length": 0}}, "out of range"),
        ({"sound": {"sampling_rate": "fast"}}, "out of range"),
        ({"sound": {"n_fft": 16_000, "sampling_rate": 4_000}}, "n_fft over its whole window"),
        ({"sound": {"dither": 0.1}}, "dither 0.1; only 0 is read"),
        ({"language": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}}, "sliding_attention"),
    ],
)
def test_a_folder_that_would_be_read_otherwise_is_refused(tmp_path, made, words):
    with pytest.raises(ModelError, match=words):
        load_foreign(tiny(tmp_path, **made), LABELS)


def test_another_tower_is_refused(folders, tmp_path):
    folder = tiny(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["audio_config"]["model_type"] = "whisper"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="model_type 'whisper'; read there: qwen2_audio_encoder"):
        load_foreign(folder, LABELS)
