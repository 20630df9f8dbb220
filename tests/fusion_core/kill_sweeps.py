"""Kill sweeps: `python -m tests.fusion_core.kill_sweeps RECORDS LOG KILLS SEED`.

Sweeps of 40 rows in chunks of 3 are forked from here, because a process that has its modules already is soon at the
moment it is to die at. Prints how many were killed before one got to the end.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from fusion_core.sweep import sweep
from tests.fusion_core.sweeping import BUNDLE


def forked(records: Path, log: Path) -> int:
    """Start a sweep in a child and return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        sweep(BUNDLE, records, log, "killed", "gated,late", resume=True, chunk=3, batch=2)
        code = 0
    finally:
        os._exit(code)


def lines(log: Path) -> int:
    """Count the lines of the run's manifest."""
    path = log / "runs" / "killed" / "MANIFEST.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def main() -> None:
    """Kill the given number of sweeps at random moments, then let one end."""
    records, log, kills, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    chance = random.Random(seed)
    killed = 0
    while killed < kills:
        child, due, ended = forked(records, log), lines(log) + chance.randint(1, 4), 0
        while lines(log) < due and not ended:
            ended = os.waitpid(child, os.WNOHANG)[0]
            time.sleep(0.001)
        if ended:
            break
        time.sleep(chance.uniform(0.0, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        killed += 1
    status = os.waitpid(forked(records, log), 0)[1]
    print(killed)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
