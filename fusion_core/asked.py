"""What an operator says of a model that is no bundle: what to ask of it, or which of their own objects it is."""

from __future__ import annotations

from dataclasses import dataclass

from fusion_core.errors import CallError

#: What `--device` and `--dtype` may say; `dtype` may also be left out.
DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "bfloat16", "float16")

MATCH = ("no match", "match")
MAX_LABELS = 1_000


@dataclass(frozen=True)
class Asked:
    """What a foreign model is asked: to choose among labels, or (`task` "match") whether a pair belongs together.

    object: `package.module:factory` of the operator's own model, which says by itself what it answers. prompt: what a
    decoder is told behind the record's text. device, dtype: where a foreign model runs and how precisely; `auto` and
    nothing leave it to the machine.
    """

    labels: tuple[str, ...] = ()
    task: str = ""
    object: str = ""
    prompt: str = ""
    device: str = "auto"
    dtype: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether a place is asked for that only a foreign model can have: bundles run on the CPU in float32."""
        return self.device not in ("auto", "cpu") or self.dtype not in ("", "float32")

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the answer; raises CallError when nothing, or both, is asked."""
        if self.task not in ("", "match"):
            raise CallError(f"--task {self.task!r} is unknown; known: match")
        if self.labels and self.task:
            raise CallError("give either --labels or --task, not both: a model is asked one thing")
        if not self.labels and not self.task:
            raise CallError("say what to ask of this model: --labels a,b,c for these classes, or --task match")
        if self.task:
            return MATCH
        if len(set(self.labels)) != len(self.labels):
            twice = next(label for label in self.labels if self.labels.count(label) > 1)
            raise CallError(f"--labels names {twice!r} more than once; every label must be another")
        if not 2 <= len(self.labels) <= MAX_LABELS:
            raise CallError(f"--labels needs 2 to {MAX_LABELS:,} labels; {len(self.labels)} were given")
        return self.labels


def labels_of(argument: str) -> tuple[str, ...]:
    """Read labels separated by commas."""
    return tuple(part.strip() for part in argument.split(",") if part.strip())
