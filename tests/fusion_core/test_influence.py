"""Influence of training records: the dot products of gradients that it claims to be, and the records it should find."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from captum.influence import TracInCPFast
from torch import nn

from fusion_core.bundle import load
from fusion_core.cli import main
from fusion_core.errors import CallError
from fusion_core.fusion import strategy
from fusion_core.influence import InfluenceIndex, _gradient_parts, influential, load_influence, save_influence
from fusion_core.reading.records import read
from tests.conftest import CLASSES, SAMPLES, absent, random_tokens


def last_weights(head):
    """Return the weights and biases of the linear maps that stand last."""
    own = getattr(head, "classifier", None)
    stacks = [own] if own is not None else list(head.auxiliary.values())
    lasts = [layer if isinstance(layer, nn.Linear) else layer[-1] for layer in stacks]
    return [p for last in lasts for p in (last.weight, last.bias)]


def gradient(model, name, tokens, label):
    weights = last_weights(model.heads[name])
    for weight in weights:
        weight.requires_grad_(True)
    loss = nn.functional.cross_entropy(model.fuse(tokens, name), torch.tensor([CLASSES.index(label)]))
    found = torch.autograd.grad(loss, weights)
    for weight in weights:
        weight.requires_grad_(False)  # the model is everybody's
    return torch.cat([g.flatten() for g in found])


def index_of(model, name, batch, labels):
    reads, wrong = _gradient_parts(model, batch, name, labels)
    return InfluenceIndex(tuple(f"t{k}" for k in range(len(labels))), tuple(labels), {name: reads}, {name: wrong})


@pytest.mark.parametrize("name", list(strategy))
@pytest.mark.parametrize("without", [(), ("image",)])
def test_it_is_the_dot_product_of_loss_gradients_in_the_last_weights(tiny_model, name, without):
    batch, labels = random_tokens(4, seed=1), ["no", "yes", "maybe", "yes"]
    asked = absent(random_tokens(1, seed=2), *without)
    found = influential(tiny_model, index_of(tiny_model, name, batch, labels), asked, name, "yes", most=4)
    scores = {r.id: r.score for r in (*found.towards, *found.against)}
    own = gradient(tiny_model, name, asked, "yes")
    for k, label in enumerate(labels):
        one = {m: t.rows(torch.tensor([k])) for m, t in batch.items()}
        expected = float(own @ gradient(tiny_model, name, one, label))
        assert scores.get(f"t{k}", 0.0) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in strategy if name != "product_of_experts"])
def test_captums_tracin_gives_the_same(tiny_model, name, tmp_path):
    batch, labels = random_tokens(6, seed=1), ["no", "yes", "maybe", "yes", "no", "no"]
    index = index_of(tiny_model, name, batch, labels)
    weights = [w.detach() for w in last_weights(tiny_model.heads[name])]
    last = nn.Linear(index.reads[name].shape[1], len(CLASSES), bias=False)
    maps = zip(weights[::2], weights[1::2], strict=True)
    last.weight = nn.Parameter(torch.cat([torch.cat([w, bias[:, None]], dim=1) for w, bias in maps], dim=1))
    torch.save(last.state_dict(), tmp_path / "last.pt")
    model = nn.Sequential(last)
    numbers = torch.tensor([CLASSES.index(label) for label in labels])
    tracin = TracInCPFast(
        model,
        last,
        torch.utils.data.TensorDataset(torch.from_numpy(index.reads[name]), numbers),
        [str(tmp_path / "last.pt")],
        checkpoints_load_func=lambda module, path: 1.0,
        loss_fn=nn.CrossEntropyLoss(reduction="sum"),
        batch_size=6,
    )
    reads, wrong = _gradient_parts(tiny_model, random_tokens(1, seed=2), name, ["yes"])
    theirs = tracin.influence((torch.from_numpy(reads), torch.tensor([CLASSES.index("yes")])))[0]
    assert index.scores(name, reads[0], wrong[0]) == pytest.approx(theirs.numpy(), rel=1e-4, abs=1e-5)


def test_records_come_strongest_first_and_on_their_own_side(tiny_model):
    batch = random_tokens(12, seed=3)
    index = index_of(tiny_model, "concat", batch, [CLASSES[k % 3] for k in range(12)])
    found = influential(tiny_model, index, random_tokens(1), "concat", most=3)
    assert found.count == 12
    assert found.target == CLASSES[int(tiny_model.fuse(random_tokens(1), "concat").argmax())]
    assert 0 < len(found.towards) <= 3
    assert all(a.score >= b.score for a, b in pairwise(found.towards))
    assert all(a.score <= b.score for a, b in pairwise(found.against))
    assert all(r.score > 0 for r in found.towards)
    assert all(r.score < 0 for r in found.against)
    with pytest.raises(CallError, match="unknown target class 'purple'; the model has no, maybe, yes"):
        influential(tiny_model, index, random_tokens(1), "concat", "purple")
    with pytest.raises(CallError, match="strategy 'early' was not indexed; the index has concat"):
        influential(tiny_model, index, random_tokens(1), "early")


def test_flipped_labels_have_the_highest_influence_on_themselves():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(3, 16, generator=generator) * 1.5
    truth = torch.arange(200) % 3
    x = centres[truth] + torch.randn(200, 16, generator=generator)
    given = truth.clone()
    given[:10] = (given[:10] + 1) % 3
    last = nn.Linear(16, 3)
    with torch.enable_grad():
        optimiser = torch.optim.Adam(last.parameters(), lr=0.05)
        for _ in range(150):
            optimiser.zero_grad()
            nn.functional.cross_entropy(last(x), given).backward()
            optimiser.step()
    reads = torch.cat([x, torch.ones(200, 1)], 1).numpy()
    wrong = (last(x).softmax(1) - nn.functional.one_hot(given, 3)).detach().numpy()
    index = InfluenceIndex(tuple(map(str, range(200))), tuple(map(str, given.tolist())), {"s": reads}, {"s": wrong})
    suspects = np.argsort(-index.self_influence("s"))[:20]
    assert len(set(suspects.tolist()) & set(range(10))) >= 9


@pytest.mark.parametrize("name", ["feedback", "scene_qa"])
def test_the_shipped_index_is_of_the_shipped_training_records(name):
    bundle, training = SAMPLES / "bundles" / name, SAMPLES / name / "training"
    index, records = load_influence(bundle, training), read(training)
    assert index is not None
    assert index.ids == tuple(r.id for r in records.records)
    assert not set(index.ids) & {r.id for r in read(SAMPLES / name / "test").records}
    assert records.refusals == ()
    model = load(bundle)
    row = 7
    inputs, tokens = model.encode_record(records.records[row])
    assert inputs.axes(0)
    for strategy_name in ("late", model.default_strategy):
        reads, wrong = _gradient_parts(model, tokens, strategy_name, [index.labels[row]])
        assert index.reads[strategy_name][row] == pytest.approx(reads[0], rel=2e-3, abs=2e-3)
        assert index.wrong[strategy_name][row] == pytest.approx(wrong[0], abs=2e-3)


def test_a_damaged_or_foreign_index_is_none(tmp_path):
    bundle, training = SAMPLES / "bundles" / "scene_qa", SAMPLES / "scene_qa" / "training"
    index = load_influence(bundle, training)
    (tmp_path / "metadata.jsonl").write_bytes((training / "metadata.jsonl").read_bytes())
    save_influence(index, bundle, tmp_path)
    again = load_influence(bundle, tmp_path)
    assert all(np.array_equal(again.reads[s], index.reads[s]) for s in index.reads)
    path = tmp_path / "influence.safetensors"
    whole = path.read_bytes()
    for bad in (whole[:1000], b"", whole[:-10], b"PK\x03\x04" + whole[4:]):
        path.write_bytes(bad)
        assert load_influence(bundle, tmp_path) is None
    path.write_bytes(whole)
    assert load_influence(SAMPLES / "bundles" / "feedback", tmp_path) is None
    (tmp_path / "metadata.jsonl").write_text('{"id": "x", "text": "y"}\n')
    assert load_influence(bundle, tmp_path) is None


def test_most_of_what_pushed_a_right_answer_has_its_label():
    model = load(SAMPLES / "bundles" / "scene_qa")
    index = load_influence(SAMPLES / "bundles" / "scene_qa", SAMPLES / "scene_qa" / "training")
    same = []
    for record in read(SAMPLES / "scene_qa" / "test").records[:40]:
        _, tokens = model.encode_record(record)
        found = influential(model, index, tokens, "cross_attention")
        same += [r.label == found.target for r in found.towards]
    assert np.mean(same) > 0.6  # measured: .735; at random about .1


def test_the_command_says_it_in_lines(capsys):
    flags = ("--model", SAMPLES / "bundles" / "scene_qa", "--records", SAMPLES / "scene_qa" / "test")
    more = ("--id", "sq-test-0001", "--training", SAMPLES / "scene_qa" / "training", "--strategy", "all", "--most", 2)
    assert main(["influence", *map(str, (*flags, *more))]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["strategy"] for line in lines] == list(strategy)
    assert all(line["compared"] == 400 and len(line["towards"]) <= 2 for line in lines)
