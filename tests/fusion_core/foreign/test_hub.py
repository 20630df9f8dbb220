"""Models by their name on the hub: only with the operator's word, no code, real files, and the same checks."""

from __future__ import annotations

import json
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from streamlit.web import cli as streamlit_cli

from dashboard.__main__ import main as dashboard
from fusion_core.cli import main
from fusion_core.errors import CallError, ModelError
from fusion_core.hub import located
from tests.conftest import SAMPLES

NAMED = Path("team/tiny-clip")
EVIL = ("modeling_evil.py", "pytorch_model.bin", "model.pt", "onnx/model.onnx", "sub/model.safetensors", "weights.pkl",
        "sub/evil.py", "tf_model.h5", "other.safetensors", "README.md")  # fmt: skip


@pytest.fixture
def hub(folders, tmp_path, monkeypatch):
    """A hub that has one model, with much beside it that must not come along; `asked` keeps the calls."""
    source = shutil.copytree(folders("clip"), tmp_path / "hub")
    for name in EVIL:
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(b"evil")
    asked = []

    def snapshot(repo_id, revision, local_dir, allow_patterns, ignore_patterns, dry_run=False):
        asked.append((repo_id, revision, dry_run))
        names = [str(p.relative_to(source)) for p in source.rglob("*") if p.is_file()]
        taken = [
            n
            for n in names
            if any(fnmatch(n, p) for p in allow_patterns) and not any(fnmatch(n, p) for p in ignore_patterns)
        ]
        sizes = {n: (source / n).stat().st_size for n in taken}
        if dry_run:
            return [SimpleNamespace(file_size=s, will_download=not (local_dir / n).exists()) for n, s in sizes.items()]
        for name in taken:
            shutil.copy(source / name, local_dir / name)
        return str(local_dir)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return asked


def test_only_settings_and_safetensors_of_the_model_itself_are_fetched(hub, tmp_path):
    said = []
    folder = located(NAMED, True, said.append)
    assert folder == tmp_path / "cache" / "fusion-lens" / "models" / "team" / "tiny-clip"
    kept = {str(p.relative_to(folder)) for p in folder.rglob("*")}
    assert kept == {"config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"} | (
        {"generation_config.json"} & kept
    )
    assert len(said) == 1
    assert said[0].startswith(f"fetching {len(kept)} files (68 kB) of team/tiny-clip from the model hub into ")
    located(NAMED, True, said.append)
    assert len(said) == 1, "nothing was missing the second time"


def test_a_revision_has_a_folder_of_its_own(hub):
    main_, other = (located(Path(f"team/tiny-clip{r}"), True, lambda words: None) for r in ("", "@refs/pr/1"))
    assert hub[-1] == ("team/tiny-clip", "refs/pr/1", False)
    assert main_ != other
    assert main_.name == other.name == "tiny-clip"
    assert "/" not in other.parent.name


def test_without_the_flag_nothing_is_fetched_and_no_socket_is_opened(hub, watched):
    with pytest.raises(CallError, match=r"there is no folder 'team/tiny-clip'.*pass --allow-hub"):
        located(NAMED, False, pytest.fail)
    assert hub == []


def test_a_folder_that_is_there_is_always_the_folder(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    NAMED.mkdir(parents=True)
    assert located(NAMED, True, pytest.fail) == NAMED
    assert hub == []


@pytest.mark.parametrize("named", ["tiny-clip", "/team/tiny-clip", "a/b/c", "../team", "team/..", "team/a..b", "~/x"])
def test_what_is_no_name_of_the_hub_is_left_alone(hub, named):
    assert located(Path(named), True, pytest.fail) == Path(named)
    assert hub == []


def test_without_an_answer_it_is_one_line_and_what_was_fetched_whole_is_used(hub, monkeypatch):
    def silent(**how):
        raise ConnectionError("no route")

    answers = huggingface_hub.snapshot_download
    monkeypatch.setattr(huggingface_hub, "snapshot_download", silent)
    with pytest.raises(ModelError, match=r"^team/tiny-clip cannot be fetched from the model hub \(ConnectionError\)$"):
        located(NAMED, True, pytest.fail)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", answers)
    folder = located(NAMED, True, lambda words: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", silent)
    said = []
    assert located(NAMED, True, said.append) == folder
    assert "as it was fetched before" in said[0]


def test_the_real_client_says_one_line_offline(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="cannot be fetched from the model hub"):
        located(NAMED, True, lambda words: None, tmp_path)


def test_a_model_that_is_too_large_is_not_fetched(hub, monkeypatch):
    monkeypatch.setattr("fusion_core.hub.MAX_BYTES", 10)
    with pytest.raises(ModelError, match="at most 0 kB are fetched"):
        located(NAMED, True, pytest.fail)
    assert [dry for _, _, dry in hub] == [True]


def predict(*more):
    records = str(SAMPLES / "scene_qa" / "test")
    return main(["predict", "--model", str(NAMED), "--records", records, "--labels", "red,blue", *more])


def test_every_verb_takes_a_name_and_checks_what_came(hub, tmp_path, capsys):
    assert predict() == 2
    assert "pass --allow-hub" in capsys.readouterr().err
    assert main(["doctor", "--model", str(NAMED), "--labels", "red,blue", "--allow-hub"]) == 0
    told = capsys.readouterr()
    assert "fetching" in told.err
    assert any(json.loads(line)["name"] == "device: clip" for line in told.out.splitlines())
    config = tmp_path / "hub" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoModel": "evil.Model"}}))
    assert predict("--allow-hub") == 2
    assert "auto_map" in capsys.readouterr().err


def test_the_dashboard_takes_a_name_and_hands_on_the_folder(hub, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(streamlit_cli, "main", lambda: started.extend(sys.argv))
    monkeypatch.setattr("dashboard.__main__._load_libraries", lambda: None)
    said = ["dashboard", "--no-browser", "--model", str(NAMED), "--labels", "red,blue", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", list(said))
    with pytest.raises(SystemExit):
        dashboard()
    assert "pass --allow-hub" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*said, "--allow-hub", "--keep-models", "2"])
    dashboard()
    content = started[started.index("--") + 1 :]
    assert content[content.index("--model") + 1].endswith("fusion-lens/models/team/tiny-clip")
    for words in (("--labels", "red,blue"), ("--device", "cpu"), ("--keep-models", "2")):
        assert content[content.index(words[0]) + 1] == words[1]
    assert "--allow-hub" in content
    assert "--dtype" not in content


def test_the_dashboard_keeps_at_least_one_model(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["dashboard", "--keep-models", "0"])
    with pytest.raises(SystemExit):
        dashboard()
    assert "--keep-models 0; at least 1" in capsys.readouterr().err
