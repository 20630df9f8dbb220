"""Random scenes of three or four coloured shapes: what stands where, before any paint."""

import math
import random
from dataclasses import dataclass

SIDE = 224
MARGIN = 5
GAP = 6
EDGE_RANGE = (44, 64)
SHARE_OF_FOUR = 0.7

Box = tuple[int, int, int, int]
Point = tuple[float, float]

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (212, 40, 44),
    "green": (44, 152, 68),
    "blue": (40, 92, 208),
    "yellow": (244, 212, 40),
    "purple": (136, 58, 172),
    "orange": (242, 128, 24),
}


def _ring(count: int, start: float, radii: tuple[float, ...]) -> tuple[Point, ...]:
    """Points on a ring, first at angle `start` (radians), the radius cycling through `radii`."""
    angles = [start + 2 * math.pi * step / count for step in range(count)]
    return tuple(
        (radii[step % len(radii)] * math.cos(angle), radii[step % len(radii)] * math.sin(angle))
        for step, angle in enumerate(angles)
    )


_UP = -math.pi / 2
_ARM = 0.17

# Outlines in a unit square around the origin. The diamond is narrower than tall, so that it is
# not a square on its corner.
OUTLINES: dict[str, tuple[Point, ...]] = {
    "circle": _ring(60, 0.0, (0.48,)),
    "square": ((-0.44, -0.44), (0.44, -0.44), (0.44, 0.44), (-0.44, 0.44)),
    "triangle": ((0.0, -0.48), (0.52, 0.44), (-0.52, 0.44)),
    "star": _ring(10, _UP, (0.54, 0.23)),
    "diamond": ((0.0, -0.54), (0.36, 0.0), (0.0, 0.54), (-0.36, 0.0)),
    "cross": (
        (-_ARM, -0.5), (_ARM, -0.5), (_ARM, -_ARM), (0.5, -_ARM), (0.5, _ARM), (_ARM, _ARM),
        (_ARM, 0.5), (-_ARM, 0.5), (-_ARM, _ARM), (-0.5, _ARM), (-0.5, -_ARM), (-_ARM, -_ARM),
    ),
}  # fmt: skip
SHAPES = tuple(OUTLINES)


@dataclass(frozen=True)
class SceneObject:
    """One shape: its names, its jittered RGB, its outline and tight box in pixels."""

    colour: str
    shape: str
    rgb: tuple[int, int, int]
    outline: tuple[Point, ...]
    box: Box

    @property
    def centre(self) -> Point:
        """Middle of the box, pixels (x, y)."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2


@dataclass(frozen=True)
class Scene:
    """The objects of one picture and the seed of its background."""

    objects: tuple[SceneObject, ...]
    background_seed: int


def sample_scene(rng: random.Random) -> Scene:
    """Draw a scene: no two objects alike, no boxes closer than `GAP` pixels."""
    count = 4 if rng.random() < SHARE_OF_FOUR else 3
    kinds = _sample_kinds(rng, count)
    placed: list[SceneObject] = []
    while len(placed) < count:
        colour, shape = kinds[len(placed)]
        candidate = _place(rng, colour, shape)
        if all(_apart(candidate.box, other.box) for other in placed):
            placed.append(candidate)
        elif rng.random() < 0.02:
            placed.clear()  # a corner nobody fits into: start over
    return Scene(tuple(placed), rng.getrandbits(32))


def _sample_kinds(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """Distinct (colour, shape) pairs; a colour or a shape may occur twice, never three times."""
    colours, shapes = tuple(COLOURS), SHAPES
    while True:
        kinds = [(rng.choice(colours), rng.choice(shapes)) for _ in range(count)]
        names = [name for kind in kinds for name in kind]
        if len(set(kinds)) == count and max(map(names.count, names)) <= 2:
            return kinds


def _place(rng: random.Random, colour: str, shape: str) -> SceneObject:
    edge = rng.uniform(*EDGE_RANGE)
    tilt = math.radians(rng.uniform(-7, 7))
    cos, sin = edge * math.cos(tilt), edge * math.sin(tilt)
    turned = [(x * cos - y * sin, x * sin + y * cos) for x, y in OUTLINES[shape]]
    left, top = min(x for x, _ in turned), min(y for _, y in turned)
    width, height = max(x for x, _ in turned) - left, max(y for _, y in turned) - top
    x0 = rng.uniform(MARGIN, SIDE - MARGIN - width)
    y0 = rng.uniform(MARGIN, SIDE - MARGIN - height)
    outline = tuple((x - left + x0, y - top + y0) for x, y in turned)
    box = (math.floor(x0), math.floor(y0), math.ceil(x0 + width), math.ceil(y0 + height))
    red, green, blue = (min(255, max(0, channel + rng.randint(-10, 10))) for channel in COLOURS[colour])
    return SceneObject(colour, shape, (red, green, blue), outline, box)


def _apart(first: Box, second: Box) -> bool:
    return (
        first[2] + GAP <= second[0]
        or second[2] + GAP <= first[0]
        or first[3] + GAP <= second[1]
        or second[3] + GAP <= first[1]
    )
