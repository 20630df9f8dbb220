"""What a token reads in other modalities over a bottleneck, against products worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.attend.joint import joint
from fusion_core.attend.two_hop import two_hop_maps
from fusion_core.attention import capture
from tests.conftest import LENGTHS, absent, random_tokens
from tests.fusion_core.handmade import Streams, tape_of

TEXT, IMAGE, SHARED = ("text", 2), ("image", 2), ("bottleneck", 1)


def test_two_hops_over_a_bottleneck_are_the_product_of_both():
    text, image = ("text", 2), ("image", 1)
    tape = tape_of(
        ("bottleneck", 0, (text, SHARED), (text, SHARED), [[1.0, 0, 0], [0, 1.0, 0], [0.6, 0.2, 0.2]], None),
        ("bottleneck", 0, (image, SHARED), (image, SHARED), [[1.0, 0], [0.3, 0.7]], None),
        ("bottleneck", 1, (text,), (text, SHARED), [[0.5, 0.1, 0.4], [0.5, 0.3, 0.2]], None),
        ("bottleneck", 1, (image,), (image, SHARED), [[0.0, 1.0]], None),
    )
    found = {(m.query, m.key): m for m in two_hop_maps(joint(tape))}
    assert set(found) == {("text", "image"), ("image", "text")}
    assert found["text", "image"].weights[0] == pytest.approx(np.array([[0.4], [0.2]]) * 0.15)
    assert found["image", "text"].weights[0] == pytest.approx(np.array([[0.3, 0.1]]))
    assert {(m.site, m.layer) for m in found.values()} == {("two-hop", 1)}


def test_two_hop_maps_keep_the_heads_of_the_second_hop_and_average_those_of_the_first():
    tape = tape_of(
        ("bottleneck", 0, (IMAGE, SHARED), (IMAGE, SHARED), [[1.0, 0, 0], [0, 1.0, 0], [0.5, 0.3, 0.2]], None),
        ("bottleneck", 1, (TEXT,), (TEXT, SHARED), [[0.5, 0.1, 0.4], [0.5, 0.3, 0.2]], None),
    )
    for captured, other in zip(tape.captured, ([0.1, 0.1, 0.8], [0.0, 0.0, 1.0]), strict=True):
        second = torch.tensor(other).expand_as(captured.weights)
        object.__setattr__(captured, "weights", torch.cat([captured.weights, second], dim=1))
    (found,) = two_hop_maps(joint(tape))
    assert found.weights[0] == pytest.approx(np.outer([0.4, 0.2], [0.3, 0.2]))
    assert found.weights[1] == pytest.approx(np.outer([1.0, 1.0], [0.3, 0.2]))


def test_a_single_stream_and_pairs_have_no_two_hop_maps():
    flat = [[0.5, 0.5], [0.5, 0.5]]
    pair = tape_of(("cross", 0, (TEXT,), (IMAGE,), flat, None), ("self", 1, (TEXT,), (TEXT,), flat, None))
    assert two_hop_maps(joint(pair)) == ()


@pytest.mark.parametrize("last_reads", [False, True])
def test_two_hop_maps_of_a_head_leave_out_absent_modalities(last_reads):
    torch.manual_seed(0)
    head = Streams(last_reads)
    with torch.no_grad(), capture() as tape:
        head(absent(random_tokens(1), "audio"))
    found = two_hop_maps(joint(tape))
    assert {(m.query, m.key) for m in found} == {("text", "image"), ("image", "text")}
    assert all(m.weights.shape == (2, LENGTHS[m.query], LENGTHS[m.key]) for m in found)
    assert all(0 < m.weights.sum(-1).max() < 1 for m in found)
