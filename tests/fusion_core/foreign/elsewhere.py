"""A device that is not the CPU, on a machine that has none: its tensors keep their values on the CPU, but may not mix.

Stands under the name `meta`. As on a real device, an operation takes tensors of one place only, but for single numbers
and for indices, which may lie on the CPU. `.to("cpu")` brings values back; nothing else does.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

NAME = torch.device("meta")
INDEXED = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default)
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class Elsewhere(torch.Tensor):
    """A tensor that says it is on another device; `own` has its values."""

    @staticmethod
    def __new__(cls, own):
        found = torch.Tensor._make_wrapper_subclass(
            cls, own.size(), own.stride(), own.storage_offset(), dtype=own.dtype, device=NAME
        )
        found.own = own
        return found

    def __repr__(self):
        return f"Elsewhere({self.own!r})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def run(func, args, kwargs):
    """Carry out an operation where it belongs; AssertionError when its tensors lie in two places."""
    asked = kwargs.get("device")
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = any(isinstance(t, Elsewhere) for t in tensors)
    if there and func not in (*COPIES, *INDEXED):
        mixed = [t for t in tensors if not isinstance(t, Elsewhere) and t.ndim > 0]
        assert not mixed, f"{func} mixes a CPU tensor {list(mixed[0].shape)} with those elsewhere"
    args, kwargs = tree_map_only(Elsewhere, lambda t: t.own, (args, kwargs))
    if asked is not None:
        there = torch.device(asked) == NAME
        kwargs = {**kwargs, "device": torch.device("cpu")}
    elif func is torch.ops.aten.copy_.default:
        there = isinstance(tensors[0], Elsewhere)
    found = func(*args, **kwargs)
    if func._schema.is_mutable and not func._schema.name.endswith("_to_copy"):
        return tensors[0]
    return tree_map_only(torch.Tensor, Elsewhere, found) if there else found


class _Made(TorchDispatchMode):
    """Tensors that are made by name of the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


class _Read(TorchFunctionMode):
    """What reads or makes values without an operation that could be seen."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.tensor and kwargs.get("device") == NAME:
            return torch.tensor(*args, **{**kwargs, "device": "cpu"}).to(NAME)
        if func is torch.Tensor.tolist and isinstance(args[0], Elsewhere):
            return args[0].own.tolist()
        return func(*args, **kwargs)


@contextmanager
def another_device():
    """Let `meta` be a device with values in it."""
    with ExitStack() as modes:
        for mode in (_Read(), _Made()):
            modes.enter_context(mode)
        yield NAME
