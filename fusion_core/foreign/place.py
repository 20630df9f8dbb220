"""Where a foreign model runs, and how precisely it computes there."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fusion_core.asked import DTYPES, Asked
from fusion_core.errors import CallError
from fusion_core.words import size


@dataclass(frozen=True)
class Place:
    """A device, the precision a model has there, and how many bytes its weights take (0: not loaded yet)."""

    device: torch.device
    dtype: torch.dtype
    held: int = 0

    @property
    def is_here(self) -> bool:
        """Whether it is where the tool itself computes."""
        return self.device.type == "cpu" and self.dtype == torch.float32

    @property
    def precision(self) -> str:
        """The precision by its name."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def words(self) -> str:
        """Say device, precision and the size of the weights, such as `cpu · float32 · 0.6 GB`."""
        parts = [str(self.device), self.precision]
        return " · ".join([*parts, size(self.held)] if self.held else parts)

    def free(self) -> int | None:
        """Return the device's free memory in bytes, None where torch cannot tell."""
        if self.device.type == "cuda":
            return int(torch.cuda.mem_get_info(self.device)[0])
        if self.device.type == "mps":
            return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
        return None


HERE = Place(torch.device("cpu"), torch.float32)


def devices() -> dict[str, bool]:
    """Return the devices that are known, the one preferred first, and whether torch sees each here."""
    return {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}


def place_of(asked: Asked) -> Place:
    """Return where a model is to run; raises CallError for a device that is not here, or an unknown precision.

    `auto` is CUDA, else MPS, else the CPU. Half precision where the device likes it: bfloat16 on CUDA that supports
    it, float16 on MPS; else float32.
    """
    there = devices()
    name = next(d for d, found in there.items() if found) if asked.device == "auto" else asked.device
    if name not in there:
        raise CallError(f"--device {name!r} is unknown; known: auto, {', '.join(there)}")
    if not there[name]:
        have = ", ".join(d for d, found in there.items() if found)
        raise CallError(f"--device {name} is not here: torch sees {have} on this machine")
    if asked.dtype and asked.dtype not in DTYPES:
        raise CallError(f"--dtype {asked.dtype!r} is unknown; known: {', '.join(DTYPES)}")
    return Place(torch.device(name), getattr(torch, asked.dtype) if asked.dtype else _liked(name))


def _liked(device: str) -> torch.dtype:
    if device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16 if device == "mps" else torch.float32
