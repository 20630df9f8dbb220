"""Imports point down, views stay pure, and nothing loads code or weights in a way that is forbidden."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: Layers of `fusion_core` from the bottom up; a module may import its own layer's package and anything lower.
LAYERS = [
    {"errors", "types", "intervals", "ranks", "reliability", "spreadsheet"},
    {"registry", "words", "embedded", "fit_facts", "asked"},
    {"reading"},
    {"attention"},
    {"fusion"},
    {"encoders"},
    {"model", "token_cache", "encoding"},
    {"tokens"},
    {"attend", "attribute", "change", "contribute", "pooled", "verify"},
    {"question", "faults"},
    {"random_heads", "fit_plan"},
    {"trace", "answers", "fit", "card", "fit_data"},
    {"probe", "lines", "answer_table", "fit_figures", "foreign"},
    {"bundle", "own"},
    {"opening", "hub"},
    {"doctor", "fit_course", "influence", "neighbours", "report"},
    {"log", "fit_original"},
    {"diagnose"},
    {"sweep", "capture", "compare", "fitting", "fit_records", "review"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
LAYER = {name: level for level, names in enumerate(LAYERS) for name in names}
SIBLINGS = ("attend", "attribute", "change", "contribute", "faults", "verify")
SHARED = {
    "fusion": {"head", "stream"},
    "attribute": {"problem", "pose", "sampling"},
    "change": {"kind", "search"},
    "faults": {"fault"},
    "contribute": {"shapley"},
    "verify": {"removal"},
    "attend": {"joint", "gradients"},
}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def named(path: Path) -> str:
    parts = path.relative_to(ROOT / "fusion_core").with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize("path", modules("fusion_core"), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    own = named(path)
    if own == "__init__":
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "fusion_core" and len(parts) > 1:
            assert LAYER[parts[1]] <= LAYER[own], f"{own} imports {name}, which lies above it"
            if parts[1] != own:
                assert LAYER[parts[1]] < LAYER[own] or own in {"fit", "trace"}, f"{own} imports its sibling {name}"


@pytest.mark.parametrize("folder", SHARED)
def test_strategies_methods_and_checks_do_not_know_each_other(folder):
    for path in modules(f"fusion_core/{folder}"):
        if path.stem == "__init__":
            continue
        for name in imports(path):
            if name.startswith(f"fusion_core.{folder}."):
                sibling = name.split(".")[2]
                assert sibling in SHARED[folder], f"{folder}/{path.name} imports its sibling {sibling}"


def test_the_library_knows_no_screen():
    for path in modules("fusion_core"):
        assert not any(n.split(".")[0] in {"streamlit", "dashboard", "plotly"} for n in imports(path)), path.name


def test_views_import_neither_streamlit_nor_torch():
    for path in modules("dashboard/views"):
        assert not any(n.split(".")[0] in {"streamlit", "torch"} for n in imports(path)), path.name


def test_caches_live_only_in_the_session_and_what_is_open_only_in_the_state():
    sessions = ("session.py", "compare_session.py", "fit_session.py", "log_session.py", "record_session.py")
    homes = {"st.cache_": sessions, "st.session_state": ("state.py",), "st.query_params": ("state.py",)}
    for path in modules("dashboard"):
        text = path.read_text("utf-8")
        assert not any(word in text for word, home in homes.items() if path.name not in home), path.name


FORBIDDEN_IMPORTS = {"pickle", "dill", "joblib", "shelve", "marshal", "importlib.import_module"}
FORBIDDEN_FUNCTIONS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_METHODS = {"import_module", "extractall"}
#: `--model-object` runs the operator's own code, named on their command line: there alone a module is found by a name.
BY_NAME = {"fusion_core/own/load.py": "import_module"}


@pytest.mark.parametrize("folder", ["fusion_core", "dashboard", "sample_data"])
def test_nothing_unpickles_and_nothing_is_imported_by_a_string(folder):
    for path in modules(folder):
        assert not FORBIDDEN_IMPORTS & {n for name in imports(path) for n in (name, name.split(".")[0])}, path.name
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                bare = node.func.id if isinstance(node.func, ast.Name) else ""
                method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                assert bare not in FORBIDDEN_FUNCTIONS, f"{path.name}:{node.lineno} calls {bare}"
                own = BY_NAME.get(str(path.relative_to(ROOT)))
                assert method not in FORBIDDEN_METHODS - {own}, f"{path.name}:{node.lineno} calls {method}"
                assert all(k.arg != "trust_remote_code" for k in node.keywords), f"{path.name}:{node.lineno}"


def test_the_one_torch_load_is_the_pinned_one():
    loads = [
        (path.name, line.strip())
        for path in modules("fusion_core")
        for line in path.read_text("utf-8").splitlines()
        if "torch.load(" in line
    ]
    assert [name for name, _ in loads] == ["image.py"]
    assert all("weights_only=True" in line for _, line in loads)


def test_no_module_outgrows_its_idea():
    for folder in ("fusion_core", "dashboard", "sample_data"):
        for path in modules(folder):
            assert len(path.read_text("utf-8").splitlines()) <= 300, path.name
    for path in (ROOT / "dashboard/viewer").iterdir():
        if path.suffix in {".js", ".css", ".html"}:
            assert len(path.read_text("utf-8").splitlines()) <= 300, path.name


def test_only_the_documented_folders_are_at_the_top():
    visible = {p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith((".", "__"))}
    assert visible <= {"dashboard", "fusion_core", "sample_data", "tests"}
