"""What several verbs share: flags that name a model and records, and the two ways to speak."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fusion_core.asked import DEVICES, DTYPES
from fusion_core.errors import CallError
from fusion_core.hub import located

Verbs = Any  # argparse gives the collection of verbs no public name
Run = Callable[[argparse.Namespace], int]

#: Written out: the registry would load torch for a line of help. A test holds it to the registry.
METHODS = (
    "integrated_gradients, gradient_shap, input_x_gradient, smooth_grad, occlusion, feature_ablation, "
    "shapley_sampling, kernel_shap, grad_cam; all for those that work at the seam"
)
HUB = "allow encoders, and whole models as org/name[@revision], from the model hub: settings and safetensors, no code"


def verb(verbs: Verbs, name: str, run: Run, words: str) -> argparse.ArgumentParser:
    """Add a verb that is carried out by `run`."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=words, description=words)
    parser.set_defaults(run=run)
    return parser


def model_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name a model, a record set and where encoders may come from."""
    named_model(parser)
    parser.add_argument("--records", required=True, type=Path, metavar="DIR|ZIP|FILE")
    encoder_flags(parser)


def named_model(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the flags that name a model, and what a foreign one is asked."""
    named = parser.add_mutually_exclusive_group(required=required)
    named.add_argument("--model", type=Path, metavar="BUNDLE|HF_DIR|HUB_ID")
    named.add_argument("--model-object", default="", action=_OwnObject, metavar="PACKAGE.MODULE:FACTORY",
                       help="your own model; runs your code")  # fmt: skip
    parser.add_argument("--labels", default="", metavar="A,B,C", help="classes a foreign model chooses among")
    parser.add_argument("--task", default="", choices=("match",), help="what else a foreign model is asked")
    parser.add_argument("--prompt", default="", metavar="TEXT", help="what a decoder is told behind a record's text")
    place_flags(parser)


def place_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where foreign models run, and how precisely."""
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where a foreign model runs (default: auto)")
    parser.add_argument("--dtype", default="", choices=DTYPES, help="its precision (default: what the device likes)")


def locate_model(given: argparse.Namespace) -> None:
    """Let `--model` name a folder from here on, fetching what it names on the hub where that is allowed."""
    if getattr(given, "model", None) is not None:
        given.model = located(given.model, getattr(given, "allow_hub", False), say)


class _OwnObject(argparse.Action):
    """Keep the name of the operator's object, which also stands where a model's folder would."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        """Set both `model_object` and `model`."""
        namespace.model_object, namespace.model = values, Path(values)


def question_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say what to explain and how."""
    parser.add_argument("--method", default="integrated_gradients", metavar="NAME|all", help=METHODS)
    parser.add_argument("--seam", default="fusion", choices=("input", "fusion"))
    parser.add_argument("--target", metavar="CLASS", help="class to explain (default: each strategy's own answer)")
    parser.add_argument("--against", metavar="CLASS", help="class to contrast it with, in attributions")
    parser.add_argument("--policy", default="marginal", metavar="NAME", help="how a modality is removed")


def log_flags(parser: argparse.ArgumentParser, words: str) -> None:
    """Add the flags that name a log and a run of it; words: what the run is called without one."""
    parser.add_argument("--log", required=True, type=Path, metavar="LOG")
    parser.add_argument("--run", dest="run_name", default="", metavar="NAME", help=words)


def encoder_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where encoders may come from."""
    parser.add_argument("--encoder-root", type=Path, action="append", default=[], metavar="DIR",
                        help="a folder that encoder directories may be read from")  # fmt: skip
    parser.add_argument("--allow-hub", action="store_true", help=HUB)


def cache_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where encoded records are kept."""
    parser.add_argument("--cache", type=Path, metavar="DIR", help="folder of cached tokens (default: in ~/.cache)")
    parser.add_argument("--no-cache", action="store_true", help="encode anew and keep nothing")


def cache_of(given: argparse.Namespace) -> Path | None:
    """Return the folder of cached tokens; None to go without, as where the user has no home that can be written to."""
    from fusion_core.token_cache import default_folder

    if given.no_cache and given.cache is not None:
        raise CallError("give either --cache or --no-cache")
    if given.no_cache or given.cache is not None:
        return None if given.no_cache else Path(given.cache)
    try:
        folder = default_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError) as error:
        say(f"tokens are not cached: {error}")
        return None
    return folder


def emit(line: dict[str, Any]) -> None:
    """Print one JSON line, ASCII only, so that no mark inside a text can look like the end of a line."""
    print(json.dumps(line, allow_nan=False), flush=True)


def say(words: str) -> None:
    """Print words for people on standard error."""
    print(words, file=sys.stderr, flush=True)


def roots(given: argparse.Namespace) -> Any:
    """Return where encoders may come from."""
    from fusion_core.encoders import EncoderRoots

    defaults = EncoderRoots()
    return EncoderRoots((*given.encoder_root, *defaults.folders), given.allow_hub)


def asked_of(given: argparse.Namespace) -> Any:
    """Return what a foreign model is asked."""
    from fusion_core.asked import Asked, labels_of

    named = (labels_of(given.labels), given.task, given.model_object, given.prompt)
    return Asked(*named, given.device, given.dtype)


def announce_own_code(given: argparse.Namespace) -> None:
    """Say whose code is about to run, where an object of the operator's own is named."""
    if given.model_object:
        say(f"running your own code: {given.model_object}")


def open_model(given: argparse.Namespace, donors: Callable[[], Any] | None = None) -> Any:
    """Load the model that is named, saying so if it is code of their own; see `open_announced`."""
    announce_own_code(given)
    return open_announced(given, donors)


def open_announced(given: argparse.Namespace, donors: Callable[[], Any] | None = None) -> Any:
    """Load the model that is named; one without donors draws them from `donors`, else from `--records`."""
    from fusion_core.opening import open_fused
    from fusion_core.reading.records import read

    named = getattr(given, "records", None)
    records = donors if donors is not None or named is None else lambda: read(named).records
    return open_fused(given.model, roots(given), asked_of(given), records)


def question_of(given: argparse.Namespace, randomise: bool = False) -> Any:
    """Return the question that the flags ask, its maps judged."""
    from fusion_core.question import Question

    asked = (given.method, given.seam, given.target)
    return Question(*asked, policy=given.policy, against=given.against, judge=True, randomise=randomise)


def record_of(given: argparse.Namespace) -> Any:
    """Return the record asked for; None for a row that was refused, after its line. `source` keeps unpacked media."""
    from fusion_core.lines import predict_line
    from fusion_core.reading.records import read
    from fusion_core.types import Failure

    given.source = read(given.records)
    refused = next((row for row in given.source.refusals if row.id == given.id), None)
    if refused is None:
        return given.source.find(given.id)
    emit(predict_line(Failure(refused.id, None, refused.code, refused.message)))
    return None
