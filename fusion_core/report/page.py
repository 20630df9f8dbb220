"""The whole case file: one HTML page that needs no network, no script and no other file."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path

from fusion_core.report.case import CHANCE, Case, Section
from fusion_core.report.explained import attention_card, attribution_card, checks_card
from fusion_core.report.ledger import ledger_card
from fusion_core.report.markup import Markup, card, listed, tag
from fusion_core.report.pictures import shared_drawings
from fusion_core.report.record import header, part_id, record_card, strategies_card
from fusion_core.types import Faithfulness, Trace
from fusion_core.words import CHANCE_MAPS, LEVELS, say

STYLE = Path(__file__).with_name("style.css").read_text("utf-8")


def page(case: Case) -> str:
    """Return the page; the same case gives the same bytes."""
    body = tag(
        "body",
        shared_drawings(case),
        tag(
            "main",
            header(case),
            record_card(case),
            *(section_card(section) for section in case.sections),
            strategies_card(case),
            *(strategy_part(case, trace) for trace in case.traces),
            settings_card(case),
        ),
    )
    return f'<!doctype html>\n<html lang="en">{_head(case)}{body}</html>\n'


def _head(case: Case) -> Markup:
    digest = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; media-src data:; style-src 'sha256-{digest}'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        # Written out: `tag` would escape the quotes, which a reader of the page looks for.
        Markup(
            f"<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}; base-uri 'none'; form-action 'none'\">"
        ),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{case.record.id} · {case.model} · Fusion Lens case file"),
        tag("style", Markup(STYLE)),
    )


def section_card(section: Section) -> Markup:
    """Return a section another command found out, as a list of labels and values."""
    title, rows = section
    return card(title, listed([(str(label), str(value)) for label, value in rows]))


def strategy_part(case: Case, trace: Trace) -> Markup:
    """Return everything about one strategy; one at chance level has its ledger, and no maps."""
    heading = tag("h2", say(trace.strategy), tag("span", LEVELS.get(trace.strategy, ""), class_="caption"))
    if trace.status == CHANCE:
        explained = [card("No maps", tag("p", CHANCE_MAPS, class_="sentence"))]
    else:
        explained = [attribution_card(case, trace, one) for one in trace.attributions]
        explained.append(attention_card(case, trace))
    return tag(
        "section",
        heading,
        ledger_card(trace),
        *explained,
        checks_card(trace),
        id=part_id(trace.strategy),
        class_="part",
    )


def settings_card(case: Case) -> Markup:
    """Return how the file came to be: what was asked, with which settings and versions, and what it took."""
    asked, first = case.question, case.traces[0]
    told = ", ".join(say(trace.strategy) for trace in case.traces)
    rows = [
        ("strategies told in full", told),
        ("class explained", asked.target or "each strategy's own answer: " + _targets(case)),
        ("contrasted with", asked.against or "the mean of all classes"),
        ("attribution method", "none" if asked.method is None else say(asked.method)),
        ("seam", say(asked.seam)),
        ("a modality is removed by", say(first.ledger.policy)),
        ("donors", str(first.ledger.donors)),
        ("seed", str(asked.seed)),
        ("maps are tested by", _judging(case)),
        ("classes", ", ".join(first.prediction.classes)),
    ]
    cost = [(say(trace.strategy), f"{trace.cost.forwards:,} forward passes") for trace in case.traces]
    failed = [(say(str(one.strategy)), one.message) for one in case.failures]
    inside = [tag("h4", "Settings"), listed(rows), tag("h4", "Versions"), listed(list(case.versions))]
    inside += [tag("h4", "Cost"), listed(cost)]
    inside += [tag("h4", "Without a finite answer"), listed(failed)] if failed else []
    return card("How this was made", *inside)


def _targets(case: Case) -> str:
    return ", ".join(dict.fromkeys(trace.target for trace in case.traces))


def _judging(case: Case) -> str:
    found: list[Faithfulness] = []
    for trace in case.traces:
        for judged in (*(a.faithfulness for a in trace.attributions), *(s.faithfulness for s in trace.scores)):
            found += judged
    if not found:
        return "nothing: no map was tested"
    return f"removing tokens ({say(found[0].policy)} token of the background instead), {found[0].orders} random orders"
