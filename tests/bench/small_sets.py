"""Small, unbalanced record sets of eight classes and three modalities, put together from encoded sample contents.

Texts, reactions and voices are made as for `feedback` (needs espeak-ng), encoded once, and drawn by what they show.
Test records are of the test split: other sentences, other voices.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import KMeans

from fusion_core.encoders import DEFAULT_SOURCES
from fusion_core.encoders.stack import EncoderStack
from fusion_core.fusion.head import masked_mean
from fusion_core.pooled import pooled_features
from fusion_core.reading.records import read
from fusion_core.tokens import TokenSet, encode_records
from fusion_core.types import Tokens
from sample_data.generators import feedback

CLASSES = tuple("abcdefgh")
SHARES = np.array([0.26, 0.2, 0.16, 0.12, 0.1, 0.07, 0.05, 0.04])
POLES = ("negative", "positive")
#: What a record shows of each modality, by class; None where it shows anything.
Shows = Mapping[str, Callable[[dict], bool]]


class Contents:
    """Encoded contents of one split with what each shows."""

    def __init__(self, folder: Path, split: str, count: int, seed: int, like: Contents | None = None) -> None:
        if not (folder / split / "metadata.jsonl").exists():
            feedback.build(folder / split, split=split, count=count, seed=seed)
        records = read(folder / split)
        self.stack = EncoderStack(DEFAULT_SOURCES)
        self.tokens, _ = encode_records(self.stack, records.records, cache=folder / "tokens")
        rows = (folder / split / "metadata.jsonl").read_text("utf-8").splitlines()
        self.rows = [json.loads(row) for row in rows]
        pooled = pooled_features(self.tokens.only("text"))
        self.topics = like.topics if like else KMeans(8, n_init=4, random_state=0).fit(pooled)
        for row, topic in zip(self.rows, self.topics.predict(pooled), strict=True):
            row["topic"] = int(topic)

    def draw(self, rng: np.random.Generator, modality: str, fits: Callable[[dict], bool], among: range) -> int:
        """Return the pool row of a content that fits, of these records; of any of them, where none does."""
        found = [k for k in among if fits(self.rows[k])] or list(among)
        return int(self.tokens.index[modality][int(rng.choice(found))])


def polarity(column: str, positive: bool) -> Callable[[dict], bool]:
    return lambda row: row[column] == POLES[positive]


def bits(rng: np.random.Generator, c: int) -> Shows:
    """Every modality shows one bit of the class; one in 20 shows the other."""
    told = [bool(int(b)) != (rng.random() < 0.05) for b in f"{c:03b}"]
    return {
        "text": polarity("text_class", told[0]),
        "image": polarity("image_class", told[1]),
        "audio": lambda row: row["voice"].startswith("f") == told[2],
    }


def witnesses(rng: np.random.Generator, c: int) -> Shows:
    """Every modality shows the whole class, rightly two times in three."""
    said = [c if rng.random() < 0.65 else int(rng.integers(8)) for _ in range(3)]
    accents = [("en-us",), ("en-gb", "en-gb-x-rp"), ("en-gb-scotland", "en-gb-x-gbclan"), ("en-029",)]
    return {
        "text": lambda row: row["topic"] == said[0],
        "image": lambda row: sum(map(ord, row["emoji"])) % 8 == said[1],
        "audio": lambda row: row["accent"] in accents[said[2] // 2] and row["voice"].startswith("mf"[said[2] % 2]),
    }


def moods(rng: np.random.Generator, c: int) -> Shows:
    """Text and voice each show one of three moods, the pair is the class; the picture says the text's, mostly."""
    pairs = list(itertools.product(feedback.CLASSES, feedback.CLASSES))
    text, voice = pairs[c] if c < 7 else pairs[7 + int(rng.integers(2))]
    seen = text if rng.random() < 0.7 else str(rng.choice(feedback.CLASSES))
    return {
        "text": lambda row: row["text_class"] == text,
        "image": lambda row: row["image_class"] == seen,
        "audio": lambda row: row["label"] == voice,
    }


SETS: dict[str, Callable[[np.random.Generator, int], Shows]] = {"bits": bits, "witnesses": witnesses, "moods": moods}


def small_set(contents: Contents, name: str, count: int, seed: int, part: tuple[float, float] = (0.0, 1.0)) -> TokenSet:
    """Draw a set of this kind: classes by their shares, contents by what they show, from a part of the contents.

    Validation records are to be drawn from another part than training records: in a real set they share none either.
    """
    rng = np.random.default_rng([seed, *name.encode(), round(100 * part[0])])
    among = range(*(round(share * len(contents.rows)) for share in part))
    labels = [k for k, share in enumerate(SHARES) for _ in range(round(share * count))]
    index: dict[str, list[int]] = {m: [] for m in contents.tokens.index}
    for c in labels:
        for m, fits in SETS[name](rng, c).items():
            index[m].append(contents.draw(rng, m, fits, among))
    rows = {m: torch.tensor(found) for m, found in index.items()}
    ids = tuple(f"{round(100 * part[0])}-{k}" for k in range(len(labels)))
    return TokenSet(contents.tokens.pools, rows, ids, tuple(CLASSES[c] for c in labels))


def both(first: TokenSet, second: TokenSet) -> TokenSet:
    """Return two sets of the same pools as one."""
    index = {m: torch.cat([rows, second.index[m]]) for m, rows in first.index.items()}
    return TokenSet(first.pools, index, first.ids + second.ids, first.labels + second.labels)


def pooled_only(tokens: TokenSet) -> TokenSet:
    """Return records whose tokens are one each, their mean: what pooled strategies see, at a fraction of the cost."""
    pools = {}
    for m, pool in tokens.pools.items():
        there = torch.ones(len(pool.values), 1, dtype=torch.bool)
        raw = None if pool.raw is None else pool.raw[:, :1]
        pools[m] = Tokens(masked_mean(pool.each(torch.Tensor.float))[:, None].half(), there, raw)
    return TokenSet(pools, tokens.index, tokens.ids, tokens.labels)
