"""Signals of a text: how long, how well spelt, which language, and whether it ends as texts end."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
from scipy.stats import binom

from fusion_core.diagnose.signals.seen import Profile, Seen, signals

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
PART = re.compile(r"\w+|[^\w\s]")
SHORT = 3
FOREIGN_SHARE = 0.02  # of the words of an English text: names and loans
CLOSING = "\"'’”»)]}* "
FINAL = ".!?…。！？;:,"
FUNCTION_WORDS = 40
SMOOTHING = 0.1
ALPHABET = 40  # letters, space and a few marks: the size of the space smoothing spreads over

#: The commonest function words of languages that write with Latin letters, without those English has too.
_OTHER_LANGUAGES = (
    "der die das und ist nicht ein eine einen ich du er sie es wir ihr mit auf für von dem den zu im sich auch "
    "sehr aber wie bei nur noch nach wenn le la les des une et est pas je il elle nous vous avec sur pour dans que "
    "qui ce cette mais très au aux du sont ne se el los las una por con para muy pero como más está su lo al del "
    "gli della che di un è non per molto anche questo ma uma não com você muito mais foi em na da do het een en "
    "van niet ik zijn maar ook met voor är och det att som inte jag på av til og ikke jeg ett har jest nie się że "
    "ve bu bir için çok"
)
FOREIGN = frozenset(_OTHER_LANGUAGES.split())


@signals("text")
def text_signals(seen: Seen, profile: Profile) -> dict[str, float]:
    """Measure a text; shares are 0 to 1, surprise is nats per character triple."""
    if seen.text is None:
        return {}
    text = seen.text.strip()
    words = [w.lower() for w in WORD.findall(text)]
    count = max(len(words), 1)
    pieces = seen.pieces if seen.pieces is not None and len(seen.pieces) else np.ones(1)
    marks = sum(not (c.isalnum() or c.isspace()) and c not in profile.characters for c in text)
    foreign_letters = sum(c.isalpha() and c.lower() not in profile.characters for c in text)
    return {
        "text.length": math.log1p(len(text)),
        "text.letters": float(sum(c.isalnum() for c in text)),
        "text.words": float(len(words)),
        "text.pieces": float(np.mean(pieces)),
        "text.split_words": float(np.mean(pieces >= 2)),
        "text.misspelt": _misspelt(seen, profile),
        "text.broken_words": float(np.mean(pieces >= 3)),
        "text.surprise": surprise(text, profile),
        "text.function_words": sum(w in profile.function_words for w in words) / count,
        "text.known_words": sum(w in profile.words for w in words) / count,
        "text.foreign_words": sum(w in FOREIGN and w not in profile.function_words for w in words) / count,
        "text.foreign": _foreign(words, profile),
        "text.odd_marks": (marks + foreign_letters) / max(len(text), 1),
        "text.strange_inside": _strange_inside(text),
        "text.open_end": float(not ends(text)),
        "text.last_pieces": float(pieces[-1]),
        "text.repetition": 1.0 - len(set(words)) / count,
    }


def ends(text: str) -> bool:
    """Return whether a text closes with a mark that ends a clause, brackets and quotes aside."""
    return (bool(text) and text.rstrip(CLOSING)[-1:] in tuple(FINAL)) or text[-1:] in ("'", '"', ")")


def surprise(text: str, profile: Profile) -> float:
    """Return the mean negative log probability of a text's character triples given their first two characters."""
    found = list(trigrams(text))
    if not found or not profile.trigrams:
        return 0.0
    total = 0.0
    for triple in found:
        share = (profile.trigrams.get(triple, 0) + SMOOTHING) / (
            profile.starts.get(triple[:2], 0) + SMOOTHING * ALPHABET
        )
        total -= math.log(share)
    return total / len(found)


def odd_words(seen: Seen, known: frozenset[str]) -> tuple[int, int]:
    """Return how many words are odd, and how many there are.

    A word is odd when the encoder's vocabulary breaks it into more pieces than it has parts ("don't" has three), or
    when it has at most three letters, which any three letters may be, and clean texts do not have it.
    """
    pieces = seen.pieces if seen.pieces is not None else np.ones(len(seen.words))
    odd = count = 0
    for word, own in zip(seen.words, pieces, strict=False):
        letters = sum(c.isalpha() for c in word)
        if letters:
            count += 1
            odd += bool(own > len(PART.findall(word)) or (letters <= SHORT and word.lower() not in known))
    return odd, count


def labels_of(seen: Seen) -> tuple[str, ...]:
    """Return the words the text encoder reads, lower case."""
    return tuple(word.lower() for word in seen.words)


def _misspelt(seen: Seen, profile: Profile) -> float:
    """Return -log10 of the chance that a clean text has so many odd words (binomial)."""
    odd, count = odd_words(seen, profile.words)
    return float(-binom.logsf(odd - 1, count, profile.odd_words) / math.log(10)) if odd else 0.0


def _foreign(words: list[str], profile: Profile) -> float:
    """Return -log10 of the chance that a text in the reference's language has so many foreign function words."""
    foreign = sum(w in FOREIGN and w not in profile.function_words for w in words)
    return float(-binom.logsf(foreign - 1, len(words), FOREIGN_SHARE) / math.log(10)) if foreign else 0.0


def trigrams(text: str) -> Iterable[str]:
    """Yield the character triples of a text, lower case, digits as 0, white space as one space."""
    plain = re.sub(r"\d", "0", " ".join(text.lower().split()))
    padded = f"  {plain} "
    return (padded[k : k + 3] for k in range(len(padded) - 2))


def common_words(texts: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the function words of texts (the words most texts share) and all their words, lower case."""
    spread: Counter[str] = Counter()
    for text in texts:
        spread.update({w.lower() for w in WORD.findall(text)})
    return frozenset(w for w, _ in spread.most_common(FUNCTION_WORDS)), frozenset(spread)


def _strange_inside(text: str) -> float:
    """Return the share of words with a mark or a digit between letters, or a capital after a small letter."""
    words = text.split()
    strange = sum(
        bool(re.search(r"[^\W\d_][^\w\s'’\-./&,][^\W\d_]|[a-zà-ÿ][A-ZÀ-Þ]|[^\W\d_]\d[^\W\d_]", w)) for w in words
    )
    return strange / max(len(words), 1)
