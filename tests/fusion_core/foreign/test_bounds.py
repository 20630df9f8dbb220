"""What a record may cost in a large decoder: beyond it the record fails, and not the process."""

from __future__ import annotations

import torch

from fusion_core import attention
from fusion_core.doctor import capabilities
from fusion_core.trace import trace_record
from tests.fusion_core.foreign.test_decoders import answered


def test_attention_beyond_what_a_tape_holds_fails_the_record_and_not_the_process(opened, records, monkeypatch):
    model, record = opened("llava"), records("llava")[0]
    monkeypatch.setattr(attention, "MOST_BYTES", 10_000)
    (failed,) = trace_record(model, record, ("llava",))
    assert failed.code == "resource_exhausted"
    assert "a shorter text or a smaller image or clip" in failed.message
    assert torch.isfinite(answered(model, record)).all()  # an answer alone keeps no attention
    (line,) = (line for line in capabilities(model) if line["name"] == "attention: llava")
    assert not line["supported"]
