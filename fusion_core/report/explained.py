"""Attributions and attention views of one strategy, each with what it is, how it was made, and whether it is true."""

from __future__ import annotations

import math

import numpy as np

from fusion_core.report.case import Case
from fusion_core.report.curves import judged
from fusion_core.report.maps import Look, lanes, strongest
from fusion_core.report.markup import Markup, card, joined, number, tag
from fusion_core.types import AttentionScores, Attribution, Check, Faithfulness, Trace
from fusion_core.words import NO_ATTENTION, UNHEARD, decimals, plain, say, signed

#: What is said above every attention view.
LOOKS = "Attention is where the model looks, not why it answers; these maps are shares of attention and no scores."
SMALL = 220  # CSS pixels of an image under an attention view
LAYERS = {
    "raw": "Mean attention each token gets, over heads and queries, in the last layer that reads across modalities",
    "rollout": "Attention multiplied through all layers down to what the answer is read from",
    "relevancy": "Attention weighted by its gradient, multiplied through all layers",
}


def attribution_card(case: Case, trace: Trace, found: Attribution) -> Markup:
    """Return one attribution: its scores over the tokens, how they were made, their sums, and whether they are true."""
    values = {m: scores for m, scores in found.scores.items() if m in trace.axes}
    finite = [abs(v) for scores in values.values() for v in scores if math.isfinite(v)]
    look = Look("attribution", values, max([1e-12, *finite]), _random(found.faithfulness))
    shown = lanes(look, trace.axes, case.reads, case.photo, case.sound)
    title = f"Attribution to “{found.target}”: {say(found.method)}"
    return card(
        title,
        shown,
        _scale(look),
        tag("p", _sums(values), class_="line"),
        tag("p", strongest(look, trace.axes), class_="line"),
        tag("p", _how(found), class_="caption"),
        judged(found.faithfulness),
        caption="blue speaks for, orange against",
    )


def _sums(values: dict[str, np.ndarray]) -> Markup:
    parts = []
    missing = 0
    for m, scores in values.items():
        kept = scores[np.isfinite(scores)]
        missing += len(scores) - len(kept)
        parts.append(joined(f"{say(m)} ", number(float(kept.sum()), signed(float(kept.sum()), 2))))
    gap = f"; {missing} without a finite score are not in the sums" if missing else ""
    return joined("Signed scores, summed: ", joined(*parts, by=" · "), " logits", gap, ".")


def _how(found: Attribution) -> str:
    against = f"minus that of “{found.against}”" if found.against else "minus the mean logit"
    facts = [f"Method {say(found.method)}", f"at the {say(found.seam)}", f"baseline: {say(found.baseline)}"]
    facts.append(f"unit: logit {against}")
    if found.error is not None and found.delta is not None and math.isfinite(found.error):
        facts.append(f"completeness error {100 * found.error:.1f} % ({found.delta:.1e} logits)")
    else:
        facts.append("this method promises no sum")
    if found.done < 1:
        facts.append(f"stopped after {100 * found.done:.0f} % of its passes")
    return ", ".join([*facts, f"{found.evaluations:,} passes"]) + "."


def _scale(look: Look) -> Markup:
    """Say which number has the full colour, so that shades can be read back."""
    if look.kind == "attention":
        words = f"Full colour: {plain(look.most, 1)}× an even share; no colour: an even share or less."
    else:
        words = f"Full colour: ±{plain(look.most, decimals(look.most))} logits."
    return tag(
        "p", words + (" Grey: this map ranks tokens no better than chance." if look.grey else ""), class_="caption"
    )


def attention_card(case: Case, trace: Trace) -> Markup:
    """Return what attention there is, first whether changing it changes the answer; or why there is none."""
    matters = next((check for check in trace.checks if check.name == "attention_matters"), None)
    if not trace.scores:
        why = NO_ATTENTION.get(trace.strategy, UNHEARD)
        return card("Attention", tag("p", why, class_="sentence"))
    two_ways = next((check for check in trace.checks if check.name == "parity"), None)
    told = tag("p", LOOKS, " ", tag("b", _sentence(matters)) if matters else "", class_="sentence")
    parity = tag("p", _sentence(two_ways), class_="sentence") if two_ways else ""
    views = [_view(case, trace, view) for view in trace.scores]
    return card("Where it looks", told, parity, tag("div", *views, class_="views"), caption="attention per token")


def _sentence(check: Check) -> str:
    return check.sentence[:1].upper() + check.sentence[1:] + "."


def _view(case: Case, trace: Trace, view: AttentionScores) -> Markup:
    scores = {m: np.asarray(values, dtype=float) for m, values in view.scores.items() if m in trace.axes}
    whole = max(1e-12, sum(float(np.nansum(values)) for values in scores.values()))
    even = whole / max(1, sum(len(values) for values in scores.values()))
    lifts = {m: values / even for m, values in scores.items()}
    most = max([2.0, *(float(np.nanmax(values, initial=0.0)) for values in lifts.values())])
    look = Look("attention", lifts, most, _random(view.faithfulness))
    shares = [
        joined(f"{say(m)} ", number(float(np.nansum(v)) / whole, plain(float(np.nansum(v)) / whole, 2)))
        for m, v in scores.items()
    ]
    same = "the same for every class" if view.target is None else f"to “{view.target}”"
    return tag(
        "div",
        tag("h4", say(view.method)),
        tag("p", f"{LAYERS.get(view.method, say(view.method))}; {same}.", class_="caption"),
        lanes(look, trace.axes, case.reads, case.photo, case.sound, SMALL),
        _scale(look),
        tag(
            "p", "Shares: ", joined(*shares, by=" · "), f". {strongest(look, trace.axes)} an even share.", class_="line"
        ),
        judged(view.faithfulness),
        class_="view",
    )


def _random(found: tuple[Faithfulness, ...]) -> bool:
    return bool(found) and found[0].badge == "random"


def checks_card(trace: Trace) -> Markup:
    """Return every check of the trace as a sentence."""
    marks = {True: ("✓", "good"), False: ("✗", "bad"), None: ("–", "muted")}
    rows = []
    for check in trace.checks:
        name = "random heads" if check.name.startswith("randomisation_") else say(check.name)
        mark, tone = marks[check.passed]
        about = tag("span", check.sentence, class_="caption")
        rows.append(tag("p", tag("span", f"{mark} {name}", class_=f"badge {tone}"), about, class_="check"))
    return card("Checks", *rows)
