"""Fit on the encoders of a foreign model that is open: offered, fitted, and shown beside the original."""

from __future__ import annotations

import json

import pytest

from dashboard import session
from fusion_core.errors import CallError
from fusion_core.foreign.late import LateHead
from tests.dashboard.test_fit import html_of, opened, wait_for, words_of
from tests.fusion_core.foreign.painted import painted
from tests.fusion_core.foreign.tiny import clip


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swap")
    return clip(folder / "clip"), painted(folder / "painted", 60)


def test_the_encoders_of_a_named_model_are_offered_and_its_answers_stand_beside_the_fitted(monkeypatch, places):
    model, records = places
    app = opened(monkeypatch, None, "--model", model, "--records", records, "--labels", "red,blue")
    assert not app.exception
    choice = app.selectbox(key="fit model")
    assert choice.options == ["one per modality", "those of clip"]
    choice.set_value("clip").run()
    assert words_of(app, "clip reads text and image. It is measured beside the strategies as it is")
    assert not any("encoder" in box.label for box in app.selectbox)
    app.button_group[0].set_value(["late"]).run()
    app.button(key="fit start").click().run()
    wait_for(app, seconds=60)
    assert words_of(app, "is fitted: 1 strategy, and the original beside them")
    assert "CLIP (original)" in html_of(app)
    assert "<em>as loaded</em>" in html_of(app)
    bundle = session.bundles().of(app.session_state["browser"])[0]
    assert json.loads((bundle.folder / "model.json").read_text())["foreign"]["family"] == "clip"
    app.button(key="fit to compare").click().run()
    assert not app.exception
    assert not app.error
    assert "CLIP (original)" in html_of(app)
    app.query_params["screen"] = "inspect"
    app.run()
    assert not app.exception
    assert not app.error


def test_a_model_that_cannot_be_read_one_modality_at_a_time_is_said(monkeypatch, places):
    model, records = places

    def refuse(head, modality):
        raise CallError(f"it has no states at its {modality} tokens")

    monkeypatch.setattr(LateHead, "states_width", refuse)
    app = opened(monkeypatch, None, "--model", model, "--records", records, "--labels", "red,blue")
    app.selectbox(key="fit model").set_value("clip").run()
    assert not app.exception
    assert any("no states at its text tokens" in error.value for error in app.error)
    assert app.button(key="fit start").disabled
