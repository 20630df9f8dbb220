"""Record set `feedback`: a review sentence, a reaction card and a voice note with one sentiment.

Sentence and emoji agree with the label 85 times in 100, dealt apart; the voice always does.
"""

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from sample_data.generators.reaction_cards import Reaction, reactions_by_class, save_card
from sample_data.generators.sentences import CLASSES, Split, sentence_pools
from sample_data.generators.voice_notes import Voice, draw_voice, require_espeak, save_note, speak

SOURCE = Path(__file__).resolve().parents[1] / "sources" / "feedback"
AGREEMENT = 0.85
# Longer sentences would be cut at 6 s, and clean records should seldom look like truncated ones.
LONGEST_SPOKEN_WORDS = 16

_TERMS = """\
# Feedback: what this is and under which terms

Made by `sample_data/generators/feedback.py`; rebuild: `python -m sample_data.make --only feedback`.

- **The combination is invented.** Nobody wrote these sentences, sent these emoji and spoke these
  notes together. Sentence and emoji are each of the label's class in 85 % of the records.
- **The voices are synthetic, and so is their mood.** espeak-ng 1.5x reads another sentence of the
  label's class. Speed and pitch were set by us to follow the label (155 / 170 / 185 words per
  minute, pitch 38 / 50 / 62 for negative / neutral / positive, with spread): people need not speak
  like that. espeak-ng (GPL-3.0-or-later) is run as a program; none of it is shipped here.
- **The sentences** were written and rated by people; they are real product reviews.
- **The emoji art** is Twemoji, (c) Twitter, Inc and other contributors, under CC BY 4.0
  (https://creativecommons.org/licenses/by/4.0/). Changed here: resized, tilted, put on a card.
- What this project added (selection, pairing, cards, recordings): Apache-2.0.

The sources, as found:

"""


@dataclass(frozen=True)
class Plan:
    """Everything about one record before a picture or a sound is made."""

    id: str
    label: str
    text: str
    text_class: str
    reaction: Reaction
    image_class: str
    transcript: str
    voice: Voice
    seed: int


def build(
    out: Path,
    *,
    split: Split,
    count: int,
    seed: int,
    vendor: str = "twitter",
    id_prefix: str = "",
) -> None:
    """Write `metadata.jsonl`, `images/` and `audio/`; raises `SpeechUnavailable` without espeak-ng.

    `split` picks the pool of sentences, `vendor` the emoji art (twitter, google); ids start with
    `id_prefix`, or `fb-<split>`.
    """
    require_espeak()
    for folder in ("images", "audio"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    plans = plans_for(split, count, seed, id_prefix or f"fb-{split}")
    with (out / "metadata.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
        for plan in plans:
            row = _row(plan, vendor)
            art = SOURCE / "reactions" / vendor / plan.reaction.file
            save_card(art, out / row["image_file_name"], plan.seed)
            save_note(speak(plan.transcript, plan.voice), out / row["audio_file_name"], plan.seed)
            lines.write(json.dumps(row) + "\n")


def copy_terms(folder: Path) -> None:
    """Put the notice and every licence of the sources beside the data."""
    source_notice = (SOURCE / "NOTICE.md").read_text(encoding="utf-8")
    (folder / "NOTICE.md").write_text(_TERMS + source_notice, encoding="utf-8")
    for licence in sorted(SOURCE.glob("LICENSE-*.txt")):
        shutil.copyfile(licence, folder / licence.name)


def plans_for(split: Split, count: int, seed: int, id_prefix: str) -> list[Plan]:
    pool = sentence_pools(SOURCE)[split]
    reactions = reactions_by_class(SOURCE)
    rng = random.Random(seed)
    labels = [CLASSES[index % len(CLASSES)] for index in range(count)]
    rng.shuffle(labels)
    text_decks, image_decks = ({name: _deck(name, labels.count(name), rng) for name in CLASSES} for _ in range(2))
    return [
        _plan(
            f"{id_prefix}-{index:04d}", label, text_decks[label].pop(), image_decks[label].pop(), pool, reactions, rng
        )
        for index, label in enumerate(labels, start=1)
    ]


def _deck(label: str, count: int, rng: random.Random) -> list[str]:
    """Classes to show under one label: 85 % the label, the rest shared by the others, shuffled.

    Dealt, not drawn: with a few hundred records, luck alone would move a split's ceiling by points.
    """
    others = [name for name in CLASSES if name != label]
    agreeing = round(AGREEMENT * count)
    deck = [label] * agreeing + [others[index % 2] for index in range(count - agreeing)]
    rng.shuffle(deck)
    return deck


def _plan(
    record_id: str,
    label: str,
    text_class: str,
    image_class: str,
    pool: dict[str, list[str]],
    reactions: dict[str, list[Reaction]],
    rng: random.Random,
) -> Plan:
    text = rng.choice(pool[text_class])
    spoken = [other for other in pool[label] if other != text and len(other.split()) <= LONGEST_SPOKEN_WORDS]
    return Plan(
        id=record_id,
        label=label,
        text=text,
        text_class=text_class,
        reaction=rng.choice(reactions[image_class]),
        image_class=image_class,
        transcript=rng.choice(spoken),
        voice=draw_voice(label, rng),
        seed=rng.getrandbits(32),
    )


def _row(plan: Plan, vendor: str) -> dict[str, str]:
    return {
        "id": plan.id,
        "text": plan.text,
        "image_file_name": f"images/{plan.id}.webp",
        "audio_file_name": f"audio/{plan.id}.ogg",
        "label": plan.label,
        "vendor": vendor,
        "emoji": plan.reaction.name,
        "voice": plan.voice.variant,
        "accent": plan.voice.accent,
        "text_class": plan.text_class,
        "image_class": plan.image_class,
        "transcript": plan.transcript,
    }
