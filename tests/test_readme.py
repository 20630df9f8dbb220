"""The README says what is: its tables are compared with the registries, its verbs and links with the code."""

from __future__ import annotations

import re

from fusion_core.attribute import method
from fusion_core.cli import build_parser
from fusion_core.contribute.ledger import POLICIES
from fusion_core.errors import CODES
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
    for path in re.findall(r"`((?:fusion_core|dashboard|sample_data|tests)/[\w/.]+)`", README):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_no_placeholder_is_left():
    assert "<!--" not in README
