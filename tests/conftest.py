"""What all tests share: no network, tiny heads on random tokens, and the sample bundles where they exist."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # workers share the cores; children must add up in the same order as they do

import pytest
import torch

from fusion_core.encoders import EncoderSource
from fusion_core.fusion import HeadSettings, TokenSpec, strategy
from fusion_core.model import Background, Fitted, FusedModel
from fusion_core.types import MODALITIES, Tokens

ROOT = Path(__file__).resolve().parents[1]
SECOND_HALF = "browser, sets"
LONGEST = ("browser", "truth", SECOND_HALF, "tests/fusion_core/test_samples.py", "tests/fusion_core/test_sweep.py")
SAMPLES = ROOT / "sample_data"
SPECS = {
    "text": TokenSpec(12, "words", raw=6),
    "image": TokenSpec(10, "patches", (3, 3), raw=5),
    "audio": TokenSpec(8, "frames", raw=4),
}
LENGTHS = {"text": 5, "image": 9, "audio": 4}
CLASSES = ("no", "maybe", "yes")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Keep what shares fitted models or a server on one worker; what takes longest begins first."""
    items.sort(key=lambda item: LONGEST.index(group(item)) if group(item) in LONGEST else len(LONGEST))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
        if "browser" in item.path.relative_to(ROOT).parts:
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=r"[Tt]imeout \d+ms"))


def pytest_make_parametrize_id(val, argname):
    """Name bytes by their argument: a zip holds the time it was made, and workers must name the tests alike."""
    return argname if isinstance(val, bytes) else None


def pytest_terminal_summary(terminalreporter):
    """Print what a test that was tried again had run into: it passes, and the reason must not be lost."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"tried again: {report.nodeid}")
        terminalreporter.line(report.longreprtext[-2_000:])
        for name, seen in report.sections:
            terminalreporter.line(f"--- {name}\n{seen}")


def group(item) -> str:
    """Return what shares a worker: all of `truth`, each half of `browser`, else a file."""
    place = item.path.relative_to(ROOT).parts
    if "browser" in place:
        return SECOND_HALF if place[-1] in ("test_compare.py", "test_fit.py", "test_foreign.py") else "browser"
    return "truth" if "truth" in place else "/".join(place)


class SpecsOnly:
    """Stands where an encoder stack would: these tests begin at tokens."""

    def __init__(self, specs: dict[str, TokenSpec]) -> None:
        self.specs, self.modalities = specs, tuple(specs)
        self.sources = {m: EncoderSource("directory", f"tiny-{m}", "0" * 64, "0" * 64) for m in specs}
        self.preprocessing: dict[str, dict] = {m: {} for m in specs}


class Whole:
    """Stands where inputs would: all modalities are there."""

    def axes(self, row):
        return dict.fromkeys(MODALITIES)


def random_tokens(batch: int, seed: int = 0, lengths: dict[str, int] = LENGTHS) -> dict[str, Tokens]:
    """Return random tokens of every modality, all valid."""
    generator = torch.Generator().manual_seed(seed)
    return {
        m: Tokens(
            torch.randn(batch, lengths[m], SPECS[m].width, generator=generator),
            torch.ones(batch, lengths[m]) > 0,
            torch.randn(batch, lengths[m], SPECS[m].raw, generator=generator),
        )
        for m in lengths
    }


def absent(tokens: dict[str, Tokens], *modalities: str) -> dict[str, Tokens]:
    """Return the tokens with some modalities masked out (their values stay)."""
    return {m: replace(t, mask=t.mask & (m not in modalities)) for m, t in tokens.items()}


def tiny_head(name: str, seed: int = 0):
    """Return an untrained head of a registered strategy over three small modalities."""
    torch.manual_seed(seed)
    return strategy[name](SPECS, len(CLASSES), HeadSettings(width=24, heads=2)).eval()


@pytest.fixture(scope="session")
def tiny_model() -> FusedModel:
    """Every registered strategy, untrained, with eight donors."""
    heads = {name: tiny_head(name) for name in strategy}
    fitted = {
        n: Fitted(n, h.parameter_count(), 0.9, (0.8, 0.95), 50, 100, 0.4, "trained", 0, 0.1) for n, h in heads.items()
    }
    return FusedModel("tiny", CLASSES, SpecsOnly(SPECS), heads, fitted, Background(random_tokens(8, seed=9)), "late")


@pytest.fixture(scope="session")
def browser():
    """A real Chromium for all tests: Playwright cannot be started twice."""
    from playwright.sync_api import sync_playwright

    from tests.browser.serving import ARGUMENTS, CHROMIUM

    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is not installed: the browser tests cannot run")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()
