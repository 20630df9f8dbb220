"""The dashboard with an empty fragment under it: what the cheapest rerun on the same server costs."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `python -m dashboard` does

import streamlit as st

runpy.run_path(str(Path(__file__).resolve().parents[2] / "dashboard" / "app.py"), run_name="__main__")


@st.fragment
def empty() -> None:
    """Rerun nothing."""
    st.button("empty", key="empty")


empty()
