"""Signals of an image: what it holds, how sharp and clean it is, whether its colours and its edges are as usual."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from scipy.fft import dctn
from scipy.ndimage import convolve, gaussian_filter, laplace, maximum_filter, minimum_filter

from fusion_core.diagnose.signals.seen import Profile, Seen, signals

LARGEST = 512  # longer sides are thinned out: quality shows on a part of the pixels too
NEAREST = 5
LEVELS = 4  # per channel of the colour histogram
BLOCK = 8
WINDOW = 9
LEAST_RISE = 0.05
ZERO_LEVELS = 1.5  # 8-bit levels: above what rounding pixels leaves
LEAST_VIVID = 50  # pixels: fewer say little of an image's colours
VIVID = 100  # 8-bit levels between a pixel's largest and smallest channel
NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


@signals("image")
def image_signals(seen: Seen, profile: Profile) -> dict[str, float]:
    """Measure an image; brightness and contrast on 0 to 1, noise and sharpness as log10, entropy in bits."""
    if seen.pixels is None:
        return {}
    pixels = cut_to(seen.pixels, LARGEST)
    colour = pixels.astype(np.float32) / 255.0
    grey = colour @ np.array([0.299, 0.587, 0.114], np.float32)
    own, swapped = _colour_distances(pixels, profile)
    new, new_swapped = _new_colours(pixels, profile)
    fine = float(laplace(grey).var())
    coarse = float(laplace(gaussian_filter(grey, 1.5)).var())
    spread = colour.max(axis=2) - colour.min(axis=2)
    return {
        "image.entropy": entropy(grey),
        "image.brightness": float(grey.mean()),
        "image.white": float(np.quantile(grey, 0.98)),
        "image.contrast": float(grey.std()),
        "image.saturation": float(spread.mean()),
        "image.sharpness": float(np.log10(fine + 1e-8)),
        "image.fine_detail": float(np.log10((fine + 1e-8) / (coarse + 1e-8))),
        "image.steepest": float(np.log10(_steepest(grey) + 1e-4)),
        "image.noise": float(np.log10(noise_level(grey) + 1e-4)),
        "image.blockiness": blockiness(grey),
        "image.zeroed": zeroed(grey),
        "image.edge": edge_sharpness(grey),
        "image.new_colours": new,
        "image.new_swapped": new_swapped,
        "image.colour": own,
        "image.colour_swapped": own - swapped,
        "image.border": _border(grey),
        "image.flat_border": _flat_border(grey),
        "image.pixels": float(np.log2(seen.pixels.shape[0] * seen.pixels.shape[1])),
        "image.aspect": float(np.log2(seen.pixels.shape[1] / seen.pixels.shape[0])),
    }


def cut_to(pixels: np.ndarray, side: int) -> np.ndarray:
    """Return the middle of an image `[H, W, 3]`, at most `side` pixels on each side, at its own resolution."""
    height, width = pixels.shape[:2]
    top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
    return pixels[top : top + side, left : left + side]


def entropy(grey: np.ndarray) -> float:
    """Return the entropy of 64 grey levels, bits; 0 for a constant image."""
    counts, _ = np.histogram(grey, bins=64, range=(0.0, 1.0))
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def noise_level(grey: np.ndarray) -> float:
    """Return the standard deviation of pixel noise, 0 to 1, from the median of a residual that edges hardly touch.

    Immerkaer 1996's kernel, with the median for his mean (a median ignores lines); a Gaussian's median of |x| is .6745.
    """
    if min(grey.shape) < 4:
        return 0.0
    residual = convolve(grey, NOISE_KERNEL, mode="reflect")[1:-1, 1:-1]
    return float(np.median(np.abs(residual)) / (6 * 0.6745))


def blockiness(grey: np.ndarray) -> float:
    """Return how much larger the steps are on one 8-pixel grid than off it, in 8-bit levels, the mean of both axes.

    A step counts as far as it exceeds its two neighbours, and at most 10 levels: edges of things are steeper.
    """
    return float(np.mean([_grid_excess(grey), _grid_excess(grey.T)])) * 255.0


def zeroed(grey: np.ndarray) -> float:
    """Return the share of near-zero frequencies in the busiest 8 x 8 blocks: lossy codecs round them away."""
    height, width = (side // BLOCK * BLOCK for side in grey.shape)
    if min(height, width) < BLOCK:
        return 0.0
    blocks = grey[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).swapaxes(1, 2)
    frequencies = np.abs(dctn(255.0 * blocks.reshape(-1, BLOCK, BLOCK), axes=(1, 2), norm="ortho"))
    frequencies[:, 0, 0] = 0.0
    busy = np.sqrt((frequencies**2).sum(axis=(1, 2)))
    return float((frequencies[busy >= np.quantile(busy, 0.8)] < ZERO_LEVELS).mean())


def edge_sharpness(grey: np.ndarray) -> float:
    """Return how much of a local rise lies in one step, 0 to 1, at the strong edges: 1 for a hard edge.

    An edge blurred by a Gaussian of sigma pixels gives 1 / (sigma sqrt(2 pi)) or, where the window sees only part of
    the rise, up to half as much again, whatever its contrast.
    """
    steps = np.zeros_like(grey)
    steps[:, :-1] = np.abs(np.diff(grey, axis=1))
    steps[:-1] = np.maximum(steps[:-1], np.abs(np.diff(grey, axis=0)))
    rise = maximum_filter(grey, WINDOW) - minimum_filter(grey, WINDOW)
    strong = rise > max(LEAST_RISE, 0.5 * float(rise.max()))
    return float(np.quantile(maximum_filter(steps, WINDOW)[strong] / rise[strong], 0.75)) if strong.any() else 1.0


def palette(pixels: np.ndarray) -> np.ndarray:
    """Return the colour code, 0 to 4095, of every vivid pixel: 16 levels a channel."""
    flat = pixels.reshape(-1, 3)
    vivid = flat[np.ptp(flat, axis=1) > VIVID].astype(np.int64) >> 4
    return np.asarray(vivid @ np.array([256, 16, 1]))


def colour_histogram(pixels: np.ndarray) -> np.ndarray:
    """Return the square root of the shares of 4 x 4 x 4 colours, `float32 [64]`, softly binned."""
    place = pixels.reshape(-1, 3).astype(np.float32) / 255.0 * (LEVELS - 1)
    low = np.minimum(place.astype(np.int64), LEVELS - 2)
    high_share = place - low
    counts = np.zeros(LEVELS**3)
    for corner in range(8):
        step = np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
        weight = np.where(step == 1, high_share, 1.0 - high_share).prod(axis=1)
        index = (low + step) @ np.array([LEVELS * LEVELS, LEVELS, 1])
        counts += np.bincount(index, weights=weight, minlength=LEVELS**3)
    return np.sqrt(counts / counts.sum()).astype(np.float32)


def _colour_distances(pixels: np.ndarray, profile: Profile) -> tuple[float, float]:
    """Return the Hellinger distance to the nearest reference colours, as it is and with its channels best permuted."""
    own = colour_histogram(pixels[::2, ::2])
    if not len(profile.colours):
        return 0.0, 0.0
    cube = own.reshape(LEVELS, LEVELS, LEVELS)
    others = [cube.transpose(order).reshape(-1) for order in permutations(range(3))][1:]
    distances = [_nearest(hist, profile.colours) for hist in (own, *others)]
    return distances[0], min(distances[1:])


def _nearest(hist: np.ndarray, reference: np.ndarray) -> float:
    distances = np.sqrt(np.maximum(0.0, 1.0 - reference @ hist))
    # The image itself may be one of the reference: it says nothing of how near other images are.
    distances = np.sort(distances[distances > 1e-3])[:NEAREST]
    return float(distances.mean()) if len(distances) else 0.0


def _grid_excess(grey: np.ndarray) -> float:
    if grey.shape[1] < 3 * BLOCK:
        return 0.0
    steps = np.abs(np.diff(grey, axis=1))
    excess = np.clip(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2, -10 / 255, 10 / 255).mean(axis=0)
    phases = np.array([excess[phase::BLOCK].mean() for phase in range(BLOCK)])
    return float(phases.max() - np.median(phases))


def _new_colours(pixels: np.ndarray, profile: Profile) -> tuple[float, float]:
    """Return the share of the vivid pixels whose colours clean images do not have, 0 to 1.

    First as they are, then with the channels in the order that leaves fewest: a swap of channels undone.
    """
    if not len(profile.palette):
        return 0.0, 0.0
    codes, counts = np.unique(palette(pixels), return_counts=True)
    digits = np.stack([codes >> 8, codes >> 4 & 15, codes & 15])
    total = max(int(counts.sum()), LEAST_VIVID)
    shares = [
        float(counts[~profile.palette[np.array([256, 16, 1]) @ digits[list(order)]]].sum() / total)
        for order in permutations(range(3))
    ]
    return shares[0], min(shares[1:])


def _steepest(grey: np.ndarray) -> float:
    """Return the largest step between neighbours that 1 pixel in 500 exceeds: blur takes it away, content does not."""
    steps = np.concatenate([np.abs(np.diff(grey, axis=0)).ravel(), np.abs(np.diff(grey, axis=1)).ravel()])
    return float(np.quantile(steps, 0.998)) if len(steps) else 0.0


def _border(grey: np.ndarray) -> float:
    """Return the contrast along the outermost pixels: things cut off by the frame."""
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return float(edge.std())


def _flat_border(grey: np.ndarray) -> float:
    """Return the share of the image's outer rows and columns that are one constant value unlike the middle."""
    rows, columns = grey.std(axis=1) < 1 / 255, grey.std(axis=0) < 1 / 255
    return float((rows.mean() + columns.mean()) / 2)
