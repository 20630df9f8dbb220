"""The sample production log's record set: eight weeks of the `feedback` service, with six incidents and their truth."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from sample_data.generators.feedback import SOURCE, Plan, plans_for
from sample_data.generators.incidents import INCIDENTS, Incident, at_wrong_rate, german
from sample_data.generators.reaction_cards import CARD_SIDE, save_card
from sample_data.generators.voice_notes import Samples, require_espeak, save_note, speak

FIRST_DAY, DAYS, PER_DAY = date(2026, 9, 7), 56, 54
SEED = 901
LABELLED = 0.75
#: Releases with the day from which they answer; the last one takes over slowly.
RELEASES = (("1.9.0", date(2026, 9, 7)), ("2.0.0", date(2026, 9, 21)), ("2.0.1", date(2026, 10, 5)))
LAST_RELEASE, LAST_RELEASE_DAY = "2.1.0", date(2026, 10, 20)
MARKETS = {
    "emea": {"uk": 0.6, "ie": 0.15, "ch": 0.25},
    "amer": {"us": 0.75, "ca": 0.25},
    "apac": {"au": 0.6, "nz": 0.4},
}
REGIONS = {"emea": 0.45, "amer": 0.37, "apac": 0.18}
CHANNELS = {"shop": 0.55, "support": 0.33, "kiosk": 0.12}
APPS = {"ios 9.1": 0.38, "android 5.2": 0.30, "web": 0.20, "android 5.3": 0.12}
KIOSK_APP = "kiosk 1.4"
NEW_APP, NEW_APP_DAY = "android 5.3", date(2026, 9, 15)
#: Of all predictions: single accidents that belong to no incident, as every service has them.
SPORADIC = 0.015
SHARE_OF_STALE = 0.65  # of a kiosk's notes while its cache is stuck
ACCIDENTS = ("text truncated", "image corrupted", "audio missing")


TERMS = """\
# The production log: what this is and under which terms

Made by `sample_data/generators/production.py`; rebuild: `python -m sample_data.make --only production`.

- **Nothing of it happened.** Customers, times, releases, markets and incidents are invented; the answers are those of
  the bundle `feedback`. `production_truth.json` says which records met which incident, and which single accidents
  were put in besides.
- Sentences, emoji art (Twemoji, CC BY 4.0; from 2.1.0 on Noto Emoji, Apache-2.0), voices and their terms are those of
  `feedback/NOTICE.md`, test sentences only; the German sentences were written for this log (Apache-2.0).
"""


@dataclass(frozen=True)
class _Case:
    """One prediction to be: what was sent, when and from where, and what happened to it on the way."""

    plan: Plan
    media_of: Plan
    note_of: Plan
    time: datetime
    columns: dict[str, str]
    met: tuple[Incident, ...] = ()
    accident: str = ""
    labelled: bool = True


def build(out: Path) -> dict[str, object]:
    """Write the record set `out` and return the truth: every incident with its records, and the single accidents."""
    require_espeak()
    for folder in ("images", "audio"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    cases = _mixed_up(_stale(_cases(random.Random(SEED))))
    with (out / "metadata.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
        for case in cases:
            lines.write(json.dumps(_written(case, out), ensure_ascii=False) + "\n")
    return _truth(cases)


def _cases(rng: random.Random) -> list[_Case]:
    plans = plans_for("test", DAYS * PER_DAY, SEED, "pd")
    midnight = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day)
    times = sorted(midnight + timedelta(seconds=rng.randrange(DAYS * 86_400)) for _ in plans)
    return [_case(plan, time, rng) for plan, time in zip(plans, times, strict=True)]


def _case(plan: Plan, time: datetime, rng: random.Random) -> _Case:
    region = _drawn(REGIONS, rng)
    app, channel = _drawn(APPS, rng), _drawn(CHANNELS, rng)
    app = KIOSK_APP if channel == "kiosk" else app
    columns = {
        "release": _release(time.date(), rng),
        "region": region,
        "market": _drawn(MARKETS[region], rng),
        "channel": channel,
        "app": "android 5.2" if app == NEW_APP and time.date() < NEW_APP_DAY else app,
    }
    met = tuple(incident for incident in INCIDENTS if incident.meets(time, columns))
    accident = rng.choice(ACCIDENTS) if rng.random() < SPORADIC and not met else ""
    labelled = rng.random() < LABELLED
    if any(incident.name == "language" for incident in met):
        sentence = german(plan.text_class, rng)
        met = met if sentence else tuple(i for i in met if i.name != "language")
        plan = replace(plan, text=sentence or plan.text)
    return _Case(plan, plan, plan, time, columns, met, accident, labelled)


def _release(day: date, rng: random.Random) -> str:
    share = 0.0 if day < LAST_RELEASE_DAY else 0.5 if day < LAST_RELEASE_DAY + timedelta(days=6) else 0.8
    if rng.random() < share:
        return LAST_RELEASE
    return next(name for name, since in reversed(RELEASES) if day >= since)


def _drawn(shares: dict[str, float], rng: random.Random) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]


def _stale(cases: Sequence[_Case]) -> list[_Case]:
    """Give most predictions that meet the stale notes the note that was sent before in their channel."""
    rng = random.Random(f"{SEED} stale")
    sent: dict[str, Plan] = {}
    found = []
    for case in cases:
        channel = case.columns["channel"]
        if any(incident.name == "stale_notes" for incident in case.met):
            if channel in sent and rng.random() < SHARE_OF_STALE:
                case = replace(case, note_of=sent[channel])
            else:
                case = replace(case, met=tuple(i for i in case.met if i.name != "stale_notes"))
        sent[channel] = case.note_of
        found.append(case)
    return found


def _mixed_up(cases: Sequence[_Case]) -> list[_Case]:
    """Let the predictions that meet the mix-up pass image and note on, each to the next of them."""
    places = [k for k, case in enumerate(cases) if any(incident.name == "mix_up" for incident in case.met)]
    found = list(cases)
    for place, source in zip(places, [*places[1:], places[0]], strict=True):
        found[place] = replace(cases[place], media_of=cases[source].media_of, note_of=cases[source].note_of)
    return found


def _written(case: _Case, out: Path) -> dict[str, str]:
    """Write one prediction's media and return its row."""
    plan = case.plan
    row = {"id": plan.id, "text": plan.text, "timestamp": case.time.isoformat(), **case.columns}
    if case.accident == "text truncated":
        row["text"] = plan.text[: max(1, len(plan.text) // 2)]
    if case.labelled:
        row["label"] = plan.label
    row |= {"image_file_name": f"images/{plan.id}.webp", "audio_file_name": f"audio/{plan.id}.ogg"}
    _write_image(case, out / row["image_file_name"])
    _write_note(case, out / row["audio_file_name"])
    return row


def _write_image(case: _Case, path: Path) -> None:
    names = {incident.name for incident in case.met}
    if "blank_thumbnails" in names:
        Image.new("RGB", (CARD_SIDE, CARD_SIDE), (226, 226, 230)).save(path, format="WEBP", quality=80, method=6)
        return
    vendor = "google" if "vendor" in names else "twitter"
    save_card(SOURCE / "reactions" / vendor / case.media_of.reaction.file, path, case.media_of.seed)
    if case.accident == "image corrupted":
        with Image.open(path) as card:
            blurred = card.convert("RGB").filter(ImageFilter.GaussianBlur(2.0))
        blurred.save(path, format="WEBP", quality=80, method=6)


def _write_note(case: _Case, path: Path) -> None:
    plan = case.note_of
    samples: Samples = speak(plan.transcript, plan.voice)
    if any(incident.name == "sample_rate" for incident in case.met):
        samples = at_wrong_rate(samples)
    if case.accident == "audio missing":
        samples = np.zeros_like(samples)
    save_note(samples, path, plan.seed)


def _truth(cases: Sequence[_Case]) -> dict[str, object]:
    incidents = [
        {
            "name": incident.name,
            "modality": incident.modality,
            "fault": incident.fault,
            "slice": {incident.column: incident.value} if incident.column else {},
            "since": incident.since.isoformat(),
            "until": incident.until.isoformat() if incident.until else None,
            "story": incident.story,
            "record_ids": [case.plan.id for case in cases if incident in case.met],
        }
        for incident in INCIDENTS
    ]
    accidents = {case.plan.id: case.accident for case in cases if case.accident}
    return {"records": len(cases), "incidents": incidents, "accidents": accidents}
