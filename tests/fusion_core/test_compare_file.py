"""A comparison comes back from its file as it was; one of other things, or a damaged one, does not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fusion_core.compare.result_file import FILE_NAME, load_comparison, plain, read_comparison, save_comparison
from fusion_core.errors import CallError
from tests.fusion_core.made_comparison import made_comparison

MARKS = {"model": "a" * 64, "records": "b" * 64}


def rounded(comparison):
    return json.loads(json.dumps(plain(comparison)))


@pytest.mark.parametrize("stage", ["quality", "measured", "whole"])
@pytest.mark.parametrize("labelled", [True, False])
def test_a_comparison_comes_back_as_it_was(tmp_path, stage, labelled):
    made = made_comparison(stage=stage, labelled=labelled)
    save_comparison(made, MARKS, tmp_path / FILE_NAME)
    found, made_of = read_comparison(tmp_path / FILE_NAME)
    assert made_of == MARKS
    assert rounded(found) == rounded(made)
    assert type(found.strategies[0]) is type(made.strategies[0])


def test_a_number_that_is_not_finite_is_not_saved(tmp_path):
    made = made_comparison()
    nothing = replace(
        made.strategies[0], reliance={"text": replace(made.strategies[0].reliance["text"], low=float("nan"))}
    )
    with pytest.raises(ValueError, match="JSON"):
        save_comparison(replace(made, strategies=(nothing,)), MARKS, tmp_path / FILE_NAME)
    assert not (tmp_path / FILE_NAME).exists()


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c.update(format=99),
        lambda c: c["comparison"].update(extra=1),
        lambda c: c["comparison"].pop("seed"),
        lambda c: c["comparison"].update(records="many"),
        lambda c: c["comparison"].update(records=True),
        lambda c: c["comparison"]["verdict"].update(needs="magic"),
        lambda c: c["comparison"]["strategies"][0]["emap"].update(gap_interval=[0.1]),
        lambda c: c["comparison"]["strategies"][0].update(curves={}),
    ],
    ids=["format", "more", "less", "word", "truth", "verdict", "pair", "list"],
)
def test_what_is_no_comparison_is_refused(tmp_path, edit):
    path = tmp_path / FILE_NAME
    save_comparison(made_comparison(), MARKS, path)
    change(path, edit)
    with pytest.raises(CallError, match="no comparison"):
        read_comparison(path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": NaN}', "[" * 3000], ids=["empty", "list", "cut", "nan", "deep"]
)
def test_what_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / FILE_NAME
    path.write_text(text)
    with pytest.raises(CallError, match="no comparison"):
        read_comparison(path)


def test_the_file_beside_the_records_counts_only_for_its_own_model_and_records(tmp_path):
    from fusion_core.answer_table import marks

    bundle, records = tmp_path / "bundle", tmp_path / "records"
    bundle.mkdir(), records.mkdir()
    (bundle / "model.json").write_text("{}")
    (records / "metadata.jsonl").write_text('{"id": "a", "text": "b"}\n')
    assert load_comparison(bundle, records) is None
    save_comparison(made_comparison(), marks(bundle, records), records / FILE_NAME)
    assert load_comparison(bundle, records).model == "made up"
    (records / "metadata.jsonl").write_text('{"id": "a", "text": "c"}\n')
    assert load_comparison(bundle, records) is None
