"""What every family must hold: absence, masks, batches, the ledger, both seams, and attention that changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fusion_core.attend import attention_scores
from fusion_core.attention import capture
from fusion_core.contribute.ledger import measure
from fusion_core.doctor import capabilities
from fusion_core.foreign import family, load_foreign
from fusion_core.model import pool_rows
from fusion_core.question import Question
from fusion_core.random_heads import attribution_check
from fusion_core.trace import trace_record
from fusion_core.types import Tokens
from tests.conftest import absent
from tests.fusion_core.foreign.conftest import LABELS, MATCH
from tests.fusion_core.foreign.tiny import FAMILIES

#: Decoders share one way to match: one of them stands for all here.
ASKED = [
    pytest.param(name, asked, id=f"{name}-{'match' if asked.task else 'labels'}")
    for name in FAMILIES
    for asked in ((LABELS, MATCH) if family[name].fusion != "decoder" or name == "llava" else (LABELS,))
]
every = pytest.mark.parametrize(("name", "asked"), ASKED)


def encoded(model, records):
    with torch.no_grad():
        return model.encode(model.prepare(records))


def fuse(model, tokens):
    with torch.no_grad():
        return model.fuse(tokens, model.default_strategy)


def test_every_family_that_is_read_is_tested():
    assert set(FAMILIES) == set(family)


@every
def test_what_is_said_of_the_model_is_what_is_known(opened, name, asked):
    model = opened(name, asked)
    fitted = model.fitted[name]
    assert (fitted.status, fitted.validation_accuracy, fitted.interval) == ("as loaded", None, None)
    assert fitted.parameters == sum(p.numel() for p in model.head(name).parameters()) > 1_000
    assert model.strategies == (name,)
    assert model.classes == asked.classes


@every
def test_values_of_an_absent_modality_change_nothing_by_a_bit(opened, records, name, asked):
    model = opened(name, asked)
    tokens = encoded(model, records(name)[:2])
    for m in model.modalities:
        gone = absent(tokens, m)
        plain = fuse(model, gone)
        assert torch.isfinite(plain).all()
        for noise in (torch.nan, 7.0):
            garbled = {**gone, m: gone[m].each(lambda v, n=noise: torch.full_like(v, n))}
            assert torch.equal(fuse(model, garbled), plain)
    assert torch.isfinite(fuse(model, absent(tokens, *model.modalities))).all()


@every
def test_padding_batch_and_order_do_not_change_the_answer(opened, records, name, asked):
    model = opened(name, asked)
    several = [encoded(model, [record]) for record in records(name)[:5]]
    together = fuse(model, pool_rows(several))
    for row, one in enumerate(several):
        assert torch.allclose(fuse(model, one)[0], together[row], atol=2e-5)
        if one["text"].values.shape[1] < 10:
            longer = torch.nn.functional.pad(one["text"].values, (0, 0, 0, 2), value=torch.nan)
            padded = {**one, "text": Tokens(longer, torch.nn.functional.pad(one["text"].mask, (0, 2)))}
            assert torch.allclose(fuse(model, padded)[0], together[row], atol=2e-5)
    backwards = fuse(model, dict(reversed(pool_rows(several).items())))
    assert torch.equal(backwards, together)


@every
def test_a_piece_that_is_masked_out_leaves_the_sequence(opened, records, name, asked):
    model = opened(name, asked)
    tokens = encoded(model, records(name)[:1])
    text = tokens["text"]
    hole = text.mask.clone()
    hole[0, 1] = False
    shorter = torch.cat([text.values[:, :1], text.values[:, 2:]], dim=1)
    with_hole = fuse(model, {**tokens, "text": Tokens(text.values, hole)})
    without = fuse(model, {**tokens, "text": Tokens(shorter, text.mask[:, 1:])})
    assert torch.allclose(with_hole, without, atol=2e-5)


@every
def test_combinations_of_rows_answer_as_the_records_they_make(opened, records, name, asked):
    model = opened(name, asked)
    pool = encoded(model, records(name)[:3])
    first, second = model.modalities
    rows = {first: torch.tensor([0, 1, -1, 2]), second: torch.tensor([2, 1, 0, -1])}
    found = model.fuse_rows(pool, rows, name)
    one_by_one = torch.cat([fuse(model, {m: pool[m].rows(rows[m][n : n + 1]) for m in rows}) for n in range(4)])
    assert torch.allclose(found, one_by_one, atol=2e-5)


@every
def test_the_ledger_adds_up_for_every_class(opened, records, name, asked):
    model = opened(name, asked)
    table = measure(model, encoded(model, records(name)[:1]), name)
    assert table.donors in (4, 8, 16, 32)
    for target in model.classes:
        account = table.ledger(target)
        assert account.residual <= 1e-4 * max(1.0, abs(account.full - account.base))


@every
def test_axes_have_a_label_and_a_span_inside_the_record_per_token(opened, records, name, asked):
    model = opened(name, asked)
    inputs = model.prepare(records(name)[:3])
    tokens = model.encode(inputs)
    for row, record in enumerate(records(name)[:3]):
        for m, axis in inputs.axes(row).items():
            assert len(axis.labels) == len(axis.spans) == int(tokens[m].mask[row].sum())
        spans = inputs.axes(row)["text"].spans
        assert [record.text[int(a) : int(b)] for a, b in spans] == list(inputs.axes(row)["text"].labels)


@every
def test_a_tape_that_only_listens_does_not_change_the_answer_by_a_bit(opened, records, name, asked):
    model = opened(name, asked)
    tokens = encoded(model, records(name)[:1])
    plain = fuse(model, tokens)
    with torch.no_grad(), capture() as tape:
        heard = model.fuse(tokens, name)
    assert torch.equal(heard, plain)
    assert tape.captured
    for captured in tape.captured:
        sums = captured.weights.sum(dim=-1)
        assert torch.allclose(sums, torch.ones_like(sums), atol=1e-5)
        assert sum(n for _, n in captured.query) == captured.weights.shape[2]
        assert sum(n for _, n in captured.key) == captured.weights.shape[3]


@every
def test_views_of_attention_cover_every_token(opened, records, name, asked):
    model = opened(name, asked)
    tokens = encoded(model, records(name)[:1])
    views = attention_scores(model, tokens, name, 1)
    assert {"rollout", "relevancy"} <= {view.method for view in views}
    for view in views:
        for m, scores in view.scores.items():
            assert scores.shape == (int(tokens[m].mask.sum()),)
            assert np.isfinite(scores).all()
    rollout = next(view for view in views if view.method == "rollout")
    assert set(rollout.scores) == ({"text"} if name == "clap" else set(model.modalities))
    assert all(scores.sum() > 0 for scores in rollout.scores.values())


@every
@pytest.mark.parametrize("seam", ["fusion", "input"])
def test_attributions_cover_every_token_and_are_complete(opened, records, name, asked, seam):
    model = opened(name, asked)
    question = Question(method="integrated_gradients", seam=seam)
    (trace,) = trace_record(model, records(name)[0], model.strategies, question)
    assert {m for a in trace.attributions for m in a.scores} == set(trace.axes)
    for found in trace.attributions:
        assert all(len(found.scores[m]) == len(trace.axes[m].labels) for m in found.scores)
        assert found.error is None or found.error < 0.05
    assert trace.status == "as loaded"


def test_a_stranger_has_other_weights_and_the_model_keeps_its_own(opened, records):
    model = opened("clip")
    record = records("clip")[0]
    inputs, tokens = model.encode_record(record)
    before = fuse(model, tokens)
    (trace,) = trace_record(model, record, model.strategies)
    attribution_check(model, inputs, tokens, "clip", trace.attributions[0])
    assert torch.equal(fuse(model, tokens), before)
    torch.manual_seed(0)
    assert not torch.allclose(model.head("clip").stranger(3).eval()(tokens).logits, before)


@every
def test_doctor_says_what_the_family_can_and_cannot(opened, folders, name, asked):
    said = {line["name"]: line for line in capabilities(opened(name, asked))}
    assert said[f"strategy: {name}"]["reason"] == "validation accuracy not known: used as loaded"
    assert all(said[f"{what}: {name}"]["supported"] for what in ("attention", "absent", "cost"))
    assert said["ledger: marginal"]["supported"]
    assert (f"attention of audio: {name}" in said) == (name == "clap")
    assert (f"parity: {name}" in said) == (opened(name, asked).head(name).kernel == "fused")
    alone = {line["name"]: line for line in capabilities(load_foreign(folders(name, asked.task or "labels"), asked))}
    assert not alone["ledger: marginal"]["supported"]
    assert "--records" in alone["ledger: marginal"]["reason"]
    assert (f"match threshold: {name}" in alone) == (name in ("clip", "clap", "altclip") and asked == MATCH)
