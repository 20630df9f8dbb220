"""What a fit learns from and is judged by: labels corrected, classes counted, every fifth record held out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fusion_core.asked import MATCH
from fusion_core.errors import CallError
from fusion_core.fit_plan import FitPlan, Teacher
from fusion_core.reading.records import RecordSet
from fusion_core.reading.texts import quoted
from fusion_core.token_cache import content_key
from fusion_core.tokens import TokenSet
from fusion_core.types import MODALITIES, Record, Refusal

EVERY_NTH_VALIDATES = 5
MIN_RECORDS = 30
#: Per class, with those held out: one to learn from and one to be judged by.
MIN_OF_CLASS = 2
MOST_NAMED = 12


@dataclass(frozen=True)
class FitData:
    """Records that train and that validate, their classes, how they were split, and the rows that are not used."""

    train: tuple[Record, ...]
    validation: tuple[Record, ...]
    classes: tuple[str, ...]
    split: str
    refused: tuple[Refusal, ...]


def fit_data(plan: FitPlan) -> FitData:
    """Return what a plan's records give to learn from.

    Raises CallError, naming classes and counts, when classes or records are too few; and for corrected labels of
    records that are not there.
    """
    _check_corrections(plan)
    train, refused = _usable(plan.records, plan.labels, plan.teacher)
    # What a model answers is learned as its probabilities are: a class it never names needs no record.
    classes = plan.teacher.classes if plan.teacher else class_list([r.label for r in train])
    if plan.validation is not None:
        tested, refused_tests = _usable(plan.validation, plan.labels, plan.teacher)
        refused += refused_tests
        split = "a validation set of its own"
    else:
        train, tested = split_by_class(train)
        split = f"every {EVERY_NTH_VALIDATES}th record of each class, at least one, validates"
    if not tested:
        raise CallError("no labelled record is left for validation; give more records or another --validation")
    check_counts([r.label for r in train], [r.label for r in tested], plan.teacher)
    return FitData(tuple(train), tuple(tested), classes, split, tuple(refused))


def _check_corrections(plan: FitPlan) -> None:
    sets = [plan.records, *([plan.validation] if plan.validation is not None else [])]
    known = {row.id for records in sets for row in records.rows}
    unknown = [name for name in plan.labels if name not in known]
    if unknown:
        named = ", ".join(quoted(name) for name in unknown[:3])
        raise CallError(f"{len(unknown)} corrected labels are of records that are not in the set, such as {named}")


def _usable(
    records: RecordSet, labels: Mapping[str, str | None], teacher: Teacher | None
) -> tuple[list[Record], list[Refusal]]:
    """Return the records that can be learned from, and a refusal for every other row but those left out on purpose."""
    used: list[Record] = []
    refused = list(records.refusals)
    for record in records.records:
        label = labels.get(record.id, record.label)
        if record.id in labels and label is None:
            continue
        if teacher is not None:
            label = _answer(teacher, record.id)
        if label is None:
            what = f"{teacher.name} gave no answer to it" if teacher else "the row has no label"
            refused.append(Refusal(record.id, "label_missing", f"{what}, so nothing can be learned from it"))
        else:
            used.append(replace(record, label=label))
    return used, refused


def _answer(teacher: Teacher, record_id: str) -> str | None:
    found = teacher.probabilities.get(record_id)
    return None if found is None else teacher.classes[max(range(len(found)), key=found.__getitem__)]


def class_list(labels: Sequence[str | None]) -> tuple[str, ...]:
    """Return the sorted classes of labelled records; raises CallError when there is nothing to learn from.

    Those of a match stand in the order in which foreign models answer them.
    """
    known = sorted({label for label in labels if label is not None})
    if len(known) < 2:
        raise CallError(
            f"fitting needs at least 2 classes; the records have {len(known)} ({', '.join(known) or 'none'})"
        )
    return MATCH if set(known) == set(MATCH) else tuple(known)


def split_by_class(records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """Hold out every fifth record of each class, whatever the order of the rows; return (training, validation).

    Of a class of two to four records the last one is held out, so that every class is judged.
    """
    total = Counter(record.label for record in records)
    seen: Counter[str | None] = Counter()
    train: list[Record] = []
    held: list[Record] = []
    for record in records:
        seen[record.label] += 1
        number, count = seen[record.label], total[record.label]
        few = MIN_OF_CLASS <= count < EVERY_NTH_VALIDATES and number == count
        (held if few or number % EVERY_NTH_VALIDATES == 0 else train).append(record)
    return train, held


def check_counts(train: Sequence[str | None], tested: Sequence[str | None], teacher: Teacher | None = None) -> None:
    """Raise CallError when records are too few in all, or of a class, to be both learned and validated."""
    count = len(train) + len(tested)
    if count < MIN_RECORDS:
        what = "records that it answered" if teacher else "labelled records"
        raise CallError(f"fitting needs at least {MIN_RECORDS} {what}; there are {count}")
    learned, judged = Counter(train), Counter(tested)
    if teacher is not None:
        if len(learned | judged) < 2:
            raise CallError(f"{teacher.name} gave every record the same answer: there is nothing to learn")
        return
    few = [name for name in sorted({*learned, *judged}, key=str) if not learned[name] or not judged[name]]
    if few:
        named = "; ".join(
            f"{name}: {learned[name]} to learn from, {judged[name]} to validate" for name in few[:MOST_NAMED]
        )
        raise CallError(
            f"too few records of {'class' if len(few) == 1 else f'{len(few)} classes'} to be both learned and "
            f"validated ({named}); give at least {MIN_OF_CLASS} of each class, better 20, merge it with another class, "
            "or leave its records out"
        )


def fingerprint(records: Sequence[Record]) -> str:
    """Return a SHA-256 over what the records hold and are called, whatever their order and ids."""
    lines = sorted(
        "|".join([*(content_key(r, m) if m in r.present() else "" for m in MODALITIES), str(r.label)]) for r in records
    )
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def class_counts(classes: Sequence[str], train: TokenSet, validation: TokenSet) -> dict[str, tuple[int, int]]:
    """Return how many records of each class train and validate."""
    learned, judged = Counter(train.labels), Counter(validation.labels)
    return {name: (learned[name], judged[name]) for name in classes}


def presence_shares(train: TokenSet, validation: TokenSet) -> dict[str, tuple[float, float]]:
    """Return the share of training and of validation records that have each modality."""
    return {m: (_share(train, m), _share(validation, m)) for m in train.index}


def _share(tokens: TokenSet, modality: str) -> float:
    return float((tokens.index[modality] >= 0).float().mean()) if len(tokens) else 0.0
