"""Of several models only so many stay open: the least recently used goes, and nothing holds on to it."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import session, state
from dashboard.opened_models import OpenedModels
from dashboard.options import workplaces
from dashboard.views.maps import map_name
from tests.conftest import ROOT, SAMPLES
from tests.fusion_core.foreign.tiny import FAMILIES


class Thing:
    """Stands for a model: something a weak reference can be made to, in a circle as models are."""

    def __init__(self):
        self.itself = self


def test_the_least_recently_used_makes_room_before_the_next_is_opened():
    models, there = OpenedModels(2), {}

    def open_it(name):
        assert len(models.folders) < 2, "room is made first"
        there[name] = weakref.ref(made := Thing())
        return made

    def use(name):
        models.get(name, lambda: open_it(name))

    for name in ("a", "b", "a", "c"):
        use(name)
    assert models.folders == ("a", "c")
    assert there["b"]() is None, "collected, though the collector was told to leave alone what was loaded"
    assert gc.get_freeze_count() > 0
    use("b")
    assert models.folders == ("c", "b")
    assert there["a"]() is None
    first = there["b"]()
    use("b")
    assert there["b"]() is first


def test_a_model_that_cannot_be_opened_is_not_kept_and_the_others_stay_usable():
    models = OpenedModels(2)
    models.get("a", Thing)
    with pytest.raises(OSError, match="gone"):
        models.get("b", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert models.folders == ("a",)


def test_sessions_that_ask_at_once_open_a_model_once_and_keep_no_more_than_the_bound():
    models, opened = OpenedModels(1), []

    def open_it(name):
        opened.append(name)
        threading.Event().wait(0.05)
        return Thing()

    threads = [threading.Thread(target=models.get, args=(name, lambda name=name: open_it(name))) for name in "aaab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) in (["a", "b"], ["a", "a", "b"])  # twice where b stood between
    assert len(models.folders) == 1


@pytest.fixture
def picker(monkeypatch, tmp_path):
    """The dashboard with a foreign model and a bundle of which one is kept, on Inspect."""
    folders = (FAMILIES["clip"](tmp_path / "clip"), SAMPLES / "bundles" / "scene_qa")
    named = [part for folder in folders for part in ("--model", str(folder))]
    asked = ("--labels", "red,blue", "--records", str(SAMPLES / "scene_qa" / "test"), "--keep-models", "1")
    monkeypatch.setattr(sys, "argv", ["app.py", *named, *asked])
    session.opened_models.clear()
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    app.query_params["screen"] = "inspect"
    yield app.run()
    session.opened_models.clear()


def opened():
    (folder,) = session.opened_models().folders
    return folder.rsplit("/", 1)[1]


def held():
    """Return weak references to the model that is open and to what it is made of."""
    models = session.opened_models()
    model = models.get(models.folders[0], lambda: pytest.fail("it is open"))
    head = model.head(model.default_strategy)
    return [weakref.ref(part) for part in (model, model.stack, head, *head.parameters(), *model.stack.ready.values())]


@pytest.fixture
def busy(monkeypatch):
    """Let the board have asked for all there is: every class, the costs, and whether a map is true."""
    name = map_name("rollout", "", "")
    noted = state.noted
    monkeypatch.setattr(state, "fills", lambda content: 9)
    monkeypatch.setattr(
        state,
        "noted",
        lambda content, what: {("clip", name, "red", "each")} if what == "judge" else noted(content, what),
    )


def test_a_dropped_model_is_held_by_nothing_and_opens_again_on_the_next_question(busy, picker):
    app = picker
    assert not app.exception
    assert opened() == "clip"
    app.button(key="ask changes").click().run()
    assert not app.exception
    first = held()
    app.selectbox(key="model").set_value(1).run()
    assert not app.exception
    assert opened() == "scene_qa"
    gc.collect()
    assert [part() for part in first if part() is not None] == []
    app.selectbox(key="model").set_value(0).run()
    assert not app.exception
    assert opened() == "clip"


def test_names_that_nobody_opens_drop_nothing(picker):
    assert len(workplaces(sys.argv[1:])) == 2
    first = held()
    for _ in range(3):
        session.choices()
    picker.run()
    assert all(part() is not None for part in first)
    assert opened() == "clip"
