"""The verbs of the command line: one file and one line each, in the order of the help."""

from collections.abc import Callable

from fusion_core.commands import (
    change,
    compare,
    diagnose,
    doctor,
    fit,
    import_log,
    influence,
    inject,
    predict,
    report,
    review,
    sweep,
    trace,
)
from fusion_core.commands.flags import Verbs

ADDS: tuple[Callable[[Verbs], None], ...] = (
    fit.add,
    review.add,
    predict.add,
    trace.add,
    change.add,
    influence.add,
    report.add,
    inject.add,
    sweep.add,
    import_log.add,
    diagnose.add,
    compare.add,
    doctor.add,
)
