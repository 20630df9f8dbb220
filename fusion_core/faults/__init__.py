"""Faults on purpose: one kind per file and one line each, in the order of `design.md`; `inject` puts them into a set.

Nothing of the diagnosis knows these files: its rules are written on what a signal is, not on what is done to it here.
"""

from fusion_core.faults.fault import COLUMNS, SEVERITIES, Fault, Injection, fault

from . import text_typos  # isort: skip
from . import text_truncate  # isort: skip
from . import text_language  # isort: skip
from . import text_shuffle  # isort: skip
from . import text_empty  # isort: skip
from . import text_mojibake  # isort: skip
from . import image_blur  # isort: skip
from . import image_noise  # isort: skip
from . import image_jpeg  # isort: skip
from . import image_dark  # isort: skip
from . import image_channel_swap  # isort: skip
from . import image_crop  # isort: skip
from . import image_rotate  # isort: skip
from . import image_blank  # isort: skip
from . import image_vendor  # isort: skip
from . import audio_noise  # isort: skip
from . import audio_clip  # isort: skip
from . import audio_rate  # isort: skip
from . import audio_silence  # isort: skip
from . import audio_cut  # isort: skip
from . import audio_echo  # isort: skip
from . import pair_shuffle  # isort: skip
from . import pair_stale  # isort: skip
from . import pair_duplicate  # isort: skip
from . import label_flip  # isort: skip

__all__ = [
    "COLUMNS",
    "SEVERITIES",
    "Fault",
    "Injection",
    "audio_clip",
    "audio_cut",
    "audio_echo",
    "audio_noise",
    "audio_rate",
    "audio_silence",
    "fault",
    "image_blank",
    "image_blur",
    "image_channel_swap",
    "image_crop",
    "image_dark",
    "image_jpeg",
    "image_noise",
    "image_rotate",
    "image_vendor",
    "label_flip",
    "pair_duplicate",
    "pair_shuffle",
    "pair_stale",
    "text_empty",
    "text_language",
    "text_mojibake",
    "text_shuffle",
    "text_truncate",
    "text_typos",
]
