"""The six incidents of the sample production log: which predictions each one meets, and what it does to them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from fusion_core.reading.clips import resample
from sample_data.generators.voice_notes import LONGEST_SECONDS, RATE, Samples

#: Sentences of the market that stops writing English, by class; written for this log.
GERMAN: Mapping[str, tuple[str, ...]] = {
    "negative": (
        "nach drei tagen war der akku tot und niemand hat auf meine mails geantwortet.",
        "das gerät wird heiß, stürzt ab und verliert dabei alle bilder.",
        "leider völlig unbrauchbar, ich habe es sofort zurückgeschickt.",
        "der ton rauscht, die tasten klemmen und die anleitung hilft nicht weiter.",
        "so etwas schlecht verarbeitetes habe ich lange nicht mehr gekauft.",
        "die software ist eine zumutung und das geld war verschwendet.",
    ),
    "neutral": (
        "das kabel liegt bei, die batterien muss man selbst kaufen.",
        "ich habe das alte modell zwei jahre lang benutzt.",
        "es gibt die kamera in schwarz und in silber.",
        "die einstellungen findet man im zweiten menü unter anzeige.",
        "geliefert wurde es am dienstag in einem braunen karton.",
        "man kann damit auch filme abspielen, wenn man will.",
    ),
    "positive": (
        "gestochen scharfe bilder und eine bedienung, die jeder versteht.",
        "ich würde es jederzeit wieder kaufen, einfach großartig.",
        "der klang ist wunderbar und der akku hält ewig.",
        "schnelle lieferung, tolle verpackung, das gerät macht richtig spaß.",
        "für diesen preis das beste, was ich bisher in der hand hatte.",
        "meine eltern kommen sofort damit zurecht, wir sind begeistert.",
    ),
}
SHARE_OF_GERMAN = 0.85
WRONG_RATE = 24_000  # Hz the microphone ran at, under a header that says 16 kHz


@dataclass(frozen=True)
class Incident:
    """What went wrong: its cause by `CAUSES`, the column and value it is confined to (none: all), and its days."""

    name: str
    modality: str
    fault: str
    column: str
    value: str
    since: date
    until: date | None  # the last day of it; None: it still goes on
    story: str

    def meets(self, time: datetime, columns: Mapping[str, str]) -> bool:
        """Return whether a prediction lies in the incident's slice and days."""
        inside = not self.column or columns[self.column] == self.value
        return inside and self.since <= time.date() and (self.until is None or time.date() <= self.until)


INCIDENTS = (
    Incident("sample_rate", "audio", "out_of_domain", "app", "android 5.3", date(2026, 9, 15), None,
             "App android 5.3 records at 24 kHz and writes 16 kHz into the header: notes play a third slower."),
    Incident("stale_notes", "audio", "duplicated", "app", "kiosk 1.4", date(2026, 9, 24), date(2026, 10, 11),
             "A cache in the kiosks is stuck: most send the voice note of the customer before again."),
    Incident("language", "text", "out_of_domain", "market", "ch", date(2026, 9, 30), None,
             "The site of market ch changed its language: most of its customers write German."),
    Incident("blank_thumbnails", "image", "missing", "", "", date(2026, 10, 6), date(2026, 10, 7),
             "For two days the thumbnail service returns one grey for every reaction card."),
    Incident("mix_up", "pair", "mismatched", "region", "apac", date(2026, 10, 14), None,
             "A partner in region apac joins image and voice note to another customer's text."),
    Incident("vendor", "image", "out_of_domain", "release", "2.1.0", date(2026, 10, 20), None,
             "Release 2.1.0 draws reactions with another vendor's art."),
)  # fmt: skip


def german(text_class: str, rng: random.Random) -> str | None:
    """Return a German sentence of the class, or None for a customer who goes on in English."""
    return rng.choice(GERMAN[text_class]) if rng.random() < SHARE_OF_GERMAN else None


def at_wrong_rate(samples: Samples) -> Samples:
    """Return a note as it sounds when its 24,000 samples a second are taken for 16,000."""
    return resample(samples, RATE, WRONG_RATE)[: round(LONGEST_SECONDS * RATE)]
