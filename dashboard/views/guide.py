"""Which fusion, when: what stands on the help page, with figures of measured comparisons and none typed in."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from dashboard.views.compare import CHANCE, said, verdict_html
from dashboard.views.ledger import plain
from fusion_core.compare.result import Comparison, StrategyReport
from fusion_core.reading.texts import show_text
from fusion_core.words import count, say

WHAT = """
**Fusion** takes several kinds of input and gives *one* answer: a review, its picture and its voice note are one case,
and the question is where in the model they meet. Two neighbours are often mixed up with it:

- **Multimodal** is any system that handles more than one kind of input, also one that never brings them together.
- **Cross-modal** goes *from* one kind *to* another: find a picture by its caption, write a caption for a picture.

Where they meet decides what the model can know. **Early** fusion joins the inputs before anything is decided: every
word may be compared with every part of the picture. **Late** fusion lets each input decide by itself and joins the
decisions: no input can change how another is read. **Cross-attention** and its relatives meet in between: each input is
encoded by itself, then looks things up in the others.
"""

#: When this holds, that follows; the strategies to try first.
DECISIONS = (
    ("Your inputs are independent witnesses: each could answer alone, and together they are surer.",
     "Late fusion, or a product of experts. Relations have nothing to add, and a broken input takes only its own "
     "vote away."),
    ("The answer lies in how inputs relate: *which* object is asked for, does the voice contradict the words.",
     "Cross-attention or early fusion: a vote per input cannot hold it, whatever its weights."),
    ("One input says how the other is to be read, as a question does with a picture.",
     "FiLM or cross-attention."),
    ("Inputs are often missing or damaged.",
     "Compare what is left without each of them: the cleanest strategy is not always the one that holds best."),
    ("You have a few hundred labelled records.",
     "Begin with late or concat, and let Compare say, with its intervals, whether a larger one is worth it."),
    ("Somebody must be able to add the contributions up.",
     "Late fusion or a product of experts: their ledgers are sums. All others have interactions, told beside them."),
    ("You do not know which of these holds.",
     "Run Compare on your records. Its verdict says whether relations are needed, and how surely."),
)  # fmt: skip

#: Where inputs meet, what it is good at, and what to watch.
STRATEGIES = {
    "late": ("after each input has decided", "independent witnesses; each vote can be read",
             "cannot know how two inputs relate"),
    "product_of_experts": ("decisions, multiplied", "witnesses that are independent given the class",
                           "over-confident where inputs repeat each other: watch ECE"),
    "concat": ("one pooled vector per input", "a strong cheap baseline; relations between whole inputs",
               "sees no parts: cannot tell one object of several"),
    "gated": ("one pooled vector per input, through gates", "inputs of changing worth: a gate can close",
              "a gate is no contribution: read the ledger"),
    "low_rank": ("products of pooled vectors", "relations between whole inputs, as products",
                 "sees no parts"),
    "film": ("text scales and shifts what is seen and heard", "a question that says how to look",
             "one-sided: without text nothing steers"),
    "early_raw": ("low-level features, before encoders have read them",
                  "what encoders throw away, such as plain shapes",
                  "learns words and voices anew: weak where encoders carry the meaning"),
    "early": ("tokens of all encoders, in one stream", "relations between parts of any input",
              "long inputs soak up attention; cost grows with all tokens together"),
    "bottleneck": ("tokens, through a few shared ones", "long inputs: what passes is small",
                   "what does not fit through is lost"),
    "cross_attention": ("tokens: each input looks things up in the others",
                        "relations between parts: which, where, whose",
                        "more weights and time; may fall further when an input is damaged"),
}  # fmt: skip

TRADE_OFFS = """
- **Quality.** Relations pay only where the task holds them: that is the verdict of Compare. Without them, more
  elaborate fusion costs and does not answer better.
- **Robustness.** A strategy that relates inputs also passes damage on from one to the others; a vote does not. Look at
  the curves, not at clean accuracy.
- **Cost.** Encoders are most of it and are the same for all; the figures above are the fusion alone.
- **Operation.** Late fusion can be trained, replaced and switched off input by input. What is fused early has to be
  trained again as one, and an input that goes missing has to be foreseen in training.
"""

NOT_MEASURED = (
    "There is no comparison of this sample set yet: open Compare, *On the record set*, and start it; its figures then "
    "stand here."
)


def decisions_html() -> str:
    """Return the decision list."""
    rows = "".join(f"<li><b>{_emphasis(when)}</b><br>{_emphasis(then)}</li>" for when, then in DECISIONS)
    return f'<ol class="decide">{rows}</ol>'


def _emphasis(text: str) -> str:
    parts = escape(text).split("*")
    return "".join(f"<i>{part}</i>" if k % 2 else part for k, part in enumerate(parts))


def strategies_html(measured: Mapping[str, Comparison]) -> str:
    """Return the strategies in words, with accuracy and robustness on each measured set, and cost on the first."""
    heads = "".join(
        f"<th>{escape(show_text(name))}:<br>accuracy</th><th>{escape(show_text(name))}:<br>under faults</th>"
        for name in measured
    )
    head = f"<th>strategy</th><th>inputs meet</th><th>good at</th><th>watch</th>{heads}<th>ms</th><th>weights</th>"
    rows = "".join(_row(name, measured) for name in STRATEGIES)
    body = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f'<div class="wide"><table class="strategies guide">{body}</table></div>'


def _row(name: str, measured: Mapping[str, Comparison]) -> str:
    meet, good, watch = STRATEGIES[name]
    cells = [f"<b>{escape(say(name))}</b>", escape(meet), escape(good), escape(watch)]
    cost = None
    for found in measured.values():
        report = next((r for r in found.strategies if r.strategy == name), None)
        cells += _figures(report)
        cost = cost or (report.cost if report else None)
    cells += [f"{cost.milliseconds:.2f}", count(cost.parameters)] if cost else ["–", "–"]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _figures(report: StrategyReport | None) -> list[str]:
    """Return accuracy with its interval, and the mean height of all fault curves."""
    if report is None or report.quality is None:
        return ["–", "–"]
    if report.status == CHANCE:
        return ["at chance", "–"]
    curves = [curve.relative for curve in report.curves]
    return [said(report.quality.accuracy), plain(sum(curves) / len(curves), 2) if curves else "–"]


def shown_html(found: Comparison) -> str:
    """Return what a measured set shows: its verdict with the evidence behind it."""
    if found.verdict is None:
        return f"<p>{escape(NOT_MEASURED)}</p>"
    return f'{verdict_html(found)}<p class="records">{found.records:,} records.</p>'
