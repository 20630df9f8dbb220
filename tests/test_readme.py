"""The README says what is: its tables are compared with the registries, its verbs and links with the code."""

from __future__ import annotations

import inspect
import re

from fusion_core.attribute import method
from fusion_core.capture import Recorder
from fusion_core.cli import build_parser
from fusion_core.contribute.ledger import POLICIES
from fusion_core.errors import CODES
from fusion_core.foreign import family
from fusion_core.fusion import strategy
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def section(title: str) -> str:
    return README.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_column(text: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)


def test_the_strategy_table_is_the_registry():
    assert first_column(section("Strategies"))[: len(list(strategy))] == list(strategy)


def test_the_verb_table_is_the_parser_with_every_flag():
    text = section("Command line")
    verbs = build_parser()._subparsers._group_actions[0].choices
    assert first_column(text)[: len(verbs)] == list(verbs)
    for verb, parser in verbs.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{verb}`"))
        for flag in re.findall(r"--[a-z-]+", row):
            assert any(flag in action.option_strings for action in parser._actions), f"{verb} has no {flag}"


def test_methods_and_policies_are_named():
    text = section("Command line")
    assert all(f"`{name}`" in text for name in (*method, *POLICIES))


def test_the_error_codes_are_the_closed_list():
    assert first_column(section("Error codes")) == list(CODES)


def test_the_set_up_commands_are_two():
    blocks = re.findall(r"```bash\n(.*?)```", section("Set up"), flags=re.DOTALL)
    assert [b.strip() for b in blocks] == [
        "python3 -m venv .venv && . .venv/bin/activate && pip install -r requirements.txt && python -m dashboard",
        "bash tests/run.sh",
    ]


def test_files_the_readme_names_exist():
    anchors = {f"#{h.lower().replace(' ', '-')}" for h in re.findall(r"^#+ (.+)$", README, flags=re.MULTILINE)}
    for path in re.findall(r"`((?:fusion_core|dashboard|sample_data|tests)/[\w/.]+)`", README):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert target in anchors if target.startswith("#") else (ROOT / target).exists(), target


def test_the_service_of_the_readme_is_the_one_that_is_measured():
    block = re.search(r"```python\n(.*?)```", section("Recording a service"), flags=re.DOTALL)[1]
    lines = iter((ROOT / "tests/bench/service.py").read_text("utf-8").splitlines())
    missing = [line for line in block.splitlines() if line not in lines]
    assert not missing, f"not in the service, or not in this order: {missing[0]}"


def test_the_family_of_the_readme_is_the_one_that_is_loaded():
    block = re.search(r"```python\n(.*?)```", section("Any fused model"), flags=re.DOTALL)[1]
    lines = iter((ROOT / "fusion_core/foreign/llava.py").read_text("utf-8").splitlines())
    missing = [line for line in block.splitlines() if line not in lines]
    assert not missing, f"not in llava.py, or not in this order: {missing[0]}"


def test_every_family_that_is_read_is_in_the_table():
    table = [line for line in section("Any fused model").splitlines() if line.startswith("| ")]
    named = {name for line in table for name in re.findall(r"\(`(\w+)`\)", line)}
    assert named - {"model_type"} == set(family)


def test_what_the_readme_says_of_a_recorder_is_what_it_does_by_itself():
    said = section("Recording a service")
    settings = {name: p.default for name, p in inspect.signature(Recorder).parameters.items()}
    for number in (settings["queue"], settings["rows"], settings["every"], settings["queue_bytes"] / 1e6):
        assert re.search(rf"\b{number:,.0f} (s|entries|MB)\b", re.sub(r"\s+", " ", said)), number


def test_no_placeholder_is_left():
    assert "<!--" not in README
