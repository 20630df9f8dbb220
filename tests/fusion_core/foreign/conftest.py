"""Every family as a tiny model on disk, opened the way an operator opens it."""

from __future__ import annotations

import sys
from functools import cache

import pytest

from fusion_core.asked import Asked
from fusion_core.foreign import load_foreign
from fusion_core.reading.records import read
from tests.conftest import SAMPLES
from tests.fusion_core.foreign.tiny import BY_TASK, FAMILIES, SETS

LABELS = Asked(labels=("red", "blue", "a photo of the cat"))
MATCH = Asked(task="match")


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A folder of each family, made when it is first asked for."""

    @cache
    def made(name, task="labels"):
        folder = tmp_path_factory.mktemp(name)
        return BY_TASK[name](folder, task) if name in BY_TASK else FAMILIES[name](folder)

    return made


@pytest.fixture(scope="session")
def records():
    """Some records of a sample set that has a family's modalities."""

    @cache
    def some(name):
        return tuple(read(SAMPLES / SETS.get(name, "scene_qa") / "test").records[:12])

    return some


@pytest.fixture(scope="session")
def opened(folders, records):
    """A family's model, asked for labels or for a match."""

    @cache
    def model(name, asked=LABELS):
        return load_foreign(folders(name, asked.task or "labels"), asked, lambda: records(name))

    return model


WATCHED: list[str] = []
FORBIDDEN = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "socket.connect",
    "socket.getaddrinfo",
    "pickle.find_class",
)


def _hook(event, arguments):
    if not WATCHED:
        return
    code = event == "exec" and str(getattr(arguments[0], "co_filename", "")).startswith(WATCHED[0])
    if event in FORBIDDEN or code:
        raise AssertionError(f"{event} while a model was loaded")


@pytest.fixture
def watched(tmp_path):
    """An audit hook cannot be taken off again: it looks only while a folder is named."""
    if not getattr(sys, "_fusion_lens_hook", False):
        sys.addaudithook(_hook)
        sys._fusion_lens_hook = True
    WATCHED.append(str(tmp_path))
    yield
    WATCHED.clear()
