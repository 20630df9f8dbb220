"""How well a label review finds flipped labels: `python -m tests.bench.review [SEED ...]`.

Feedback records made as the training set is (needs espeak-ng), 5 % of their labels flipped by the fault `label.flip`;
the model is fitted on the flipped labels, as a team's would be. Recall: share of flipped ones among the first 50.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from fusion_core.faults.inject import inject
from fusion_core.fit import FitSettings, draw_background, targets, train_head
from fusion_core.influence import influence_of
from fusion_core.model import FusedModel
from fusion_core.pooled import pooled_features
from fusion_core.reading.records import read
from fusion_core.review import HARD_SHARE, doubt, out_of_fold, ranks
from fusion_core.tokens import TokenSet
from tests.bench.small_fit import split
from tests.bench.small_sets import Contents

SHARE, FIRST = 0.05, 50
STRATEGY = "late"


def main() -> None:
    """Print a Markdown row per seed and score."""
    folder = Path(tempfile.gettempdir()) / "fusion-lens-small"
    contents = Contents(folder, "train", 700, 901)
    print(f"| seed | score | recall at {FIRST} | AUC | seconds |\n|{'---|' * 5}", flush=True)
    for seed in map(int, sys.argv[1:] or ["0", "1"]):
        rows = inject(read(folder / "train").rows, "label.flip", share=SHARE, seed=seed)
        labels = {r.id: r.label for r in rows}
        flipped = np.array([bool({r.id: r for r in rows}[i].meta["fault"]) for i in contents.tokens.ids])
        found = contents.tokens
        tokens = TokenSet(found.pools, found.index, found.ids, tuple(labels[i] for i in found.ids))
        classes = tuple(sorted({str(label) for label in tokens.labels}))
        started = time.perf_counter()
        truth = targets(tokens, classes).numpy()
        doubts = ranks(doubt(out_of_fold(pooled_features(tokens), truth, len(classes)), truth))
        asked = time.perf_counter() - started
        head, fitted = train_head(STRATEGY, contents.stack.specs, classes, *split(tokens), FitSettings())
        background = draw_background(tokens, 0)
        model = FusedModel("m", classes, contents.stack, {STRATEGY: head}, {STRATEGY: fitted}, background, STRATEGY)
        hard = ranks(influence_of(model, tokens, (STRATEGY,)).self_influence(STRATEGY))
        both = (1 - HARD_SHARE) * doubts + HARD_SHARE * hard
        for name, score in (("confident learning", doubts), ("self-influence", hard), ("both, as `review`", both)):
            first = np.argsort(-score, kind="stable")[:FIRST]
            recall = f"{int(flipped[first].sum())} of {int(flipped.sum())}"
            print(f"| {seed} | {name} | {recall} | {roc_auc_score(flipped, score):.3f} | {asked:.1f} |", flush=True)


if __name__ == "__main__":
    main()
