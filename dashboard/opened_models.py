"""The models that are open, at most so many: the one whose last use is longest ago makes room for the next."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable

from fusion_core.model import FusedModel


class OpenedModels:
    """Models by the folder they came from, shared by all sessions.

    Room is made before a model is loaded, not after, and one is loaded at a time: no more than `most` are kept in
    memory at any moment. A session that is at work with a dropped model goes on with it; nobody finds it again, and
    when the last of them has finished it is gone, at the next opening at the latest.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: OrderedDict[str, FusedModel] = OrderedDict()
        self._lock, self._opening = threading.Lock(), threading.Lock()

    def get(self, folder: str, open_it: Callable[[], FusedModel]) -> FusedModel:
        """Return a model, opened by `open_it` where it is not; whoever waits for one that is open waits for nobody."""
        if (known := self.find(folder)) is not None:
            return known
        with self._opening:
            if (known := self.find(folder)) is not None:  # another session was ahead
                return known
            if self._make_room():
                _settle()
            loaded = open_it()
            with self._lock:
                self._kept[folder] = loaded
            _settle()
        return loaded

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of the models that are open, the one used longest ago first."""
        with self._lock:
            return tuple(self._kept)

    def find(self, folder: str) -> FusedModel | None:
        """Return a model that is open, which is then the one used last; None where it is not."""
        with self._lock:
            if folder in self._kept:
                self._kept.move_to_end(folder)
            return self._kept.get(folder)

    def _make_room(self) -> bool:
        """Forget those used longest ago until one more is not too many; return whether there were any."""
        with self._lock:
            crowded = len(self._kept) >= self.most
            while len(self._kept) >= self.most:
                self._kept.popitem(last=False)
        return crowded


def _settle() -> None:
    """Collect what was dropped, then keep the collector from walking what is loaded at every run of a script.

    What is frozen is never collected: the circles of references in a dropped model would stay for good.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
