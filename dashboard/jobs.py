"""Long work behind the screen: it goes on while its owner looks elsewhere or reloads, and can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal

from dashboard.turns import Turns
from fusion_core.errors import FusionError

State = Literal["waiting", "running", "done", "stopped", "failed"]
KEPT_PER_BROWSER = 8
UNEXPECTED = "The work ended unexpectedly; the server's log says why."


class Stopped(Exception):
    """Raised inside the work when its owner stopped it."""


@dataclass
class Job:
    """One piece of work. latest: what it told last; ahead: heavy jobs before it in line; said: why it failed."""

    name: str
    state: State = "waiting"
    latest: Any = None
    ahead: int = 0
    said: str = ""
    started: float = field(default_factory=time.monotonic)
    _stop: threading.Event = field(default_factory=threading.Event)
    _pass_on: Callable[[], None] = field(default=lambda: None)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self.state in ("done", "stopped", "failed")

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ask the work to stop at its next step; what it told by then is kept."""
        self._stop.set()

    def tell(self, latest: Any) -> None:
        """Keep what is known by now and let those go ahead who wait; raises Stopped when the owner wants no more."""
        self.latest = latest
        if self._stop.is_set():
            raise Stopped
        self._pass_on()

    def keep(self, latest: Any) -> bool:
        """Do what `tell` does for work that ends by itself: return False, and raise nothing, when it should end."""
        try:
            self.tell(latest)
        except Stopped:
            return False
        return True

    def wait(self, ahead: int) -> None:
        """Note the place in line; raises Stopped when the owner gave up waiting."""
        self.ahead = ahead
        if self._stop.is_set():
            raise Stopped


Work = Callable[[Job], Any]


class Jobs:
    """Jobs by owner and name; safe between the threads of several sessions. An owner never sees another's."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._kept: dict[tuple[str, str], Job] = {}
        self._lock = threading.Lock()

    def start(self, owner: str, name: str, work: Work) -> Job:
        """Start work in its turn, unless the owner's job of that name is still under way; return the job.

        What the work returns becomes `latest`. Work begins when no other heavy job runs, and gives its turn away each
        time it tells something while others wait.
        """
        with self._lock:
            known = self._kept.get((owner, name))
            if known is not None and not known.ended:
                return known
            self._kept.pop((owner, name), None)
            job = self._kept[owner, name] = Job(name)
            own = [key for key, kept in self._kept.items() if key[0] == owner and kept.ended]
            for oldest in own[: max(0, len(own) - KEPT_PER_BROWSER)]:
                del self._kept[oldest]
        threading.Thread(target=self._run, args=(job, work), daemon=True).start()
        return job

    def find(self, owner: str, name: str) -> Job | None:
        """Return the owner's job of that name, None without one."""
        with self._lock:
            return self._kept.get((owner, name))

    def _run(self, job: Job, work: Work) -> None:
        try:
            with ExitStack() as turn:
                turn.enter_context(self._turns.take(job.wait))

                def pass_on() -> None:
                    if self._turns.others_wait():
                        turn.close()
                        turn.enter_context(self._turns.take(job.wait))
                        job.ahead = 0

                job.ahead, job.state, job.started, job._pass_on = 0, "running", time.monotonic(), pass_on
                job.latest = work(job)
            job.state = "done"
        except Stopped:
            job.state = "stopped"
        except FusionError as error:
            job.said, job.state = str(error), "failed"
        except Exception:
            job.said, job.state = UNEXPECTED, "failed"
            raise
