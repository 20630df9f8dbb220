"""Models that were fitted here: kept by the server for a while, seen only by the browser that fitted them."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from dashboard.uploads import OpenSet
from fusion_core.errors import CallError
from fusion_core.reading.texts import quoted

KEPT_PER_BROWSER, KEPT_IN_ALL = 4, 64
LONGEST_NAME = 40
_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_NAME}}}", re.ASCII)


@dataclass(frozen=True)
class OwnBundle:
    """A fitted model of one browser and what leads to the records it was fitted on.

    records: the operator's folder. link: of an upload or of `opened`, the part of a log; of the three one is there.
    """

    folder: Path
    records: Path | None = None
    link: str = ""
    opened: OpenSet | None = None

    @property
    def name(self) -> str:
        """What the picker shows."""
        return self.folder.name


def checked_name(name: str) -> str:
    """Return the name of a new bundle; raises CallError for one that is more than a plain word."""
    if not _NAME.fullmatch(name):
        given = quoted(name) if name else "nothing"
        raise CallError(
            f"{given} cannot name a bundle; a name has 1 to {LONGEST_NAME} of: letters a to z, digits, dash, underscore"
        )
    return name


class Bundles:
    """Bundles of all browsers in one temporary folder, removed with the server; each browser sees only its own.

    A browser's oldest goes when it has too many, the oldest of all when all together have.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fusion-lens-fit-", ignore_cleanup_errors=True)
        self._kept: dict[tuple[str, Path], OwnBundle] = {}
        self._lock = threading.Lock()

    @property
    def root(self) -> Path:
        """The folder under which everything lies."""
        return Path(self._folder.name)

    def room(self, owner: str, name: str, taken: Collection[str]) -> Path:
        """Return a folder, not yet there, for a bundle of this name; one that the owner sees already gets a number."""
        taken = {*taken, *(kept.name for kept in self.of(owner))}
        free, number = name, 2
        while free in taken:
            free, number = f"{name[: LONGEST_NAME - 4]}-{number}", number + 1
        folder = self.root / "bundles" / secrets.token_hex(8)
        folder.mkdir(parents=True, mode=0o700)
        return folder / free

    def keep(self, owner: str, bundle: OwnBundle) -> None:
        """Show a bundle to its owner from now on, and let go of what is too much."""
        with self._lock:
            self._kept[owner, bundle.folder] = bundle
            own = [key for key in self._kept if key[0] == owner]
            gone = own[: max(0, len(own) - KEPT_PER_BROWSER)]
            gone += [key for key in self._kept if key not in gone][: max(0, len(self._kept) - len(gone) - KEPT_IN_ALL)]
            for key in gone:
                del self._kept[key]
        for _, folder in gone:
            self.drop(folder)

    def drop(self, folder: Path) -> None:
        """Remove what was written into a room."""
        shutil.rmtree(folder.parent, ignore_errors=True)

    def of(self, owner: str) -> list[OwnBundle]:
        """Return the owner's bundles, the oldest first."""
        with self._lock:
            return [bundle for (other, _), bundle in self._kept.items() if other == owner]

    def link(self, owner: str, folder: Path) -> str:
        """Return what leads to the records that the owner's bundle was fitted on, "" where nothing does."""
        return next((bundle.link for bundle in self.of(owner) if bundle.folder == folder), "")

    def set_of(self, owner: str, link: str) -> OpenSet | None:
        """Return the part of a log that a bundle of the owner was fitted on, by its link."""
        return next((b.opened for b in self.of(owner) if b.opened is not None and link and b.link == link), None)
