"""Fits on small, unbalanced sets against a tuned logistic regression: `python -m tests.bench.small_fit`.

Eight classes, three modalities, 650 labelled records of which every fifth validates, 600 test records; the regression
reads the encoders' pooled tokens of all 650, its penalty chosen by five-fold cross-validation. See `small_sets`.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fusion_core.fit import FitSettings, logits, targets
from fusion_core.fit_course import Task, best_strategy, train_all
from fusion_core.fit_data import EVERY_NTH_VALIDATES
from fusion_core.fusion import strategy
from fusion_core.intervals import paired_difference
from fusion_core.pooled import pooled_features
from fusion_core.tokens import TokenSet
from tests.bench.small_sets import CLASSES, SETS, Contents, both, pooled_only, small_set

RECORDS, TESTED, LEARNED = 650, 600, 0.8
PENALTIES = np.logspace(-5, 0, 6)
AXES = 256  # principal axes that the regression reads: beyond them a penalty leaves nothing


def split(tokens: TokenSet) -> tuple[TokenSet, TokenSet]:
    """Hold out every fifth record of each class, as `fit` does."""
    seen: dict[str, int] = {}
    held = []
    for label in tokens.labels:
        seen[label] = seen.get(label, 0) + 1
        held.append(seen[label] % EVERY_NTH_VALIDATES == 0)
    return tokens.take(~torch.tensor(held)), tokens.take(torch.tensor(held))


def regression(train: TokenSet, test: TokenSet) -> np.ndarray:
    """Return which test records a tuned logistic regression answers rightly, `[N]`."""
    features, truth = pooled_features(train), targets(train, CLASSES).numpy()
    scaler = StandardScaler().fit(features)
    axes = np.linalg.svd(scaler.transform(features), full_matrices=False)[2][:AXES]
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    search = GridSearchCV(
        make_pipeline(LogisticRegression(max_iter=200, tol=1e-3)), {"logisticregression__C": PENALTIES}, cv=folds
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(scaler.transform(features) @ axes.T, truth)
    answers = search.predict(scaler.transform(pooled_features(test)) @ axes.T)
    return (answers == targets(test, CLASSES).numpy()).astype(float)


def main() -> None:
    """Print a Markdown row per set and draw, and the default strategy's difference to the regression."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--draws", default="0,1,2")
    parser.add_argument("--strategies", default=",".join(strategy))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fusion-lens-small")
    parser.add_argument("--pooled", action="store_true", help="one mean token a modality: pooled strategies, sooner")
    given = parser.parse_args()
    names, folder = given.strategies.split(","), given.folder
    learned = Contents(folder, "train", 700, 901)
    tested = Contents(folder, "test", 400, 902, learned)
    if given.pooled:
        learned.tokens, tested.tokens = pooled_only(learned.tokens), pooled_only(tested.tokens)
    heads = ["set, draw", "regression", *names, "default", "default - regression"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name in given.sets.split(","):
        for draw in map(int, given.draws.split(",")):
            train = small_set(learned, name, round(LEARNED * RECORDS), draw, (0.0, LEARNED))
            validation = small_set(learned, name, round((1 - LEARNED) * RECORDS), draw, (LEARNED, 1.0))
            test = small_set(tested, name, TESTED, 100 + draw)
            plain = regression(both(train, validation), test)
            task = Task(learned.stack.specs, CLASSES, train, validation, FitSettings())
            course = train_all(task, names, None, lambda step: True)
            truth = targets(test, CLASSES)
            right = {n: (logits(h, test).argmax(1) == truth).float().numpy() for n, h in course.heads.items()}
            default = best_strategy(course)
            off, (low, high) = paired_difference(right[default], plain)
            cells = " | ".join(f"{right[n].mean():.3f}" for n in names)
            told = f"{off:+.3f} ({low:+.3f} to {high:+.3f})"
            print(f"| {name} {draw} | {plain.mean():.3f} | {cells} | {default} | {told} |", flush=True)


if __name__ == "__main__":
    main()
