"""Attention heads of every family are tried one by one, though there are more than rows that go through together."""

from __future__ import annotations

import numpy as np
import pytest

from fusion_core.attend import heads
from fusion_core.attend.heads import ablated_heads, tried_heads
from fusion_core.foreign import head
from tests.fusion_core.foreign.tiny import FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_every_head_is_tried_whatever_goes_through_at_once(opened, records, name, monkeypatch):
    model = opened(name)
    _, tokens = model.encode_record(records(name)[0])
    monkeypatch.setattr(head, "ROWS", 2)
    tried, _ = tried_heads(model, tokens, name, 1)
    assert len(tried) >= 2
    assert max(found.ablated for found in tried) > 0
    monkeypatch.setattr(heads, "AT_ONCE", 1)  # one head at a time
    apart = ablated_heads(model, tokens, name, 1)
    assert np.allclose(apart, [found.ablated for found in tried], atol=2e-5)
