"""What is compared: which records of a set, under which settings, and the name under which pieces of it are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fusion_core.answer_table import mark_metadata, mark_records
from fusion_core.asked import Asked
from fusion_core.compare.damage import chosen_kinds, severities_of
from fusion_core.encoders.source import hash_file
from fusion_core.errors import CallError
from fusion_core.faults import fault
from fusion_core.model import FusedModel
from fusion_core.opening import mark_model
from fusion_core.types import Record, Refusal

FORMAT = 1  # raise it when a piece is measured in another way
LEAST_LABELLED = 20
SEVERITIES = (1, 3, 5)
FAULT_RECORDS = 400


@dataclass(frozen=True)
class Settings:
    """How strategies are compared.

    baseline: empty for the model that the encoders came with, else `late`, or the model's default without it. faults:
    `all`, `none` or names separated by commas. fault_records: at most so many records are damaged, a seeded sample with
    every label in its share.
    """

    baseline: str = ""
    faults: str = "all"
    severities: tuple[int, ...] = SEVERITIES
    seed: int = 0
    fault_records: int = FAULT_RECORDS


@dataclass(frozen=True)
class Plan:
    """What is measured on which records. truth: class numbers `int [N]`, None where labels are too few to judge by.

    kinds: faults and the severities at which each is measured. left_out: what is not measured, with the reason.
    """

    records: tuple[Record, ...]
    truth: np.ndarray | None
    baseline: str
    kinds: dict[str, tuple[int, ...]]
    left_out: tuple[str, ...]

    def keeps(self, there: np.ndarray) -> Plan:
        """Return the plan for those records only that could be read, `bool [N]`."""
        records = tuple(r for r, kept in zip(self.records, there, strict=True) if kept)
        truth = None if self.truth is None else self.truth[there]
        return Plan(records, truth, self.baseline, self.kinds, self.left_out)


def make_plan(model: FusedModel, records: Sequence[Record], settings: Settings) -> Plan:
    """Choose the labelled records where there are enough to judge by, else all.

    Raises CallError without a record, for a strategy the model lacks, a fault or a severity that is not there.
    """
    if not records:
        raise CallError("there is no record to compare strategies on")
    usual = "late" if "late" in model.strategies else model.default_strategy
    baseline = settings.baseline or model.original or usual
    model.head(baseline)
    labelled = [r for r in records if r.label in model.classes]
    kinds = {k: severities_of(k, settings.severities) for k in chosen_kinds(model.modalities, settings.faults)}
    if len(labelled) < LEAST_LABELLED:
        reason = (
            f"{len(labelled)} of {len(records):,} records have a label of the model's classes and at least "
            f"{LEAST_LABELLED} are needed: accuracy, calibration, EMAP, perceptual scores, PID, faults and the verdict"
        )
        return Plan(tuple(records), None, baseline, {}, (reason,))
    numbers = np.array([model.classes.index(str(r.label)) for r in labelled])
    there = {k: s for k, s in kinds.items() if any(getattr(r, fault[k].modality) for r in labelled)}
    left_out = [f"no record has {fault[k].modality}: {k}" for k in kinds if k not in there]
    if len(labelled) < len(records):
        left_out.insert(0, f"{len(records) - len(labelled):,} records without a label of the model's classes")
    return Plan(tuple(labelled), numbers, baseline, there, tuple(left_out))


def piece_key(model: Path, rows: Sequence[Record | Refusal], settings: Settings, asked: Asked | None = None) -> str:
    """Return a name for all that pieces hang on: the model, the records with their media, the seed, our own methods."""
    told = {"format": FORMAT, "model": mark_model(model, asked), "records": mark_records(rows)}
    told |= {k: v for k, v in asdict(settings).items() if k in ("seed", "fault_records")}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def made_of(model: Path, records: Path, asked: Asked | None = None) -> dict[str, str]:
    """Return the hashes a comparison is marked with: as `marks`, or the hash of the file where records are one."""
    found = mark_metadata(records) if records.is_dir() else hash_file(records)
    return {"model": mark_model(model, asked), "records": found}
