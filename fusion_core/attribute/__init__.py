"""Attribution methods: one file and one line each. Their order here is the order on screen."""

from fusion_core.attribute.pose import at_fusion, at_input
from fusion_core.attribute.problem import Method, Problem, Scores, method

from . import integrated_gradients  # isort: skip
from . import gradient_shap  # isort: skip
from . import input_x_gradient  # isort: skip
from . import smooth_grad  # isort: skip
from . import occlusion  # isort: skip
from . import feature_ablation  # isort: skip
from . import shapley_sampling  # isort: skip
from . import kernel_shap  # isort: skip
from . import grad_cam  # isort: skip

__all__ = [
    "Method",
    "Problem",
    "Scores",
    "at_fusion",
    "at_input",
    "feature_ablation",
    "grad_cam",
    "gradient_shap",
    "input_x_gradient",
    "integrated_gradients",
    "kernel_shap",
    "method",
    "occlusion",
    "shapley_sampling",
    "smooth_grad",
]
