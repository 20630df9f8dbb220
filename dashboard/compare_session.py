"""What the caches keep of comparisons: those saved beside records, those made here, and their pieces."""

from __future__ import annotations

import atexit
import tempfile
from pathlib import Path

import streamlit as st

from dashboard.inspection import fusion_costs
from dashboard.session import model
from fusion_core.asked import Asked
from fusion_core.compare.result import Comparison, StrategyCost
from fusion_core.compare.result_file import FILE_NAME, load_comparison


@st.cache_resource(max_entries=4, show_spinner=False)
def costs(folder: str) -> dict[str, StrategyCost]:
    """Return what every strategy costs, measured once on this machine on a few background records."""
    return fusion_costs(model(folder))


@st.cache_resource(max_entries=4, show_spinner=False)
def _comparison_of(model_folder: str, records_folder: str, asked: Asked, stamp: int) -> Comparison | None:
    return load_comparison(Path(model_folder), Path(records_folder), asked)


def saved_comparison(model_folder: str, records_folder: str, asked: Asked | None = None) -> Comparison | None:
    """Return the comparison saved beside the records, if it is of this very model; read again when it was replaced."""
    path = Path(records_folder) / FILE_NAME
    stamp = path.stat().st_mtime_ns if path.is_file() else 0
    return _comparison_of(model_folder, records_folder, asked or Asked(), stamp) if stamp else None


@st.cache_resource(show_spinner=False)
def finished_comparisons() -> dict[str, Comparison]:
    """Return the comparisons of the operator's records that were made here, by the name of their job."""
    return {}


@st.cache_resource(show_spinner=False)
def pieces() -> Path:
    """Return the folder where pieces of comparisons are kept as long as the server runs."""
    folder = tempfile.TemporaryDirectory(prefix="fusion_lens_compare_")
    atexit.register(folder.cleanup)
    return Path(folder.name)
