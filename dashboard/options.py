"""What the operator opened the dashboard with."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fusion_core.asked import Asked, labels_of
from fusion_core.commands.flags import HUB, place_flags

KEEP = 3

SAMPLES = Path(__file__).resolve().parents[1] / "sample_data"


@dataclass(frozen=True)
class Workplace:
    """A model, the record set to look at, records it was fitted on, and what it answered in production.

    All are named by the operator. asked: what a foreign model is asked; its donors come from the record set. called:
    what tells it from another of the same name, "" for that name.
    """

    model: Path
    records: Path | None
    training: Path | None = None
    log: Path | None = None
    asked: Asked = field(default_factory=Asked)
    called: str = ""

    @property
    def name(self) -> str:
        """What the picker shows and a link names."""
        return self.called or self.model.name


def add_content_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say what to show."""
    parser.add_argument("--model", type=Path, action="append", default=[], metavar="BUNDLE|HF_DIR|HUB_ID",
                        help="may be repeated")  # fmt: skip
    parser.add_argument("--model-object", action="append", default=[], metavar="PACKAGE.MODULE:FACTORY",
                        help="your own model; runs your code; may be repeated")  # fmt: skip
    parser.add_argument("--labels", default="", metavar="A,B,C", help="classes foreign models choose among")
    parser.add_argument("--task", default="", choices=("match",), help="what else foreign models are asked")
    parser.add_argument("--prompt", default="", metavar="TEXT", help="what decoders are told behind a record's text")
    parser.add_argument("--records", type=Path, metavar="DIR", help="record set to browse with the models")
    parser.add_argument("--log", type=Path, metavar="LOG", help="prediction log, opened on Triage")
    parser.add_argument("--training", type=Path, metavar="DIR", help="records it was fitted on, with their index")
    parser.add_argument("--encoder-root", type=Path, action="append", default=[], metavar="DIR",
                        help="a folder whose encoders may be fitted on; may be repeated")  # fmt: skip
    parser.add_argument("--allow-hub", action="store_true", help=HUB)
    place_flags(parser)
    parser.add_argument("--keep-models", type=int, default=KEEP, metavar="N",
                        help=f"models kept open; the least recently used makes room (default: {KEEP})")  # fmt: skip


def content_arguments(given: argparse.Namespace) -> list[str]:
    """Return the flags of `add_content_flags` again, as they are handed to the app."""
    usual = vars(_given(()))
    return [part for name in usual if getattr(given, name) != usual[name] for part in _arguments(name, given)]


def _arguments(name: str, given: argparse.Namespace) -> list[str]:
    flag, value = f"--{name.replace('_', '-')}", getattr(given, name)
    if value is True:
        return [flag]
    return [part for one in (value if isinstance(value, list) else [value]) for part in (flag, str(one))]


def workplaces(arguments: Sequence[str]) -> list[Workplace]:
    """Return what to show: the bundles named, else the sample bundles, each with its records."""
    given = _given(arguments)
    models = given.model or ([] if given.model_object else sorted((SAMPLES / "bundles").glob("*/")))
    asked = Asked(labels_of(given.labels), given.task, "", given.prompt, given.device, given.dtype)
    named = [
        Workplace(
            model,
            _set_of(model, given.records, "test"),
            _set_of(model, given.training, "training"),
            _log_of(model, given.log),
            asked,
        )
        for model in (named.resolve() for named in models)
    ]
    own = [
        Workplace(
            Path(name),
            given.records and given.records.resolve(),
            log=given.log and given.log.resolve(),
            asked=Asked(object=name),
        )
        for name in given.model_object
    ]
    return _told_apart([*named, *own])


def _told_apart(places: Sequence[Workplace]) -> list[Workplace]:
    """Return each model once, called by as much of the end of its path as no other one has."""
    once = {place.model: place for place in places}
    return [replace(place, called=_called(model, once.keys() - {model})) for model, place in once.items()]


def _called(model: Path, others: Collection[Path]) -> str:
    ends = (model.parts[-length:] for length in range(1, len(model.parts)))
    return "/".join(next((end for end in ends if all(other.parts[-len(end) :] != end for other in others)), ()))


def encoder_folders(arguments: Sequence[str]) -> tuple[Path, ...]:
    """Return the folders that encoders may be read from, besides those that come with the tool."""
    return tuple(folder.resolve() for folder in _given(arguments).encoder_root)


def allows_hub(arguments: Sequence[str]) -> bool:
    """Return whether the operator allowed the model hub."""
    return bool(_given(arguments).allow_hub)


def kept_models(arguments: Sequence[str]) -> int:
    """Return how many opened models are kept."""
    return int(_given(arguments).keep_models)


def _given(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False)
    add_content_flags(parser)
    return parser.parse_known_args(arguments)[0]


def _set_of(model: Path, named: Path | None, part: str) -> Path | None:
    """Return the folder that was named, else that part of a sample model's own records."""
    if named is not None:
        return named.resolve()
    own = SAMPLES / model.name / part
    return own if model.parent == SAMPLES / "bundles" and own.is_dir() else None


def _log_of(model: Path, named: Path | None) -> Path | None:
    """Return the log that was named, else the sample log for the sample model whose answers it holds."""
    if named is not None:
        return named.resolve()
    own = SAMPLES / "production"
    return own if model == SAMPLES / "bundles" / "feedback" and own.is_dir() else None
