"""The dashboard where every model counts as heavy: what a large one is offered, on a tiny one."""

from __future__ import annotations

from dashboard.__main__ import main
from fusion_core.attribute import problem

if __name__ == "__main__":
    problem.HEAVY_ROW = 0
    main()
