"""The caches of Fit: encoders' shapes, records of a log, and what a browser decided about labels."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from dashboard import session
from dashboard.fit_encoders import offered, sizes
from dashboard.inspection import content_key, glimpse
from dashboard.log_session import store, strategy_of
from dashboard.options import encoder_folders, workplaces
from dashboard.uploads import OpenSet
from dashboard.views.similar import Glimpse
from fusion_core.encoders import EncoderSource, load_encoder
from fusion_core.errors import CallError
from fusion_core.fit_plan import Teacher
from fusion_core.fit_records import records_of_log
from fusion_core.foreign import is_foreign, states_spec
from fusion_core.foreign.head import ForeignHead
from fusion_core.fusion import TokenSpec
from fusion_core.reading.records import RecordSet
from fusion_core.types import MODALITIES, Record

OWNERS_KEPT = 4  # browsers whose tokens stay on disk; losing them costs only time


@st.cache_resource(max_entries=16, show_spinner="Loading the encoder and checking its weights.")
def spec(modality: str, source: EncoderSource) -> TokenSpec:
    """Return the shape of an encoder's tokens; raises ModelError when it cannot be used."""
    return load_encoder(modality, source, session.encoder_roots()).spec


def foreign_models() -> dict[str, Path]:
    """Return the foreign models that the operator named, by name: their encoders may be fitted on."""
    return {place.name: place.model for place in workplaces(sys.argv[1:]) if is_foreign(place.model)}


def model_specs(folder: Path) -> dict[str, TokenSpec]:
    """Return the shapes of the tokens a foreign model's encoders give a fit; raises FusionError where they give none.

    The model is the one that is open already: the fit itself opens another, asked the classes of the records.
    """
    loaded = session.model(str(folder))
    head = loaded.head(loaded.default_strategy)
    if not isinstance(head, ForeignHead):
        raise CallError(f"{loaded.name} is no foreign model")
    return {m: states_spec(encoder, head) for m, encoder in loaded.stack.encoders.items()}


@st.cache_data(max_entries=4, ttl=30, show_spinner=False)
def _offered(folders: tuple[Path, ...]) -> tuple[dict[str, list[str]], list[str]]:
    return offered(folders)


def offered_encoders() -> tuple[dict[str, list[str]], list[str]]:
    """Return the encoder folders per modality below those the operator named, and folders that are no encoders."""
    return _offered(encoder_folders(sys.argv[1:]))


@st.cache_data(max_entries=64, show_spinner=False)
def _sizes(named: Sequence[tuple[str, TokenSpec]], classes: int) -> dict[str, int]:
    return sizes(dict(named), classes)


def strategy_sizes(specs: Mapping[str, TokenSpec], classes: int) -> dict[str, int]:
    """Return the number of weights of every strategy that can read such tokens."""
    return _sizes(tuple(specs.items()), classes)


@st.cache_resource(max_entries=4, show_spinner="Reading the log.")
def _log_records(log: str, run: str, mark: str, strategy: str) -> tuple[RecordSet, Teacher | None]:
    return records_of_log(Path(log), run, bool(strategy), strategy)


def log_records(log: Path, run: str, distil: bool) -> tuple[RecordSet, Teacher | None]:
    """Return the records of a log's run, with its model's answers by the commonest strategy where those are learned.

    Raises CallError when there are none.
    """
    opened = store(log, run)
    return _log_records(str(log), run, opened.mark, strategy_of(opened) if distil else "")


@st.cache_resource(max_entries=256, show_spinner=False)
def _decisions(browser: str, set_key: str) -> dict[str, str | None]:
    return {}


def decisions(set_key: str) -> dict[str, str | None]:
    """Return this browser's labels for records of a set, for more to be added; None leaves a record out."""
    return _decisions(session.browser(), set_key)


@st.cache_resource(max_entries=64, scope="session", show_spinner=False)
def _suspect_glimpse(key: str, _record: Record) -> Glimpse:
    return glimpse(_record, MODALITIES)


def suspect_glimpse(opened: OpenSet, record: Record) -> Glimpse:
    """Return what is shown of a record whose label is in doubt."""
    with session.own_files(opened):
        return _suspect_glimpse(f"{opened.key} {content_key(record)}", record)


def token_folder(opened: OpenSet) -> Path:
    """Return where tokens of a set are kept: of an upload where no other browser's fit looks them up."""
    root = session.bundles().root / "tokens"
    folder = root / (session.browser() if opened.upload else "shared")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    others = sorted((f for f in root.iterdir() if f != folder), key=lambda f: f.stat().st_mtime)
    for oldest in others[: max(0, len(others) - OWNERS_KEPT)]:
        shutil.rmtree(oldest, ignore_errors=True)
    folder.touch()
    return folder
