"""Long work goes on behind the screen, can be stopped, lets others in between, and is seen by its owner only."""

from __future__ import annotations

import threading
import time

from dashboard.jobs import UNEXPECTED, Jobs
from dashboard.turns import Turns
from fusion_core.errors import CallError


def ended(job, seconds=5.0):
    until = time.monotonic() + seconds
    while not job.ended and time.monotonic() < until:
        time.sleep(0.01)
    assert job.ended
    return job


def test_what_work_returns_is_kept_for_its_owner_alone():
    jobs = Jobs(Turns())
    job = ended(jobs.start("ana", "fit", lambda job: 42))
    assert (job.state, job.latest) == ("done", 42)
    assert jobs.find("ana", "fit") is job
    assert jobs.find("ben", "fit") is None


def test_a_job_that_is_under_way_is_not_started_twice():
    jobs, go = Jobs(Turns()), threading.Event()
    first = jobs.start("ana", "fit", lambda job: go.wait(5))
    assert jobs.start("ana", "fit", lambda job: None) is first
    go.set()
    ended(first)
    assert jobs.start("ana", "fit", lambda job: 1) is not first


def test_stopped_work_keeps_what_it_told():
    jobs, told = Jobs(Turns()), threading.Event()

    def work(job):
        for step in range(10_000):
            job.tell(step)
            told.set()
            time.sleep(0.001)

    job = jobs.start("ana", "compare", work)
    assert told.wait(5)
    job.stop()
    assert ended(job).state == "stopped"
    assert job.latest >= 0


def test_work_that_ends_by_itself_is_told_to_and_returns_what_is_done():
    jobs, told = Jobs(Turns()), threading.Event()

    def work(job):
        done = 0
        while job.keep(done):
            done += 1
            told.set()
            time.sleep(0.001)
        return f"{done} done"

    job = jobs.start("ana", "fit", work)
    assert told.wait(5)
    job.stop()
    assert ended(job).state == "done"
    assert job.latest.endswith(" done")


def test_work_that_gave_its_turn_away_can_still_end_by_itself():
    turns = Turns()
    jobs, going, go = Jobs(turns), threading.Event(), threading.Event()

    def work(job):
        while job.keep("under way"):
            going.set()
            time.sleep(0.001)
        return "what was done"

    job = jobs.start("ana", "fit", work)
    assert going.wait(5)
    other = jobs.start("ben", "fit", lambda job: go.wait(5))
    while other.state != "running":
        time.sleep(0.01)
    job.stop()
    assert ended(job).latest == "what was done"
    go.set()
    assert ended(other).state == "done"


def test_a_job_that_waits_says_its_place_and_can_give_up():
    turns = Turns()
    jobs, go = Jobs(turns), threading.Event()
    first = jobs.start("ana", "fit", lambda job: go.wait(5))
    while first.state != "running":
        time.sleep(0.01)
    second = jobs.start("ben", "fit", lambda job: 1)
    while not second.ahead:
        time.sleep(0.01)
    assert second.state == "waiting"
    assert second.ahead == 1
    second.stop()
    assert ended(second).state == "stopped"
    go.set()
    assert ended(first).state == "done"


def test_long_work_lets_short_work_in_between():
    turns = Turns()
    jobs, stop = Jobs(turns), threading.Event()

    def work(job):
        while not stop.is_set():
            job.tell(None)
            time.sleep(0.005)

    long = jobs.start("ana", "fit", work)
    while long.state != "running":
        time.sleep(0.01)
    with turns.take():
        pass  # would wait for ever if the long job never gave its turn away
    stop.set()
    assert ended(long).state == "done"


def test_failures_are_said_in_words(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda given: None)
    jobs = Jobs(Turns())

    def refused(job):
        raise CallError("no labelled record")

    def broken(job):
        raise ZeroDivisionError("secret")

    assert (ended(jobs.start("ana", "a", refused)).state, jobs.find("ana", "a").said) == (
        "failed",
        "no labelled record",
    )
    assert ended(jobs.start("ana", "b", broken)).said == UNEXPECTED
