"""Which labels to look at again: records whose label the other records argue against.

Confident learning (Northcutt 2021): a plain classifier that did not see a record says how probable its label is. Beside
it stands self-influence: how hard a label was for the fitted head to learn (Pruthi 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from fusion_core.errors import CallError
from fusion_core.influence import influence_of, trained
from fusion_core.model import FusedModel
from fusion_core.pooled import pooled_features, stratified_folds
from fusion_core.reading.records import RecordSet
from fusion_core.tokens import Progress, encode_records

FOLDS = 5
FEWEST = 30
COMPONENTS = 256
STRENGTH = 0.0005  # inverse of the penalty, on standardised components: few records, many features
HARD_SHARE = 0.3  # of the score; the rest is the classifier's: `tests.bench.review` prints both alone and together


@dataclass(frozen=True)
class Suspect:
    """A record whose label may be wrong.

    belief: out-of-fold probability of its own label. self_influence: share of records with a lower one, 0 to 1.
    score: ranks suspects, the most suspect first, 0 to 1.
    """

    id: str
    label: str
    suggested: str
    belief: float
    self_influence: float
    score: float


def suspects(
    model: FusedModel,
    records: RecordSet,
    strategy: str = "",
    cache: Path | None = None,
    progress: Progress | None = None,
    most: int = 50,
) -> tuple[Suspect, ...]:
    """Return the records whose label other records argue against, at most `most`, the most suspect first.

    Only records that a classifier fitted without them gives another class: a set with right labels may have none.
    strategy: whose self-influence; empty for the model's default, ignored where that is at chance or was not
    fitted here.
    Raises CallError when fewer than 30 records have a label of the model, or only one class has any.
    """
    if most < 1:
        raise CallError(f"{most} suspects; give at least 1")
    name = strategy or model.default_strategy
    model.head(name)
    labelled = [r for r in records.records if r.label in model.classes]
    tokens, _ = encode_records(model.stack, labelled, progress, cache)
    truth = np.array([model.classes.index(str(label)) for label in tokens.labels], int)
    if len(truth) < FEWEST or len(np.unique(truth)) < 2:
        raise CallError(
            f"a label review needs at least {FEWEST} readable records with labels of at least 2 classes of the model; "
            f"there are {len(truth)}"
        )
    beliefs = out_of_fold(pooled_features(tokens), truth, len(model.classes))
    hard = influence_of(model, tokens, (name,)).self_influence(name)
    weight = HARD_SHARE if name in trained(model) else 0.0
    doubts, shares = doubt(beliefs, truth), ranks(hard)
    score = (1 - weight) * ranks(doubts) + weight * shares
    others = _without_own(beliefs, truth)
    own = beliefs[np.arange(len(truth)), truth]
    order = [k for k in np.argsort(-score, kind="stable") if others[k].max() > own[k]][:most]
    return tuple(
        Suspect(
            id=tokens.ids[k],
            label=str(tokens.labels[k]),
            suggested=model.classes[int(others[k].argmax())],
            belief=float(own[k]),
            self_influence=float(shares[k]),
            score=float(score[k]),
        )
        for k in order
    )


def out_of_fold(features: np.ndarray, truth: np.ndarray, classes: int, seed: int = 0) -> np.ndarray:
    """Return probabilities `[N, C]` of each record from a logistic regression fitted on the other folds' records."""
    found = np.zeros((len(truth), classes))
    for held in stratified_folds(truth.tolist(), FOLDS, seed):
        rest = np.setdiff1d(np.arange(len(truth)), held)
        fitted = _classifier(len(rest), features.shape[1]).fit(features[rest], truth[rest])
        found[np.ix_(held, fitted.classes_)] = fitted.predict_proba(features[held])
    return found


def doubt(beliefs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return how much beliefs `[N, C]` argue against labels `[N]`: how far the best other class leads.

    Each class is measured from its own mean belief over the records that carry it, as confident learning does: a class
    that is rarely believed in is not suspect for that.
    """
    classes = beliefs.shape[1]
    usual = np.array([beliefs[truth == c, c].mean() if (truth == c).any() else 1.0 for c in range(classes)])
    above = beliefs - usual
    return _without_own(above, truth).max(axis=1) - above[np.arange(len(truth)), truth]


def _without_own(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    others = values.copy()
    others[np.arange(len(truth)), truth] = -np.inf
    return others


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the share of values that are lower, `[N]`, 0 to 1."""
    return np.searchsorted(np.sort(values), values, side="left") / max(1, len(values) - 1)


def _classifier(records: int, features: int) -> Pipeline:
    components = min(COMPONENTS, records - 1, features)
    return make_pipeline(
        StandardScaler(),
        PCA(components, random_state=0),
        LogisticRegression(C=STRENGTH, max_iter=500),
    )
