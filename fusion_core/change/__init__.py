"""The smallest change that flips an answer: one kind of change per file and one line each, in the order on screen."""

from fusion_core.change.kind import Kind, kind
from fusion_core.change.search import kinds_for, smallest_changes

from . import text_typos  # isort: skip
from . import text_cut  # isort: skip
from . import image_blur  # isort: skip
from . import image_noise  # isort: skip
from . import image_crop  # isort: skip
from . import audio_noise  # isort: skip
from . import audio_cut  # isort: skip

__all__ = [
    "Kind",
    "audio_cut",
    "audio_noise",
    "image_blur",
    "image_crop",
    "image_noise",
    "kind",
    "kinds_for",
    "smallest_changes",
    "text_cut",
    "text_typos",
]
