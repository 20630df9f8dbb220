"""`inject`: put a fault into a share of a record set's records, as a new set."""

from __future__ import annotations

import argparse
from pathlib import Path

from fusion_core.commands.flags import Verbs, emit, verb

#: Written out, as `METHODS` is; a test holds it to the registry.
KINDS = (
    "text.typos, text.truncate, text.language, text.shuffle, text.empty, text.mojibake, image.blur, image.noise, "
    "image.jpeg, image.dark, image.channel_swap, image.crop, image.rotate, image.blank, image.vendor, audio.noise, "
    "audio.clip, audio.rate, audio.silence, audio.cut, audio.echo, pair.shuffle, pair.stale, pair.duplicate, label.flip"
)


def add(verbs: Verbs) -> None:
    """Add the verb and its flags."""
    inject = verb(verbs, "inject", run_inject, "put a fault into a share of a record set's records, as a new set")
    inject.add_argument("--records", required=True, type=Path, metavar="DIR|ZIP|FILE")
    inject.add_argument("--fault", required=True, metavar="MODALITY.KIND", help=KINDS)
    inject.add_argument("--severity", type=int, default=3, metavar="1-5")
    inject.add_argument("--share", type=float, default=1.0, metavar="0-1", help="of the records that can be harmed")
    inject.add_argument("--seed", type=int, default=0)
    inject.add_argument("--out", required=True, type=Path, metavar="DIR")


def run_inject(given: argparse.Namespace) -> int:
    """Write the new set; the last line says how many records carry the fault."""
    from fusion_core.errors import CallError
    from fusion_core.faults.folder import check_new, write_records
    from fusion_core.faults.inject import inject
    from fusion_core.reading.records import read

    check_new(given.out)
    if given.seed < 0:
        raise CallError(f"--seed {given.seed}; allowed are 0 and above")
    source = read(given.records)
    rows = inject(source.rows, given.fault, given.severity, given.share, given.seed)
    refused = write_records(rows, given.out)
    for row in refused:
        emit({"kind": "error", "id": row.id, "code": row.code, "message": row.message})
    gone = {row.id for row in refused}
    harmed = sum(getattr(row, "meta", {}).get("fault_kind") == given.fault and row.id not in gone for row in rows)
    emit({"kind": "inject", "rows": len(rows), "ok": len(rows) - len(refused), "error": len(refused),
          "fault": given.fault, "severity": given.severity, "injected": harmed})  # fmt: skip
    return 3 if refused else 0
