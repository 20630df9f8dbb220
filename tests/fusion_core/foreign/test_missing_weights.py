"""A directory that lacks a weight an answer reads is refused, poolers among them: it would be random."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file, save_file

from fusion_core.errors import ModelError
from fusion_core.foreign import load_foreign
from tests.fusion_core.foreign.conftest import LABELS
from tests.fusion_core.foreign.tiny.clap import clap
from tests.fusion_core.foreign.tiny.vilt import vilt


@pytest.mark.parametrize(("made", "part"), [(vilt, "vilt.pooler.dense.weight"), (clap, "text_model.pooler")])
def test_a_pooler_that_the_answer_is_read_from_may_not_be_missing(tmp_path, made, part):
    folder = made(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    lacking = [name for name in weights if part in name]
    assert lacking
    save_file({n: w for n, w in weights.items() if n not in lacking}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=f"lack {len(lacking)} weights .*pooler"):
        load_foreign(folder, LABELS)
