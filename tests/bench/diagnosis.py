"""How often the diagnosis names the right cause: `python -m tests.bench.diagnosis --cache DIR`.

Damages `feedback` test records at severities 2 to 4 and prints a confusion table, macro-F1 of (modality, fault), the
accuracy of the modality alone and the false alarms on clean records. `--injected DIR` also scores record sets that
`python -m fusion_core inject` made (columns fault_modality, fault). `--vendor DIR` holds records with other emoji art.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import f1_score

from fusion_core.bundle import load
from fusion_core.diagnose.judge import diagnosis
from fusion_core.diagnose.look import decode, with_tokens
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.reference_file import load_reference
from fusion_core.diagnose.run import case_of
from fusion_core.diagnose.signals import Seen, measure
from fusion_core.model import FusedModel
from fusion_core.reading.records import read
from fusion_core.types import Media, Record, Tokens
from tests.bench.damage import DAMAGES
from tests.bench.seen_cache import load_seen, save_seen
from tests.conftest import SAMPLES

SEVERITIES = (2, 3, 4)
UNSCORED = {("image", "truncated")}
Cause = tuple[str, str]
Looked = tuple[str, int, Cause, list[Seen]]


def damaged(records: list[Record], each: int, vendor: Path | None) -> Iterator[tuple[str, int, Cause, list[Record]]]:
    for number, ((kind, modality, fault), damage) in enumerate(DAMAGES.items()):
        for severity in (1, *SEVERITIES):
            random = np.random.default_rng([7, number, severity])
            chosen = random.choice(len(records), each, replace=False)
            yield kind, severity, (modality, fault), [damage(records[k], severity, random) for k in chosen]
    if vendor is not None:
        art = read(vendor).records[: len(records)]
        mixed = [replace(record, image=other.image) for record, other in zip(records, art, strict=False)]
        yield "image.vendor", 3, ("image", "out_of_domain"), mixed


def injected(folders: Iterable[Path]) -> Iterator[tuple[str, int, Cause, list[Record]]]:
    for folder in folders:
        rows = [r for r in read(folder).records if r.meta.get("fault")]
        if rows:
            meta = rows[0].meta
            cause = (str(meta["fault_modality"]), str(meta["fault"]))
            yield str(meta["fault_kind"]), int(float(meta["fault_severity"])), cause, rows


def looked_at(model: FusedModel, cache: Path, sets: Iterable[tuple[str, int, Cause, list[Record]]]) -> Iterator[Looked]:
    """Look at the records, or take what was seen from the caller's cache folder; damage is made anew in no time."""
    encode = Encoder(model)
    for kind, severity, cause, records in sets:
        path = cache / f"{kind}-{severity}-{len(records)}.npz"
        if not path.exists():
            save_seen(path, [encode.look(record) for record in records])
        yield kind, severity, cause, load_seen(path)


class Encoder:
    """Looks at records and encodes each distinct text, image and clip once: damage leaves two of the three alone."""

    def __init__(self, model: FusedModel) -> None:
        self.model = model
        self.tokens: dict[tuple[str, str], Tokens] = {}

    def look(self, record: Record) -> Seen:
        inputs = self.model.prepare([record])
        names = {"text": record.text or "", "image": _hash(record.image), "audio": _hash(record.audio)}
        tokens = {}
        for m, part in inputs.modalities.items():
            if (m, names[m]) not in self.tokens:
                with torch.no_grad():
                    self.tokens[m, names[m]] = self.model.stack.encoders[m].encode(part)
            tokens[m] = self.tokens[m, names[m]]
        return with_tokens(self.model, decode(self.model, record), inputs, tokens)


def _hash(media: Media | None) -> str:
    return media.sha256 if media else ""


def named(reference: Reference, seen: Seen) -> Cause:
    cause = diagnosis("", case_of(reference, seen, measure(seen, reference.profile))).cause
    return cause.modality, cause.fault


def report(reference: Reference, clean: list[Seen], sets: list[Looked]) -> None:
    started = time.perf_counter()
    quiet = [named(reference, seen) for seen in clean]
    cost = 1000 * (time.perf_counter() - started) / len(clean)
    truth, said = [("none", "none")] * len(clean), list(quiet)
    print("| damage | severity | named rightly | named most |\n|---|---|---|---|")
    for kind, severity, cause, seen in sets:
        found = [named(reference, one) for one in seen]
        most = ", ".join(f"{m} {f} {n}" for (m, f), n in Counter(found).most_common(3))
        right = sum(one == cause for one in found)
        print(f"| {kind} | {severity} | {right}/{len(found)} | {most} |")
        if severity in SEVERITIES and cause not in UNSCORED:
            truth += [cause] * len(found)
            said += found
    labels = sorted({cause for cause in truth if cause != ("none", "none")})
    names = [" ".join(cause) for cause in labels]
    scores = f1_score([" ".join(t) for t in truth], [" ".join(s) for s in said], labels=names, average=None)
    print("\n| cause | F1 |\n|---|---|")
    for name, score in zip(names, scores, strict=True):
        print(f"| {name} | {score:.3f} |")
    faulty = [(t, s) for t, s in zip(truth, said, strict=True) if t != ("none", "none")]
    modality = np.mean([t[0] == s[0] for t, s in faulty])
    alarms = np.mean([cause != ("none", "none") for cause in quiet])
    print(
        f"\nmacro-F1 {np.mean(scores):.3f}; modality {modality:.3f}; cause {np.mean([t == s for t, s in faulty]):.3f}; "
    )
    print(f"false alarms {alarms:.3f} of {len(clean)} clean; {cost:.0f} ms a record for signals and rules")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--vendor", type=Path)
    parser.add_argument("--injected", type=Path, help="a folder of record sets made by `inject`")
    parser.add_argument("--records", type=Path, default=SAMPLES / "feedback" / "test")
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    bundle = SAMPLES / "bundles" / "feedback"
    model, reference = load(bundle), load_reference(bundle)
    records = list(read(given.records).records)
    (_, _, _, clean) = next(looked_at(model, given.cache, [("clean", 0, ("none", "none"), records)]))
    if given.injected:
        sets = injected(sorted(p for p in given.injected.iterdir() if p.is_dir()))
    else:
        sets = damaged(records, given.each, given.vendor)
    report(reference, clean, list(looked_at(model, given.cache, sets)))


if __name__ == "__main__":
    main()
