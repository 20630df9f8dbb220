"""Rules: one file and one line each; a rule names one cause. Several rules may name the same."""

from fusion_core.diagnose.rules.case import CERTAIN, NOTHING, Case, Rule, Score, rule

from . import text_missing  # isort: skip
from . import text_spelling  # isort: skip
from . import text_marks  # isort: skip
from . import text_language  # isort: skip
from . import text_far  # isort: skip
from . import text_cut  # isort: skip
from . import image_missing  # isort: skip
from . import image_blur  # isort: skip
from . import image_noise  # isort: skip
from . import image_blocks  # isort: skip
from . import image_dark  # isort: skip
from . import image_channels  # isort: skip
from . import image_far  # isort: skip
from . import image_palette  # isort: skip
from . import image_cut  # isort: skip
from . import audio_missing  # isort: skip
from . import audio_noise  # isort: skip
from . import audio_clipping  # isort: skip
from . import audio_echo  # isort: skip
from . import audio_band  # isort: skip
from . import audio_far  # isort: skip
from . import audio_cut  # isort: skip
from . import image_repeated  # isort: skip
from . import audio_repeated  # isort: skip
from . import pair_repeated  # isort: skip
from . import pair_conflict  # isort: skip
from . import pair_mismatch  # isort: skip
from . import label_wrong  # isort: skip

__all__ = [
    "CERTAIN",
    "NOTHING",
    "Case",
    "Rule",
    "Score",
    "audio_band",
    "audio_clipping",
    "audio_cut",
    "audio_echo",
    "audio_far",
    "audio_missing",
    "audio_noise",
    "audio_repeated",
    "image_blocks",
    "image_blur",
    "image_channels",
    "image_cut",
    "image_dark",
    "image_far",
    "image_missing",
    "image_noise",
    "image_palette",
    "image_repeated",
    "label_wrong",
    "pair_conflict",
    "pair_mismatch",
    "pair_repeated",
    "rule",
    "text_cut",
    "text_far",
    "text_language",
    "text_marks",
    "text_missing",
    "text_spelling",
]
