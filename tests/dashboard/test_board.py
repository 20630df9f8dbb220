"""The board's payload: what the viewer gets is what the traces say, in numbers that add up as printed."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import wave
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from dashboard.views import media
from dashboard.views.board import Later, StrategyCard, heard, payload
from dashboard.views.judged import judged_json, maps_of
from dashboard.views.ledger import ledger, printed_sum, readings
from dashboard.views.maps import Explained, attention_groups, byte_map
from fusion_core.types import (
    AttentionMap,
    AttentionScores,
    Attribution,
    Check,
    Cost,
    Curve,
    Faithfulness,
    Ledger,
    Media,
    Prediction,
    Reading,
    Record,
    TokenAxis,
    Trace,
)

CLASSES = ("negative", "neutral", "positive")
WORDS = ("the", "dvd", "broke", "<script>")
AXES = {
    "text": TokenAxis("words", WORDS, ((0, 3), (4, 7), (8, 13), (14, 22))),
    "image": TokenAxis(
        "patches",
        ("a", "b", "c", "d", "e", "f"),
        tuple((x, y, x + 20, y + 20) for y in (0, 20) for x in (0, 20, 40)),
        (2, 3),
    ),
    "audio": TokenAxis("frames", ("0.0", "0.5"), ((0.0, 0.5), (0.5, 1.0))),
}
RATE = 8_000
MEL = np.random.default_rng(1).random((80, 100)).astype(np.float32)


def account(parts: dict[str, float], base: float = 0.26) -> Ledger:
    present = [m for m in parts if parts[m]]
    reading = Reading("negative", 0.8, 0.1)
    return Ledger(
        target="positive",
        policy="marginal",
        donors=32,
        base=base,
        full=base + sum(parts.values()),
        contributions=parts,
        standard_errors={m: 0.06 if m in present else None for m in parts},
        interactions={"text+image": 0.21},
        three_way=None,
        alone=dict.fromkeys(present, reading),
        without=dict.fromkeys(present, reading),
    )


def every_class(parts: dict[str, float]) -> dict[str, Ledger]:
    return {name: replace(account(parts), target=name) for name in CLASSES}


def trace(strategy: str = "early", present: tuple[str, ...] = ("text", "image", "audio"), **changes: object) -> Trace:
    rng = np.random.default_rng(0)
    axes = {m: AXES[m] for m in present}
    sizes = {"cls": 1} | {m: len(axis.labels) for m, axis in axes.items()}
    weights = {q: rng.dirichlet(np.full(sum(sizes.values()), 0.05), (2, n)) for q, n in sizes.items()}
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    record = Record(
        id="fb-1",
        text="the dvd broke <script>" if "text" in present else None,
        image=Media("0" * 64, "a.webp", b"") if "image" in present else None,
        audio=Media("1" * 64, "a.flac", b"") if "audio" in present else None,
        label="negative",
        timestamp=datetime(2026, 10, 3, 14, 22),
        meta={"region": "north", "objects": "x" * 90},
    )
    made = Trace(
        record=record,
        strategy=strategy,
        status="trained",
        target="positive",
        prediction=Prediction(np.array([0.2, 0.1, 0.7]), CLASSES, "negative"),
        axes=axes,
        attention=tuple(
            AttentionMap(
                "stream",
                layer,
                q,
                k,
                weights[q][..., starts[k] : starts[k] + sizes[k]].astype(np.float32),
                summary=q == "cls",
            )
            for layer in (0, 1)
            for q in sizes
            for k in sizes
        ),
        attributions=(
            Attribution(
                "occlusion", "fusion", "positive", {m: rng.normal(size=len(a.labels)) for m, a in axes.items()}, "mean"
            ),
        ),
        ledgers=every_class({"text": -0.72, "image": 3.34, "audio": -0.41}),
        checks=(Check("efficiency", 0.0, True, "It adds up."), Check("attention_matters", 0.3, True, "It matters.")),
        notes=(),
        cost=Cost(225, 0.1),
    )
    return replace(made, **changes)


def built(*traces: Trace, cards: tuple[StrategyCard, ...] = (), **changes: object) -> dict[str, object]:
    arguments: dict[str, object] = {
        "image": media.image(np.zeros((40, 60, 3), np.uint8)),
        "audio": heard(np.sin(np.arange(RATE) / 20).astype(np.float32) * 0.5, RATE, MEL, traces),
        "strategies": cards or tuple(StrategyCard(t.strategy, t.strategy) for t in traces),
        "labels": {"stream": "blocks"},
    }
    return payload(traces, **(arguments | changes))


def decoded(sent: dict[str, object]) -> np.ndarray:
    heads, queries, keys = sent["shape"]
    levels = np.frombuffer(base64.b64decode(sent["data"]), np.uint8).reshape(heads, queries, keys)
    scale = np.frombuffer(base64.b64decode(sent["scale"]), "<f4").reshape(heads, queries, 1)
    return levels / 255 * scale


def printed(text: str) -> float:
    return float(text.replace("−", "-"))


def test_too_many_heads_travel_as_their_mean_and_too_many_layers_as_the_last_ones(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    maps = [
        AttentionMap("stream", n, "text", "image", rng.dirichlet(np.ones(5), (4, 3)).astype("f4")) for n in range(3)
    ]
    assert [g["heads"] for g in attention_groups(maps, {})] == [4, 4, 4]
    monkeypatch.setattr("dashboard.views.maps.MOST_WEIGHTS", 100)
    sent = attention_groups(maps, {})
    assert [(g["label"], g["heads"], g["of"], g["left"]) for g in sent] == [
        (f"stream {n}", 1, 4, "single heads are too large to show") for n in (1, 2, 3)
    ]
    assert np.allclose(decoded(sent[0]["maps"][0]), maps[0].weights.mean(axis=0, keepdims=True), atol=1 / 255)
    monkeypatch.setattr("dashboard.views.maps.MOST_WEIGHTS", 35)
    (second, last) = attention_groups(maps, {})
    assert (second["label"], last["label"]) == ("stream 2", "stream 3")
    assert last["left"] == "single heads and 1 of 3 layers are too large to show"


def test_byte_maps_decode_to_the_weights_within_a_255th_of_each_rows_scale() -> None:
    for weights in (map_.weights for map_ in trace().attention):
        sent = byte_map(AttentionMap("stream", 0, "text", "image", weights))
        allowed = weights.max(axis=-1, keepdims=True) / 255 + 1e-7
        assert (np.abs(decoded(sent) - weights) <= allowed).all()


def test_the_mass_of_a_row_is_exact_however_peaked_its_neighbours_are() -> None:
    weights = np.full((1, 2, 400), 0.1 / 399, np.float32)
    weights[0, 0, 7] = 0.9
    sent = byte_map(AttentionMap("stream", 0, "text", "image", weights))
    mass = np.frombuffer(base64.b64decode(sent["mass"]), "<f4")
    assert mass == pytest.approx(weights.sum(axis=-1).ravel(), abs=1e-6)


def test_maps_of_one_site_and_layer_stay_together_and_layers_count_from_one() -> None:
    (card,) = built(trace())["strategies"]
    assert [group["label"] for group in card["groups"]] == ["blocks 1", "blocks 2"]
    assert all(len(group["maps"]) == 16 and group["heads"] == 2 for group in card["groups"])


def test_gates_are_not_sent_as_attention() -> None:
    gates = tuple(replace(map_, kind="gate") for map_ in trace().attention)
    (card,) = built(trace(attention=gates))["strategies"]
    assert card["groups"] == []


@pytest.mark.parametrize("seed", range(200))
def test_the_printed_ledger_adds_up_in_its_printed_digits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = account(
        dict(zip(("text", "image", "audio"), rng.normal(0, 2, 3).tolist(), strict=True)), float(rng.normal())
    )
    shown = ledger(made, {})
    assert shown is not None
    numbers = shown["sum"]
    digits = len(numbers["total"].split(".")[1])
    assert round(sum(map(printed, numbers["parts"])), digits) == printed(numbers["total"])
    assert round(printed(numbers["full"]) - printed(numbers["base"]), digits) == printed(numbers["total"])
    assert [row["text"] for row in shown["rows"][:3]] == numbers["parts"]
    for text, value in zip(numbers["parts"], made.contributions.values(), strict=True):
        assert printed(text) == round(value, digits)
    assert printed(numbers["base"]) == pytest.approx(made.base, abs=1.01 * 10**-digits)


def test_two_decimals_are_kept_where_they_add_up() -> None:
    assert printed_sum([-0.72, 3.34, -0.41], 2.47, 0.26) == (2, 2.21, 2.47, 0.26)


def test_a_third_decimal_is_printed_where_two_do_not_add_up() -> None:
    assert printed_sum([0.334, 0.334, 0.334], 1.002, 0.0)[0] == 3


def test_a_contribution_within_two_standard_errors_claims_no_sign() -> None:
    made = account({"text": 0.11, "image": -0.13})
    shown = ledger(made, {})
    assert shown is not None
    assert [row["clear"] for row in shown["rows"][:2]] == [False, True]
    assert shown["rows"][0]["spread"] == "± 0.12"
    assert readings(made, None, {})[0]["alone"]["correct"] is None
    assert readings(made, "negative", {})[0]["alone"]["correct"] is True


def test_a_ledger_that_is_not_finite_is_not_printed() -> None:
    assert ledger(account({"text": float("nan"), "image": 1.0}), {}) is None


def test_an_absent_modality_has_no_axis_no_scores_and_stays_out_of_the_sum() -> None:
    made = trace(present=("text", "image"), ledgers=every_class({"text": 1.0, "image": 0.5, "audio": 0.0}))
    sent = built(made, audio=None)
    (card,) = sent["strategies"]
    assert sent["audio"] is None
    assert sent["record"]["present"] == ["text", "image"]
    assert set(card["axes"]) == {"text", "image"}
    assert card["ledgers"]["positive"]["rows"][2]["present"] is False
    assert card["ledgers"]["positive"]["sum"]["parts"] == ["+1.00", "+0.50"]
    assert "4 coalitions, 32 marginal donors" in card["ledgers"]["positive"]["caption"]


def test_a_strategy_at_chance_level_offers_no_maps() -> None:
    (card,) = built(trace(status="chance"))["strategies"]
    assert card["chance"]
    assert not card["groups"]
    assert not card["attributions"]
    assert not card["checks"]


def test_a_strategy_without_a_trace_is_listed_without_an_answer() -> None:
    cards = (
        StrategyCard("late", "late", parameters=412_000, validation_accuracy=0.71, interval=(0.68, 0.74)),
        StrategyCard("early", "early"),
    )
    sent = built(trace("early"), cards=cards)
    assert sent["strategies"][0]["prediction"] is None
    assert sent["strategies"][0]["attributions"] == []
    assert sent["strategies"][0]["facts"] == ["val 0.71 [0.68, 0.74]", "412 k parameters"]


def test_every_class_has_its_ledger_and_the_check_of_its_sum() -> None:
    (card,) = built(trace())["strategies"]
    assert {name: account["target"] for name, account in card["ledgers"].items()} == {c: c for c in CLASSES}
    assert all(account["check"]["passed"] for account in card["ledgers"].values())
    assert [check["name"] for check in card["checks"]] == ["attention matters"]


def test_parts_of_one_map_by_two_methods_become_one_map() -> None:
    text = Attribution("integrated_gradients", "input", "positive", {"text": np.ones(4)}, "masked words", 0.0, 0.001)
    image = Attribution("occlusion", "input", "positive", {"image": np.ones(6)}, "mean colour")
    again = Attribution("occlusion", "input", "positive", {"text": np.zeros(4)}, "masked words")
    other = Attribution("occlusion", "input", "neutral", {"image": np.ones(6)}, "mean colour")
    asked = [Explained("integrated_gradients", (text, image)), Explained("occlusion", (again,))]
    asked.append(Explained("occlusion", (other,)))
    (card,) = built(trace(attributions=()), later=Later({"early": asked}))["strategies"]
    assert [sorted(a["scores"]) for a in card["attributions"]] == [["image", "text"], ["text"], ["image"]]
    whole = card["attributions"][0]
    assert whole["name"] == '["attribution","integrated_gradients","input","positive",""]'
    assert whole["method"] == "integrated gradients (text), occlusion (image)"
    assert whole["baseline"] == "masked words, mean colour"
    assert whole["complete"] == "completeness error 0.1 % (text)"
    assert [check["name"] for check in whole["checks"]] == ["completeness input"]


def test_every_map_of_a_record_has_a_name_that_the_board_spells_too() -> None:
    made = trace(scores=(AttentionScores("relevancy", "positive", {"text": np.arange(4.0)}),))
    views = (AttentionScores("relevancy", "neutral", {"text": np.ones(4)}),)
    found = maps_of(made, (), views, {"stream": "blocks"})
    assert '["relevancy","neutral",""]' in found
    assert list(found['["attribution","occlusion","fusion","positive",""]']) == ["text", "image", "audio"]
    heads = [found[f'["raw","blocks 2","{head}"]']["image"] for head in (1, 2)]
    assert found['["raw","blocks 2",""]']["image"] == pytest.approx(np.mean(heads, axis=0))
    own = next(m for m in made.attention if (m.layer, m.query, m.key) == (1, "cls", "image"))
    assert heads[0] == pytest.approx(own.weights[0, 0])


def test_what_was_measured_of_a_map_travels_with_its_band_its_policy_and_its_number_of_orders() -> None:
    curve = Curve(*np.array([[0.0, 1.0], [2.0, -1.0], [2.0, -1.0], [2.0, 0.0]]), 0.5, 0.6, 0.9)
    found = Faithfulness("all", "mean", 20, curve, curve, 1.25, 0.5, None, "weak", "One of two.")
    sent = judged_json([found], [Check("polarity", 0.1, True, "Fine.")], {})
    assert sent["badge"] == "weak"
    (scope,) = sent["scopes"]
    assert (scope["name"], scope["policy"], scope["orders"]) == ("all modalities", "mean", 20)
    assert scope["curves"][0]["band"] == [0.6, 0.9]
    assert scope["numbers"] == [
        ["comprehensiveness", "+1.25 logits"],
        ["sufficiency", "+0.50 logits"],
        ["sensitivity-n", "not defined"],
    ]
    made = built(trace(), later=Later(judged={"early": {"x positive": sent}}))
    assert made["strategies"][0]["judged"] == {"x positive": sent}


def test_an_answer_that_is_not_finite_never_becomes_a_class() -> None:
    broken = Prediction(np.array([np.nan, 0.1, 0.2]), CLASSES, "negative")
    (card,) = built(trace(prediction=broken))["strategies"]
    assert card["prediction"] == {"finite": False, "top": None, "confidence": None, "correct": None, "classes": []}


def test_the_payload_is_strict_json_with_or_without_media() -> None:
    scores = {"text": np.array([np.nan, np.inf, 0.5, -0.5])}
    odd = trace(attributions=(Attribution("occlusion", "input", "positive", scores, "mean", error=float("nan")),))
    for sent in (built(odd), built(odd, image=None, audio=None)):
        assert json.loads(json.dumps(sent, allow_nan=False)) == sent


def test_axes_shared_by_strategies_are_sent_once_and_boxes_are_shares_of_the_picture() -> None:
    sent = built(trace("early"), trace("late"))
    assert len(sent["axes"]) == 3
    assert sent["strategies"][0]["axes"] == sent["strategies"][1]["axes"]
    patches = next(axis for axis in sent["axes"] if axis["kind"] == "patches")
    assert patches["spans"][5] == pytest.approx([2 / 3, 0.5, 1.0, 1.0], abs=1e-5)


def test_the_revision_names_the_record_and_the_stage_all_that_came() -> None:
    first = built(trace())
    other = Explained("occlusion", (Attribution("occlusion", "fusion", "neutral", {"text": np.ones(4)}, "mean"),))
    more = built(trace(), later=Later({"early": (other,)}, similar={"near": {}, "records": {}}))
    assert more["revision"] == first["revision"]
    assert more["stage"] != first["stage"]
    assert len(more["strategies"][0]["attributions"]) == 2
    assert built(trace(notes=("cut",)))["revision"] != first["revision"]


def test_the_part_of_a_clip_that_is_not_heard_is_not_sent_but_counted() -> None:
    long = np.zeros(5 * RATE, np.float32)
    sent = heard(long, RATE, MEL, [trace()])
    assert sent["seconds"] == 1.0
    assert sent["whole"] == 5.0


def test_a_flag_that_is_also_a_note_is_shown_once() -> None:
    made = trace(notes=("audio cut", "image is grey", "image is grey"))
    sent = built(replace(made, record=replace(made.record, flags=("audio cut",))))
    assert sent["record"]["flags"] == ["audio cut"]
    assert sent["strategies"][0]["notes"] == ["image is grey"]


def test_the_board_knows_what_the_model_reads_and_the_record_has() -> None:
    made = trace(present=("text", "image"), ledgers=every_class({"text": 1.0, "image": 0.5}))
    assert built(made, audio=None)["reads"] == ["text", "image"]
    assert built(trace())["reads"] == ["text", "image", "audio"]


def test_the_caption_names_the_record_its_time_and_its_short_columns() -> None:
    assert built(trace())["record"]["caption"] == "record fb-1 · 2026-10-03 14:22 · region north"


def test_a_picture_travels_as_webp_of_at_most_640_pixels() -> None:
    uri = media.webp_uri(np.zeros((500, 1600, 3), np.uint8))
    picture = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert (picture.format, picture.size) == ("WEBP", (640, 200))


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_a_clip_is_played_at_16_khz_with_its_pitch_and_at_most_30_seconds(rate: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(31 * rate) / rate).astype(np.float32)
    with wave.open(io.BytesIO(base64.b64decode(media.wav_uri(tone, rate).split(",")[1]))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.getnframes() == 480_000
        heard = np.frombuffer(file.readframes(16_000), "<i2")
    assert np.argmax(np.abs(np.fft.rfft(heard))) == 440
    assert np.abs(heard).max() == pytest.approx(0.5 * 32767, rel=0.02)


def test_peaks_hold_the_extremes_and_silence_has_no_level() -> None:
    samples = np.zeros(6_000, np.float32)
    samples[3_005] = -0.25
    drawn = media.peaks(samples)
    assert drawn.shape == (2, 600)
    assert drawn[0, 300] == -127
    assert media.peak_level(samples) == pytest.approx(-12.0, abs=0.1)
    assert media.peak_level(np.zeros(10)) is None
    assert media.peaks(np.zeros(0)).tolist() == [[0], [0]]


def test_a_spectrogram_loses_its_padding_and_puts_low_bands_last() -> None:
    mel = np.zeros((80, 3_000), np.float32)
    mel[0, :200] = 1.0
    sent = media.spectrogram(mel, seconds=2.0)
    levels = np.frombuffer(base64.b64decode(sent["data"]), np.uint8).reshape(sent["rows"], sent["columns"])
    assert sent["seconds"] == 2.0
    assert levels.shape == (80, 200)
    assert levels[-1].min() == 255
    assert levels[:-1].max() == 0


def test_the_views_load_neither_torch_nor_streamlit() -> None:
    code = "import sys, dashboard.views.board; print([m for m in ('torch', 'streamlit') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
