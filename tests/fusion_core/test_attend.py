"""Raw attention, rollout and relevancy against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.attend import attention_scores
from fusion_core.attend.joint import joint, mean_of_heads
from fusion_core.attend.raw_scores import raw_scores
from fusion_core.attend.relevancy import relevancy
from fusion_core.attend.rollout import carried, rollout
from tests.conftest import LENGTHS, absent, random_tokens
from tests.fusion_core.handmade import Pick, Relay, Twins, model_of, tape_of

TEXT, IMAGE, CLS, SHARED = ("text", 2), ("image", 2), ("cls", 1), ("bottleneck", 1)


def by_method(model, tokens, target):
    return {found.method: found for found in attention_scores(model, tokens, "mine", target)}


def flat_self(site, layer):
    return site, layer, (TEXT,), (TEXT,), [[0.5, 0.5], [0.5, 0.5]], None


def test_rollout_of_two_known_layers():
    tape = tape_of(
        ("self", 0, (TEXT,), (TEXT,), [[0.5, 0.5], [0.0, 1.0]], None),
        ("self", 1, (TEXT,), (TEXT,), [[1.0, 0.0], [0.25, 0.75]], None),
    )
    whole = carried(joint(tape), torch.eye(2, dtype=torch.double))
    assert whole.numpy() == pytest.approx(np.array([[0.75, 0.25], [0.09375, 0.90625]]))
    read = rollout(joint(tape), ("text",))
    assert read.scores["text"] == pytest.approx([0.421875, 0.578125])
    assert (read.method, read.target) == ("rollout", None)


def test_segments_that_are_read_together_weigh_the_same_however_long_they_are():
    tape = tape_of(
        ("self", 0, (TEXT,), (TEXT,), np.eye(2).tolist(), None),
        ("self", 0, (("image", 4),), (("image", 4),), np.eye(4).tolist(), [True, True, True, False]),
        ("self", 0, (("audio", 1),), (("audio", 1),), [[1.0]], [False]),
    )
    read = rollout(joint(tape), ("text", "image", "audio"))
    assert read.scores["text"] == pytest.approx([1 / 4, 1 / 4])
    assert read.scores["image"] == pytest.approx([1 / 6, 1 / 6, 1 / 6, 0.0])
    assert "audio" not in read.scores


def test_heads_are_averaged():
    tape = tape_of(("self", 0, (TEXT,), (TEXT,), [[1.0, 0.0], [0.0, 1.0]], None))
    one = tape.captured[0].weights
    object.__setattr__(tape.captured[0], "weights", torch.cat([one, one.flip(-1)], dim=1))
    axis = joint(tape)
    assert axis.matrix(axis.steps[0], mean_of_heads).numpy() == pytest.approx(np.full((2, 2), 0.5))


def test_pairs_of_one_layer_are_applied_at_once():
    swap = [[1.0, 0.0], [0.0, 1.0]]
    tape = tape_of(
        ("cross", 0, (TEXT,), (IMAGE,), swap, None),
        ("cross", 0, (IMAGE,), (TEXT,), swap, None),
    )
    whole = carried(joint(tape), torch.eye(4, dtype=torch.double))
    # One after the other, an image cell would get back a quarter of itself through the word it reads.
    assert whole.numpy() == pytest.approx(np.block([[np.eye(2) / 2, np.eye(2) / 2], [np.eye(2) / 2, np.eye(2) / 2]]))


def test_captures_of_one_layer_belong_together_in_whatever_order_they_were_heard():
    pair = ("cross", 0, (IMAGE,), (TEXT,), [[1.0, 0.0], [0.0, 1.0]], None)
    straight = tape_of(("cross", 0, (TEXT,), (IMAGE,), [[1.0, 0.0], [1.0, 0.0]], None), pair, flat_self("self", 1))
    mixed = tape_of(("cross", 0, (TEXT,), (IMAGE,), [[1.0, 0.0], [1.0, 0.0]], None), flat_self("self", 1), pair)
    a, b = (rollout(joint(tape), ("text", "image")).scores for tape in (straight, mixed))
    assert a["text"] == pytest.approx(b["text"])
    assert a["image"] == pytest.approx(b["image"])


def test_a_target_with_two_sources_keeps_a_third_of_itself():
    tape = tape_of(
        ("cross", 0, (TEXT,), (IMAGE,), [[1.0, 0.0], [1.0, 0.0]], None),
        ("cross", 0, (TEXT,), (("audio", 1),), [[1.0], [1.0]], None),
    )
    read = rollout(joint(tape), ("text",))
    assert read.scores["text"] == pytest.approx([1 / 6, 1 / 6])
    assert read.scores["image"] == pytest.approx([1 / 3, 0.0])
    assert read.scores["audio"] == pytest.approx([1 / 3])


@pytest.mark.parametrize("image_there", [True, False])
def test_bottlenecks_become_the_mean_over_the_streams_present(image_there):
    stream = ("bottleneck", 0)
    tape = tape_of(
        (*stream, (TEXT, SHARED), (TEXT, SHARED), [[1.0, 0, 0], [0, 1.0, 0], [0.6, 0.2, 0.2]], None),
        (
            *stream,
            (IMAGE, SHARED),
            (IMAGE, SHARED),
            [[1.0, 0, 0], [0, 1.0, 0], [0.1, 0.4, 0.5]],
            [image_there, image_there, True],
        ),
    )
    axis = joint(tape)
    row = axis.matrix(axis.steps[0], mean_of_heads)[axis.places["bottleneck"]][0]
    wanted = {"text": [0.3, 0.1], "bottleneck": [0.35], "image": [0.05, 0.2]}
    if not image_there:
        wanted = {"text": [0.6, 0.2], "bottleneck": [0.2], "image": [0.0, 0.0]}
    assert {m: row[place].tolist() for m, place in axis.places.items()} == {
        m: pytest.approx(values) for m, values in wanted.items()
    }


def test_raw_scores_are_the_mean_over_the_queries_that_exist_with_mass_and_density():
    tape = tape_of(
        (
            "stream",
            0,
            (CLS, TEXT),
            (CLS, TEXT, IMAGE),
            [[0.2, 0.4, 0.0, 0.3, 0.1], [0.0, 0.2, 0.0, 0.5, 0.3], [0.9, 0.0, 0.0, 0.0, 0.1]],
            [True, True, False, True, True],
        )
    )
    raw = raw_scores(joint(tape))
    assert raw.scores["text"] == pytest.approx([0.3, 0.0])  # the second word is padding: neither asks nor is read
    assert raw.scores["image"] == pytest.approx([0.4, 0.2])
    assert raw.shares["text"].mass == pytest.approx(1 / 3)
    assert raw.shares["text"].density == pytest.approx(1 / 3)
    assert raw.shares["image"].mass == pytest.approx(2 / 3)
    assert raw.shares["image"].density == pytest.approx(1 / 3)


def test_raw_scores_come_from_the_last_layer_that_crosses_and_only_from_those_who_could_read():
    tape = tape_of(
        ("cross", 0, (TEXT,), (IMAGE,), [[0.5, 0.5], [0.5, 0.5]], None),
        ("cross", 1, (TEXT,), (IMAGE,), [[0.9, 0.1], [0.7, 0.3]], None),
        ("cross", 1, (IMAGE,), (TEXT,), [[0.0, 1.0], [0.0, 1.0]], None),
        flat_self("self", 2),
    )
    axis = joint(tape)
    assert raw_scores(axis).scores["image"] == pytest.approx([0.8, 0.2])
    assert raw_scores(axis).scores["text"] == pytest.approx([0.0, 1.0])
    assert raw_scores(axis, axis.steps[0]).scores["image"] == pytest.approx([0.5, 0.5])
    assert raw_scores(joint(tape_of(flat_self("self", 0)))) is None


def test_where_modalities_meet_in_bottlenecks_raw_scores_are_of_the_layer_where_these_read():
    stream = ((TEXT, SHARED), (TEXT, SHARED), [[0.5, 0, 0.5], [0, 0.5, 0.5], [0.6, 0.2, 0.2]], None)
    tape = tape_of(
        ("bottleneck", 0, *stream), ("bottleneck", 1, (TEXT,), (TEXT, SHARED), [[0, 1.0, 0], [0, 1.0, 0]], None)
    )
    assert raw_scores(joint(tape)).scores["text"] == pytest.approx([1.1 / 3, 0.7 / 3])


def test_relevancy_of_two_known_layers():
    tape = tape_of(
        ("self", 0, (TEXT,), (TEXT,), [[0.5, 0.5], [0.0, 1.0]], None),
        ("self", 1, (TEXT,), (TEXT,), [[1.0, 0.0], [0.25, 0.75]], None),
    )
    gradients = torch.tensor([[-1.0, 2.0], [0.0, -1.0]])[None, None], torch.tensor([[-1.0, 0], [4.0, -1.0]])[None, None]
    # A_bar 0 = [[0, 1], [0, 0]], A_bar 1 = [[0, 0], [1, 0]]; R = (I + A_bar 1)(I + A_bar 0) = [[1, 1], [1, 2]].
    found = relevancy(joint(tape), gradients, ("text",), "yes")
    assert found.scores["text"] == pytest.approx([1.0, 2.0])  # both rows added, I taken off


def test_relevancy_picks_what_attention_selects_for_the_class():
    model, tokens = model_of(Pick()), random_tokens(1)
    no, maybe, yes = (by_method(model, tokens, target)["relevancy"] for target in range(3))
    # d(centred "no")/d(head 0) = 3 - 3/3 = 2, mean over two heads; "yes": 2 - 2/3 = 4/3. The other head speaks against.
    assert no.scores["text"] == pytest.approx([0, 1.0, 0, 0, 0])
    assert no.scores["image"] == pytest.approx(np.zeros(9))
    assert yes.scores["image"] == pytest.approx(np.eye(9)[4] * 2 / 3)
    assert yes.scores["text"] == pytest.approx(np.zeros(5))
    assert not any(scores.any() for scores in maybe.scores.values())
    assert (no.target, yes.target) == ("no", "yes")
    assert no.shares["text"].mass == pytest.approx(1.0)
    assert no.shares["text"].density == pytest.approx(0.2)
    assert maybe.shares["text"].mass == 0.0


def test_raw_and_rollout_are_the_same_for_every_class():
    model, tokens = model_of(Pick()), random_tokens(1)
    for method in ("raw", "rollout"):
        found = [by_method(model, tokens, target)[method] for target in range(3)]
        assert [f.target for f in found] == [None, None, None]
        assert all(np.array_equal(f.scores["text"], found[0].scores["text"]) for f in found)


def test_equal_attention_gives_equal_scores():
    for scores in by_method(model_of(Pick(flat=True)), random_tokens(1), 0).values():
        values = np.concatenate(list(scores.scores.values()))
        assert values[0] > 0
        assert values == pytest.approx(np.full(18, values[0]))
        assert {m: s.density for m, s in scores.shares.items()} == dict.fromkeys(LENGTHS, pytest.approx(1 / 18))


def test_a_token_that_reaches_the_answer_only_through_another_modality_shows_up():
    found = by_method(model_of(Relay()), random_tokens(1), 2)
    frames = np.eye(4)[2]
    assert found["rollout"].scores["audio"] == pytest.approx(0.5 * frames)
    assert found["rollout"].scores["text"] == pytest.approx(np.full(5, 0.1))
    audio = found["relevancy"].scores["audio"]
    assert audio[2] > 0
    assert audio == pytest.approx(audio[2] * frames)
    assert found["raw"].scores["audio"] == pytest.approx(frames)
    assert "image" not in found["relevancy"].scores  # no attention asks it or for it
    # For "no" the same frame speaks against: nothing is relevant.
    assert not any(s.any() for s in by_method(model_of(Relay()), random_tokens(1), 0)["relevancy"].scores.values())


def test_streams_that_say_the_same_have_the_relevancy_of_one():
    model, tokens = model_of(Twins()), random_tokens(1, lengths=dict.fromkeys(LENGTHS, 4))
    alone, both, three = (
        by_method(model, absent(tokens, *gone), 0)["relevancy"].scores for gone in (("image", "audio"), ("audio",), ())
    )
    assert alone["text"].sum() > 0
    assert sum(s.sum() for s in both.values()) == pytest.approx(alone["text"].sum())
    assert sum(s.sum() for s in three.values()) == pytest.approx(alone["text"].sum())
    assert both["text"] == pytest.approx(both["image"])


def test_axes_that_disagree_about_a_modality_are_refused():
    tape = tape_of(flat_self("self", 0), ("self", 1, (("text", 1),), (("text", 1),), [[1.0]], None))
    with pytest.raises(ValueError, match="1 text tokens where another site has 2"):
        joint(tape)
