"""Attribution methods: one file and one line each."""

from fusion_core.attribute.problem import Problem, Scores, at_fusion, at_input, method

from . import integrated_gradients  # isort: skip
from . import occlusion  # isort: skip

__all__ = ["Problem", "Scores", "at_fusion", "at_input", "integrated_gradients", "method", "occlusion"]
