"""Signal families: one file and one line each. A signal says what a modality is, never what a fault does."""

from fusion_core.diagnose.signals.seen import Measure, Profile, Seen, signals

from . import text  # isort: skip
from . import image  # isort: skip
from . import audio  # isort: skip
from . import tokens  # isort: skip
from . import pair  # isort: skip

__all__ = ["Measure", "Profile", "Seen", "audio", "image", "measure", "pair", "signals", "text", "tokens"]


def measure(seen: Seen, profile: Profile) -> dict[str, float]:
    """Return every signal of a record by name, as `modality.signal`; absent modalities have none."""
    return {name: value for _, family in signals.items() for name, value in family(seen, profile).items()}
