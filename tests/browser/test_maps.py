"""The viewer's arithmetic on attention whose answer is known: what is even, what stands out, and by how much."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.views.maps import attention_groups
from fusion_core.types import AttentionMap
from tests.conftest import ROOT

VIEWER = ROOT / "dashboard" / "viewer"
AXES = {
    "text": {"labels": ["a", "b"], "spans": [[0, 1], [2, 3]], "grid": None},
    "image": {"labels": ["1", "2", "3"], "spans": [[0, 0, 1, 1]] * 3, "grid": [1, 3]},
}
PANE = """
given => {
  const [group, axes, token, direction] = given;
  const pane = {
    board: { ui: { head: -1, direction }, data: { classes: ["x", "y"] }, nameOf: (m) => m, active: () => token },
    token: (t) => t, axis: (m) => axes[m] ?? null, group: () => group,
  };
  const look = attentionLook(pane);
  const words = look.line.map((part) => (typeof part === "string" ? part : (part.strong ?? part.quiet))).join("");
  const alphas = Object.fromEntries(Object.keys(look.values).map((m) =>
    [m, Array.from(look.values[m], (_, i) => shade(look, m, i, [1, 2]).alpha)]));
  const marks = look.back && Object.fromEntries(Object.keys(look.back.values).map((m) =>
    [m, Array.from(look.back.values[m], (_, i) => marked(look, m, i))]));
  const lifts = Object.fromEntries(Object.entries(look.values).map(([m, v]) => [m, Array.from(v)]));
  return { lifts, most: look.most, alphas, marks, words };
}
"""


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    for name in ("tools.js", "maps.js"):
        page.add_script_tag(content=(VIEWER / name).read_text("utf-8"))
    yield page
    page.close()


def look(page, maps, token=None, direction="both"):
    (group,) = attention_groups(maps, {})
    return page.evaluate(PANE, [group, AXES, token, direction])


def one_stream(rows: np.ndarray) -> list[AttentionMap]:
    """Cut rows over [cls, text text, image image image] into maps that share a softmax."""
    cuts = {"cls": slice(0, 1), "text": slice(1, 3), "image": slice(3, 6)}
    return [
        AttentionMap("stream", 0, q, k, rows[None, cuts[q], cuts[k]].astype(np.float32), summary=q == "cls")
        for q in cuts
        for k in cuts
    ]


def test_even_attention_lights_up_nothing(page):
    seen = look(page, one_stream(np.full((6, 6), 1 / 6)), {"modality": "text", "index": 0})
    assert seen["lifts"] == {m: pytest.approx([1] * n, abs=0.01) for m, n in (("text", 2), ("image", 3))}
    assert all(max(alphas) < 0.02 for alphas in seen["alphas"].values())
    assert seen["most"] == 2  # a flat map is not blown up
    assert "no token more than an even share" in seen["words"]


def test_a_token_with_half_of_a_shared_row_is_three_times_an_even_share_of_six(page):
    rows = np.full((6, 6), 1 / 6)
    rows[1] = [0.1, 0.1, 0.1, 0.5, 0.1, 0.1]
    seen = look(page, one_stream(rows), {"modality": "text", "index": 0}, "to")
    assert seen["lifts"]["image"] == pytest.approx([3.0, 0.6, 0.6], abs=0.02)
    assert seen["alphas"]["image"] == pytest.approx([1, 0, 0])
    assert "image 0.70 · text 0.20 · cls 0.10; most image row 1, column 1 3.0 × an even share" in seen["words"]
    assert seen["marks"] is None


def test_what_reads_a_token_is_marked_beside_what_it_reads(page):
    rows = np.full((6, 6), 1 / 6)
    rows[4] = [0, 0.5, 0.5, 0, 0, 0]
    seen = look(page, one_stream(rows), {"modality": "text", "index": 0}, "both")
    assert seen["marks"]["image"] == pytest.approx([0, 1, 0], abs=0.01)
    assert "attends to:" in seen["words"]
    assert "is attended by:" in seen["words"]


def test_a_pair_has_a_softmax_of_its_own(page):
    pairs = [
        AttentionMap("cross", 0, "text", "image", np.array([[[0.5, 0.25, 0.25], [1 / 3] * 3]], np.float32)),
        AttentionMap("cross", 0, "image", "text", np.array([[[0.5, 0.5]] * 3], np.float32)),
    ]
    seen = look(page, pairs, {"modality": "text", "index": 0}, "to")
    assert seen["lifts"] == {"image": pytest.approx([1.5, 0.75, 0.75], abs=0.02)}
    assert "each pair its own softmax" in seen["words"]
    mean = look(page, pairs)
    assert mean["lifts"]["image"] == pytest.approx([1.25, 0.875, 0.875], abs=0.02)
    assert mean["lifts"]["text"] == pytest.approx([1, 1], abs=0.01)


def test_small_scores_are_printed_with_decimals_enough(page):
    digits = page.evaluate("[0, 1.2, 0.021, 0.003].map(decimals)")
    assert digits == [2, 2, 3, 4]
