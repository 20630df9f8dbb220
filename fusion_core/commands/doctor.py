"""`doctor`: say what a model and this installation can do."""

from __future__ import annotations

import argparse
from pathlib import Path

from fusion_core.commands.flags import (
    Verbs,
    announce_own_code,
    emit,
    encoder_flags,
    named_model,
    open_announced,
    open_model,
    verb,
)
from fusion_core.errors import CODES, CallError


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    doctor = verb(verbs, "doctor", run_doctor, "say what a model and this installation can do")
    named_model(doctor, required=False)
    doctor.add_argument("--records", type=Path, metavar="DIR|ZIP|FILE", help="donors of a foreign model")
    doctor.add_argument("--codes", action="store_true", help="list every error code")
    encoder_flags(doctor)


def run_doctor(given: argparse.Namespace) -> int:
    """Say what can be done here, one capability a line."""
    from fusion_core.doctor import capabilities, object_capabilities

    if given.codes:
        for code, meaning in CODES.items():
            emit({"kind": "code", "code": code, "meaning": meaning})
        return 0
    if given.model_object:
        announce_own_code(given)
        points = list(object_capabilities(given.model_object))
        for line in points:
            emit(line)
        if all(line["supported"] for line in points):
            for line in capabilities(open_announced(given)):
                emit(line)
        return 0
    if given.model is not None and not given.model.exists():
        raise CallError(f"there is no model at {given.model.name!r}")
    for line in capabilities(open_model(given) if given.model is not None else None):
        emit(line)
    return 0
