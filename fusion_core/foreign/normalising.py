"""How a directory says that pixels are resampled, scaled and normalised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fusion_core.errors import ModelError


@dataclass(frozen=True)
class Normalising:
    """Pixels 0-255 times `rescale`, less a mean and through a scale per channel; how a picture is resized."""

    mean: np.ndarray
    scale: np.ndarray
    rescale: float
    resample: Image.Resampling

    @classmethod
    def read(cls, settings: Mapping[str, Any], name: str) -> Normalising:
        """Read a `preprocessor_config.json`; raises ModelError, with the folder's name, when it cannot be read."""
        if settings.get("do_resize") is False:
            raise ModelError(f"preprocessor_config.json of {name} leaves pictures their size, which is not read here")
        settings = {**settings, **_left_out(settings)}
        try:
            found = cls(
                np.array([float(v) for v in settings.get("image_mean", (0.5,) * 3)], np.float32),
                np.array([float(v) for v in settings.get("image_std", (0.5,) * 3)], np.float32),
                float(settings.get("rescale_factor", 1 / 255)),
                Image.Resampling(int(settings.get("resample", 3))),
            )
        except (TypeError, ValueError, KeyError) as error:
            raise ModelError(f"preprocessor_config.json of {name} cannot be read") from error
        if found.mean.shape != (3,) or found.scale.shape != (3,) or float(found.scale.min()) <= 0:
            raise ModelError(f"preprocessor_config.json of {name} needs three means and three positive scales")
        return found

    def tensor(self, pixels: np.ndarray) -> Tensor:
        """Return `pixels [H, W, 3]` normalised, `[3, H, W]`."""
        scaled = (pixels.astype(np.float32) * self.rescale - self.mean) / self.scale
        return torch.from_numpy(scaled).permute(2, 0, 1)

    @property
    def said(self) -> dict[str, list[float]]:
        """Return mean and scale as they are written down."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}


def _left_out(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return entries that change nothing for the steps a folder leaves out."""
    unscaled = {"rescale_factor": 1.0} if settings.get("do_rescale") is False else {}
    unshifted = {"image_mean": (0.0,) * 3, "image_std": (1.0,) * 3} if settings.get("do_normalize") is False else {}
    return {**unscaled, **unshifted}
