"""One heavy job at a time."""

from __future__ import annotations

import threading

import pytest

from dashboard.turns import Turns


def test_jobs_run_one_by_one_in_the_order_they_came() -> None:
    turns, order, waited = Turns(), [], []
    first_in, let_go = threading.Event(), threading.Event()

    def first() -> None:
        with turns.take():
            first_in.set()
            let_go.wait(5)
            order.append("first")

    def second() -> None:
        with turns.take(waited.append):
            order.append("second")

    one = threading.Thread(target=first)
    one.start()
    assert first_in.wait(5)
    two = threading.Thread(target=second)
    two.start()
    while not waited:
        pass
    let_go.set()
    one.join(5)
    two.join(5)
    assert order == ["first", "second"]
    assert set(waited) == {1}


def leave(ahead: int) -> None:
    raise KeyboardInterrupt


def test_a_job_that_fails_or_leaves_the_line_frees_it() -> None:
    turns = Turns()
    with pytest.raises(RuntimeError), turns.take():
        raise RuntimeError
    with turns.take(), pytest.raises(KeyboardInterrupt), turns.take(leave):
        raise AssertionError("it was not its turn")
    with turns.take(lambda ahead: pytest.fail("the line is not empty")):
        pass
