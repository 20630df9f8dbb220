"""Paint a scene: a plain, graded or faintly clouded ground and anti-aliased shapes on it."""

import numpy as np
from PIL import Image, ImageDraw

from sample_data.generators.scenes import SIDE, Scene, SceneObject

OVERSAMPLING = 4
EDGE_SHADE = 0.72
EDGE_WIDTH = 1.5


def paint(scene: Scene) -> Image.Image:
    """Picture of the scene, RGB, 224 x 224 pixels; the same scene gives the same pixels."""
    picture = _ground(np.random.default_rng(scene.background_seed))
    for item in scene.objects:
        _paint_object(picture, item)
    return picture


def _ground(rng: np.random.Generator) -> Image.Image:
    """Pastel or grey ground: half plain, a third graded, the rest with low-frequency clouds."""
    light = rng.choice([rng.uniform(222, 248), rng.uniform(165, 215), rng.uniform(70, 120)])
    # Dark grounds stay near grey: a deep green ground would swallow a green shape.
    tint = rng.uniform(-1, 1, size=3) * (14 if light > 150 else 6) * (rng.random() < 0.7)
    kind = rng.choice(3, p=[0.5, 0.33, 0.17])
    swing = np.zeros((SIDE, SIDE))
    if kind == 1:
        swing = _slope(rng) * rng.uniform(6, 14)
    elif kind == 2:
        swing = _clouds(rng) * rng.uniform(3, 5)
    # One rounded swing for the three channels keeps the lossless file small.
    values = np.round(light + tint) + np.round(swing)[..., None]
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8), "RGB")


def _slope(rng: np.random.Generator) -> np.ndarray:
    """A linear ramp from -1 to 1 along one side or the other."""
    ramp = np.broadcast_to(np.linspace(-1, 1, SIDE) * rng.choice([-1, 1]), (SIDE, SIDE))
    return ramp.T if rng.random() < 0.6 else ramp


def _clouds(rng: np.random.Generator) -> np.ndarray:
    """Smooth noise between -1 and 1: a 5 x 5 grid enlarged."""
    grid = Image.fromarray(rng.uniform(-1, 1, size=(5, 5)).astype(np.float32))
    return np.asarray(grid.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _paint_object(picture: Image.Image, item: SceneObject) -> None:
    """Draw in a patch of four times the size, then average down: smooth edges at little cost."""
    x0, y0 = item.box[0] - 1, item.box[1] - 1
    size = (item.box[2] + 1 - x0, item.box[3] + 1 - y0)
    large = (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING)
    points = [((x - x0) * OVERSAMPLING, (y - y0) * OVERSAMPLING) for x, y in item.outline]
    body, inside = Image.new("L", large), Image.new("L", large)
    ImageDraw.Draw(body).polygon(points, fill=255)
    pen = ImageDraw.Draw(inside)
    pen.polygon(points, fill=255)
    pen.line([*points, *points[:2]], fill=0, width=round(2 * EDGE_WIDTH * OVERSAMPLING))
    edge = tuple(round(channel * EDGE_SHADE) for channel in item.rgb)
    picture.paste(edge, (x0, y0), body.reduce(OVERSAMPLING))
    picture.paste(item.rgb, (x0, y0), inside.reduce(OVERSAMPLING))
