"""Rules are written on what signals are: they may not know how faults are injected, nor each other."""

from __future__ import annotations

import pytest

from tests.architecture.test_imports import imports, modules

SHARED = {"rules": {"case"}, "signals": {"seen"}, "population": {"pockets", "quiet", "scans"}}


@pytest.mark.parametrize("path", modules("fusion_core/diagnose"), ids=lambda p: p.stem)
def test_no_rule_knows_the_injectors(path):
    assert not any(name.startswith("fusion_core.faults") for name in imports(path))


@pytest.mark.parametrize(("folder", "shared"), SHARED.items())
def test_rules_and_signals_do_not_know_their_siblings(folder, shared):
    for path in modules(f"fusion_core/diagnose/{folder}"):
        if path.stem == "__init__":
            continue
        for name in imports(path):
            if name.startswith(f"fusion_core.diagnose.{folder}."):
                assert name.split(".")[3] in shared, f"{folder}/{path.name} imports {name}"
