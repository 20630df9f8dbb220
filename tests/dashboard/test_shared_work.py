"""The operator's records are worked out once for all sessions; an upload is worked out for its session alone."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import record_session
from fusion_core.types import Record

MARKER = "only-mine-7f3a"


def look(browser: str, upload: bool, id: str) -> None:
    """Open one record as the screens do, in the session that runs this."""
    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    from dashboard import record_session
    from dashboard.uploads import OpenSet
    from fusion_core.reading.records import RecordSet
    from fusion_core.types import Record

    get_script_run_ctx().session_id = browser  # AppTest gives all its sessions one name
    opened = OpenSet("key", "set", RecordSet((Record(id),)), object() if upload else None)
    st.text(record_session.inspection("folder", opened, Record(id)))
    parts = record_session.parts(opened, "folder" + id)
    st.text(str(len(parts)))
    parts[id] = "known"


@pytest.fixture
def worked_out(monkeypatch):
    """Return the ids of records that were worked out, in order."""
    ids: list[str] = []

    def inspect(model: object, record: Record) -> str:
        ids.append(record.id)
        return f"found {record.id}"

    monkeypatch.setattr(record_session, "inspect_record", inspect)
    monkeypatch.setattr(record_session, "model", lambda folder: None)
    return ids


def shown(browser: str, upload: bool, id: str) -> list[str]:
    app = AppTest.from_function(look, args=(browser, upload, id)).run()
    assert not app.exception
    return [text.value for text in app.text]


def test_the_operators_records_are_worked_out_once_for_all_sessions(worked_out):
    assert shown("ann", False, "shared-1") == ["found shared-1", "0"]
    assert shown("ben", False, "shared-1") == ["found shared-1", "1"]
    assert worked_out == ["shared-1"]


def test_an_upload_is_worked_out_for_its_session_alone(worked_out):
    assert shown("ann", True, MARKER) == [f"found {MARKER}", "0"]
    assert shown("ann", True, MARKER) == [f"found {MARKER}", "1"]
    assert shown("ben", True, MARKER) == [f"found {MARKER}", "0"]
    assert shown("ben", False, MARKER) == [f"found {MARKER}", "0"]
    assert worked_out == [MARKER] * 3
