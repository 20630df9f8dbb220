"""Grad-CAM (Selvaraju 2017) on the image network's last stage, which is what its cells are.

Captum's `LayerGradCam` hooks a layer of the network, and sessions share the network: their hooks would hear each
other. The cells are the layer's output, so the gradient at them is all that is needed.
"""

from __future__ import annotations

from fusion_core.attribute.problem import Method, Problem, Scores, method


def grad_cam(problem: Problem) -> Scores:
    """Score every cell by its features times their mean gradient over all cells; signed, as in Captum."""
    gradients = dict(zip(problem.modalities, problem.gradients(problem.values), strict=True))
    values = dict(zip(problem.modalities, problem.values, strict=True))
    weights = gradients["image"][0].mean(dim=0)
    return Scores({"image": values["image"][0] @ weights}, None, None, 1)


method("grad_cam")(
    Method(
        grad_cam,
        lambda problem: 1,
        "each cell's features times their mean gradient, on the last stage of the image network",
        seams=("fusion",),
        only=("image",),
    )
)
