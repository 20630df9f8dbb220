"""Which maps are true, how often? `python -m tests.bench.badges --model BUNDLE --records DIR [--policies mean]`.

Over the first correctly answered records: the share of badges (all modalities together, own answer) of every attention
view, every registered attribution method at the fusion seam and a map of random numbers, per strategy and removal
policy. separation: how far deletion's and insertion's areas lie on the right side of the middle of the random band, in
half widths of it (beyond 1 is outside), mean of both, median over records. band: the band's width in logits, mean of
both curves, median over records. With --randomise N, over the first N records: Spearman with random heads (absolute
value, mean), and in how many records it stays under the limit.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fusion_core.attend import attention_scores
from fusion_core.attribute import at_fusion, method
from fusion_core.bundle import load
from fusion_core.model import FusedModel, chosen_strategies
from fusion_core.reading.records import read
from fusion_core.types import Check, Faithfulness, Tokens
from fusion_core.verify.faithfulness import judge, removal_table
from fusion_core.verify.randomisation import LIMIT, randomisation
from fusion_core.verify.removal import POLICIES

Maps = dict[str, dict[str, np.ndarray]]
Key = tuple[str, str, str]
BADGES = ("trusted", "weak", "random")


@dataclass(frozen=True)
class Judged:
    """One map of one record."""

    badge: str
    separation: float
    band: float


def right_answers(
    model: FusedModel, strategy: str, encoded: Sequence[tuple[str | None, Mapping[str, Tokens]]], most: int
) -> Iterator[tuple[Mapping[str, Tokens], int]]:
    """Yield tokens and answer of the first records that a strategy answers rightly."""
    found = 0
    for label, tokens in encoded:
        with torch.no_grad():
            answer = int(model.fuse(tokens, strategy).argmax())
        if model.classes[answer] == label and found < most:
            found += 1
            yield tokens, answer


def maps(
    model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, target: int, methods: Sequence[str]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield every map of a record: attention views, then attribution methods."""
    for view in attention_scores(model, tokens, strategy, target):
        yield f"{view.method} attention", view.scores
    problem = at_fusion(model, tokens, strategy, target)
    for name in methods:
        if method[name].works(problem):
            yield name, {m: s.detach().double().numpy() for m, s in method[name].run(problem).tokens.items()}


def separation(found: Faithfulness) -> tuple[float, float]:
    """Return how far a map lies on the right side of the random orders, and how wide those lie."""
    sides, widths = [], []
    for curve, sign in ((found.deletion, -1.0), (found.insertion, 1.0)):
        half = max((curve.area_high - curve.area_low) / 2, 1e-9)
        sides.append(sign * (curve.area - (curve.area_high + curve.area_low) / 2) / half)
        widths.append(2 * half)
    return float(np.mean(sides)), float(np.mean(widths))


def badges(
    model: FusedModel, strategy: str, rows: Sequence[tuple[Mapping[str, Tokens], int]], given: argparse.Namespace
) -> dict[Key, list[Judged]]:
    """Judge every map of every record under each policy."""
    found: dict[Key, list[Judged]] = defaultdict(list)
    for number, (tokens, answer) in enumerate(rows):
        made: Maps = dict(maps(model, tokens, strategy, answer, given.methods))
        rng = np.random.default_rng(number)
        made["random numbers"] = {m: rng.normal(size=t.mask.shape[1]) for m, t in tokens.items()}
        for policy in given.policies:
            table = removal_table(model, tokens, strategy, answer, number, policy, each=False)
            for name, scores in made.items():
                (whole,) = judge(table, scores)
                found[strategy, name, policy].append(Judged(whole.badge, *separation(whole)))
    return found


def randomised(
    model: FusedModel, strategy: str, rows: Sequence[tuple[Mapping[str, Tokens], int]], given: argparse.Namespace
) -> dict[str, list[Check]]:
    """Ask of every map of the first records whether it knows the trained head from a random one."""
    found: dict[str, list[Check]] = defaultdict(list)
    for tokens, answer in rows[: given.randomise]:
        names = [name for name, _ in maps(model, tokens, strategy, answer, given.methods)]
        for name in names:
            one = [name] if name in given.methods else []

            def explain(
                asked: FusedModel, name: str = name, one: Sequence[str] = one, tokens=tokens, answer: int = answer
            ) -> dict[str, np.ndarray]:
                return dict(maps(asked, tokens, strategy, answer, one))[name]

            found[name].append(randomisation(explain, model, strategy, name=name))
    return found


def heading(checked: bool) -> list[str]:
    """Return the table's first lines."""
    heads = ["strategy", "map", "policy", "n", *BADGES, "separation", "band", *(["random heads"] if checked else [])]
    return ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]


def lines(found: Mapping[Key, Sequence[Judged]], checks: Mapping[str, Sequence[Check]]) -> list[str]:
    """Return the lines of one strategy."""
    table = []
    for (strategy, name, policy), each in found.items():
        shares = [f"{np.mean([j.badge == badge for j in each]):.2f}" for badge in BADGES]
        cells = [strategy, name, policy, str(len(each)), *shares]
        cells += [f"{np.median([j.separation for j in each]):.1f}", f"{np.median([j.band for j in each]):.2f}"]
        known = [c for c in checks.get(name, ()) if c.passed is not None]
        if known:
            passed = sum(bool(c.passed) for c in known)
            cells.append(f"{np.mean([c.value for c in known]):.2f} ({passed} of {len(known)})")
        elif checks:
            cells.append("")
        table.append("| " + " | ".join(cells) + " |")
    return table


def names(given: str) -> list[str]:
    """Read names separated by commas."""
    return [name for name in given.split(",") if name]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--strategies", default="all", help="names separated by commas")
    parser.add_argument("--methods", type=names, default=list(method), help="names separated by commas (default: all)")
    parser.add_argument("--policies", type=names, default=list(POLICIES), help="names separated by commas")
    parser.add_argument("--most", type=int, default=60, help="correctly answered records per strategy")
    parser.add_argument("--randomise", type=int, default=0, metavar="N", help="records to compare with random heads")
    given = parser.parse_args()
    model = load(given.model)
    encoded = [(r.label, model.encode_record(r)[1]) for r in read(given.records).records[: 3 * given.most]]
    print(f"{model.name}: random heads pass under {LIMIT}" if given.randomise else model.name)
    print("\n".join(heading(given.randomise > 0)), flush=True)
    for strategy in chosen_strategies(model, given.strategies):
        rows = list(right_answers(model, strategy, encoded, given.most))
        checks = randomised(model, strategy, rows, given) if given.randomise else {}
        print("\n".join(lines(badges(model, strategy, rows, given), checks)), flush=True)


if __name__ == "__main__":
    main()
