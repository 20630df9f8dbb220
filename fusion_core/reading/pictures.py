"""Decode an image file from a stranger into 8-bit RGB, and say what had to be done to it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from fusion_core.errors import RecordError
from fusion_core.reading.signatures import IMAGES, kind_of
from fusion_core.reading.texts import quoted

MAX_IMAGE_BYTES = 200_000_000
MAX_PIXELS = 40_000_000
COUNT_FRAMES_BELOW = 20_000_000  # counting the frames of a larger file could take minutes

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: np.rot90,
}

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # on damaged tags, one line each
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Picture:
    """A decoded image, `pixels uint8 [H, W, 3]`, and notes on what decoding had to do."""

    pixels: np.ndarray
    notes: tuple[str, ...]


def decode_image(data: bytes, name: str) -> Picture:
    """Decode the first frame, upright, over white, at 8 bits: `uint8 [H, W, 3]`.

    Raises RecordError `image_unsupported`, `image_damaged`, `image_refused`, `file_too_large` or `resource_exhausted`.
    """
    check_kind(data, name)
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_size(image.size, name)
            notes = _frame_notes(image, len(data)) + _depth_notes(image)
            image.load()
            _check_size(image.size, name)
            pixels, more = _to_rgb(image, name)
            pixels, turned = _upright(image, pixels)
    except RecordError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_many_pixels(name, "more than 89,000,000") from error
    except MemoryError as error:
        raise RecordError(f"image {quoted(name)} needs more memory than there is", "resource_exhausted") from error
    except Exception as error:  # decoders raise anything from struct.error to SyntaxError on a hostile file
        raise RecordError(f"image {quoted(name)} cannot be decoded: {_reason(error)}", "image_damaged") from error
    return Picture(np.ascontiguousarray(pixels), tuple(notes + more + turned))


def check_kind(data: bytes, name: str) -> None:
    """Raise RecordError for what is too large, empty, or no image by its first bytes: known before decoding."""
    if len(data) > MAX_IMAGE_BYTES:
        raise RecordError(
            f"image {quoted(name)} is {len(data):,} bytes; at most {MAX_IMAGE_BYTES:,} are read", "file_too_large"
        )
    if not data:
        raise RecordError(f"image {quoted(name)} is an empty file", "image_damaged")
    kind = kind_of(data)
    if kind not in IMAGES:
        what = f"is {kind} by its first bytes" if kind else "is no image by its first bytes"
        raise RecordError(
            f"image {quoted(name)} {what}; read are PNG, JPEG, WebP, BMP, TIFF and GIF", "image_unsupported"
        )


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise RecordError(f"image {quoted(name)} is {width} x {height} pixels; at least 1 x 1", "image_refused")
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(name, f"{width:,} x {height:,} =", width * height)


def _too_many_pixels(name: str, given: str, count: int | None = None) -> RecordError:
    total = f" {count:,}" if count is not None else ""
    return RecordError(f"image {quoted(name)} has {given}{total} pixels; at most {MAX_PIXELS:,}", "image_refused")


def _frame_notes(image: Image.Image, size: int) -> list[str]:
    if not getattr(image, "is_animated", False):
        return []
    if size > COUNT_FRAMES_BELOW:
        return ["first of several frames"]
    return [f"first of {getattr(image, 'n_frames', 1)} frames"]


def _depth_notes(image: Image.Image) -> list[str]:
    """Note the 16-bit colour that Pillow itself cuts to 8 bits (greyscale is scaled here, in `_grey`)."""
    raw = " ".join(str(tile[3]) for tile in getattr(image, "tile", []))
    cut = image.mode not in ("I", "F") and not image.mode.startswith("I;16") and ";16" in raw
    return ["16-bit image scaled to 8 bits"] if cut else []


def _to_rgb(image: Image.Image, name: str) -> tuple[np.ndarray, list[str]]:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey, notes = _grey(np.asarray(image))
        return np.repeat(grey[:, :, None], 3, axis=2), notes
    notes = []
    if image.mode in ("CMYK", "YCbCr"):
        notes.append(f"{image.mode} image converted to RGB")
    elif image.mode in ("P", "PA"):
        notes.append("palette image converted to RGB")
    elif image.mode not in ("1", "L", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX"):
        raise RecordError(f"image {quoted(name)} has colour mode {image.mode}, which is not read", "image_unsupported")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        see_through = bool((np.asarray(rgba.getchannel("A")) < 255).any())
        notes.append("transparent image placed on white" if see_through else "opaque alpha channel dropped")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(image.convert("RGB")), notes


def _grey(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Bring 16-bit, 32-bit and float grey to `uint8 [H, W]`: by 257, or from the image's own range beyond 16 bits."""
    if values.dtype.kind == "f":
        return _float_grey(values)
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high <= 65535:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8), ["16-bit image scaled to 8 bits"]
    return _stretch(values.astype(np.float64)), [f"32-bit image scaled to 8 bits from {low} to {high}"]


def _float_grey(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    finite = np.isfinite(values)
    notes = [] if finite.all() else [f"{int((~finite).sum())} pixels were not numbers and are set to 0"]
    values = np.where(finite, values, 0).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return np.rint(values * 255).astype(np.uint8), [*notes, "float image scaled to 8 bits from 0 to 1"]
    if low >= 0 and high <= 255:
        return np.rint(values).astype(np.uint8), [*notes, "float image rounded to 8 bits"]
    return _stretch(values), [*notes, f"float image scaled to 8 bits from {low:.4g} to {high:.4g}"]


def _stretch(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    share = values - low if high == low else values / (high - low) - low / (high - low)
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def _upright(image: Image.Image, pixels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Apply the EXIF orientation (Pillow has already done so for TIFF, and removed the tag)."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # an unreadable EXIF block does not make the pixels unreadable
        return pixels, ["unreadable EXIF orientation ignored"]
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return (turn(pixels), ["turned upright by its EXIF orientation"]) if turn else (pixels, [])


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return "not a valid file" if not text or "<_io" in text or "0x" in text else quoted(text, 120)[1:-1]
