"""Questions about a scene: which can be asked, what their answer is, how they are worded."""

import random
from dataclasses import dataclass

from sample_data.generators.scenes import COLOURS, Scene, SceneObject

BEYOND = 36.0
CLEAR = -20.0
EASY_NO_SHARE = 0.12
SYNONYM_SHARE = 0.15

# Unit steps in pixel coordinates: y grows downwards.
DIRECTIONS: dict[str, tuple[int, int]] = {
    "left": (-1, 0),
    "right": (1, 0),
    "above": (0, -1),
    "below": (0, 1),
}
_PHRASES = {
    "left": ("left of", "to the left of"),
    "right": ("right of", "to the right of"),
    "above": ("above",),
    "below": ("below",),
}
_SYNONYMS = {"above": "over", "below": "under"}

_COLOUR_WORDINGS = (
    "What colour is the {shape}?",
    "Which colour does the {shape} have?",
    "Name the colour of the {shape}.",
    "The {shape} is which colour?",
    "Tell me the {shape}'s colour.",
    "What is the colour of the {shape}?",
)
_EXISTENCE_WORDINGS = (
    "Is there {thing}?",
    "Do you see {thing}?",
    "Does the picture show {thing}?",
    "Can you find {thing} here?",
    "Is {thing} in the picture?",
    "Is {thing} among the shapes?",
)
_RELATION_WORDINGS = (
    "Which shape is {where} the {reference}?",
    "What shape lies {where} the {reference}?",
    "The shape {where} the {reference} is what?",
    "Name the shape {where} the {reference}.",
    "Tell me which shape is {where} the {reference}.",
    "What is the shape {where} the {reference}?",
)


@dataclass(frozen=True)
class Question:
    """One question in words, its answer, and the objects that answer it and anchor it."""

    kind: str
    text: str
    answer: str
    balance: tuple[str, ...]
    asked: SceneObject | None = None
    reference: SceneObject | None = None


def colour_questions(scene: Scene, rng: random.Random) -> list[Question]:
    """One per shape that occurs once, in scenes of more than one colour."""
    shapes = [item.shape for item in scene.objects]
    if len({item.colour for item in scene.objects}) < 2:
        return []
    return [
        Question(
            "colour",
            rng.choice(_COLOUR_WORDINGS).format(shape=item.shape),
            item.colour,
            (item.colour,),
            asked=item,
        )
        for item in scene.objects
        if shapes.count(item.shape) == 1
    ]


def existence_questions(scene: Scene, rng: random.Random) -> list[Question]:
    """One yes and one no; most no's name a colour and a shape that are there, but apart."""
    item = rng.choice(scene.objects)
    absent = _absent_pair(scene, rng)
    if absent is None:
        return []
    return [
        Question("existence", _existence_text(item.colour, item.shape, rng), "yes", ("yes",), item),
        Question("existence", _existence_text(*absent, rng), "no", ("no",)),
    ]


def relation_questions(scene: Scene, rng: random.Random) -> list[Question]:
    """One per reference and direction with exactly one object clearly on that side."""
    found = []
    for reference in scene.objects:
        for direction in DIRECTIONS:
            answer = only_object_beyond(scene, reference, direction)
            if answer is not None and answer.shape != reference.shape:
                text = _relation_text(reference, direction, rng)
                balance = (direction, answer.shape)
                found.append(Question("relation", text, answer.shape, balance, answer, reference))
    return found


def only_object_beyond(scene: Scene, reference: SceneObject, direction: str) -> SceneObject | None:
    """The object at least 36 px beyond the reference, if all others are 20 px on its far side."""
    step_x, step_y = DIRECTIONS[direction]
    beyond = None
    for item in scene.objects:
        if item is reference:
            continue
        across = (item.centre[0] - reference.centre[0]) * step_x
        offset = across + (item.centre[1] - reference.centre[1]) * step_y
        if offset >= BEYOND and beyond is None:
            beyond = item
        elif offset > CLEAR:
            return None
    return beyond


def _absent_pair(scene: Scene, rng: random.Random) -> tuple[str, str] | None:
    """A (colour, shape) that no object has; rarely one whose colour or shape is missing too."""
    present = {(item.colour, item.shape) for item in scene.objects}
    if rng.random() < EASY_NO_SHARE:
        item = rng.choice(scene.objects)
        missing = [name for name in COLOURS if name not in {colour for colour, _ in present}]
        return rng.choice(missing), item.shape
    # Colour from one object, shape from another: common colours are asked as often as for a yes.
    pairs = [
        (first.colour, second.shape)
        for first in scene.objects
        for second in scene.objects
        if (first.colour, second.shape) not in present
    ]
    return rng.choice(pairs) if pairs else None


def _existence_text(colour: str, shape: str, rng: random.Random) -> str:
    article = "an" if colour == "orange" else "a"
    return rng.choice(_EXISTENCE_WORDINGS).format(thing=f"{article} {colour} {shape}")


def _relation_text(reference: SceneObject, direction: str, rng: random.Random) -> str:
    where = rng.choice(_PHRASES[direction])
    if direction in _SYNONYMS and rng.random() < SYNONYM_SHARE:
        where = _SYNONYMS[direction]
    named = f"{reference.colour} {reference.shape}"
    return rng.choice(_RELATION_WORDINGS).format(where=where, reference=named)


ASKERS = {
    "colour": colour_questions,
    "existence": existence_questions,
    "relation": relation_questions,
}
