"""Record what a serving process answers, without ever being in its way."""

from fusion_core.capture.entry import Entry
from fusion_core.capture.recorder import Recorder
from fusion_core.capture.tally import Counts, Lost, lost_entries

__all__ = ["Counts", "Entry", "Lost", "Recorder", "lost_entries"]
