"""Run a model over a record set into a prediction log, in chunks that survive whatever ends the process."""

from fusion_core.sweep.plan import CHUNK, Plan
from fusion_core.sweep.run import BATCH, Swept, sweep

__all__ = ["BATCH", "CHUNK", "Plan", "Swept", "sweep"]
