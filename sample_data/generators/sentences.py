"""The rated review sentences, dealt once into pools so that no split hears another's."""

import csv
import random
from pathlib import Path
from typing import Literal, get_args

CLASSES = ("negative", "neutral", "positive")
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

_POOL_SHARES = {"train": 0.60, "validation": 0.12}
_POOL_SEED = 930
# The source keeps mean ratings up to -1.2, within 0.3 of zero, and from 1.5 up.
_NEUTRAL_LIMIT = 0.3


def sentence_pools(source: Path) -> dict[Split, dict[str, list[str]]]:
    """Sentences of `text.csv` by split, then class: 60 / 12 / 28 % of every class.

    The deal has its own fixed seed, so every build agrees on it whatever it draws afterwards.
    """
    by_class: dict[str, list[str]] = {name: [] for name in CLASSES}
    with (source / "text.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            by_class[_class_of(float(row["rating"]))].append(row["text"])
    pools: dict[Split, dict[str, list[str]]] = {split: {} for split in SPLITS}
    for name, sentences in by_class.items():
        # A sentence listed twice must not be dealt to two splits.
        dealt = sorted(set(sentences))
        random.Random(f"{_POOL_SEED} {name}").shuffle(dealt)
        first = round(len(dealt) * _POOL_SHARES["train"])
        second = first + round(len(dealt) * _POOL_SHARES["validation"])
        pools["train"][name] = dealt[:first]
        pools["validation"][name] = dealt[first:second]
        pools["test"][name] = dealt[second:]
    return pools


def _class_of(rating: float) -> str:
    if abs(rating) <= _NEUTRAL_LIMIT:
        return "neutral"
    return "positive" if rating > 0 else "negative"
