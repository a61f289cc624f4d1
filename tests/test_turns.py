"""Turns: one at a time, first come first served, an end to the line, and people who leave."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from chat.turns import Busy, Left, Turns


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as threads:
        yield threads


def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do; a test that hangs here has failed."""
    for _ in range(5000):
        if true():
            return
        time.sleep(0.001)
    raise AssertionError("it never came to be")


class Held:
    """A slot that somebody holds until `let_go`."""

    def __init__(self, pool: ThreadPoolExecutor, turns: Turns) -> None:
        self._end = threading.Event()
        before = turns.running
        self._done: Future[None] = pool.submit(self._hold, turns)
        until(lambda: turns.running > before)

    def _hold(self, turns: Turns) -> None:
        with turns.turn():
            self._end.wait(10)

    def let_go(self) -> None:
        self._end.set()
        self._done.result(10)


def test_a_free_slot_is_taken_at_once_and_given_back() -> None:
    turns = Turns()
    with turns.turn(on_wait=lambda place, length: pytest.fail("nobody waits here")):
        assert (turns.running, turns.waiting) == (1, 0)
    assert (turns.running, turns.waiting) == (0, 0)


def test_an_error_gives_the_slot_back() -> None:
    turns = Turns()
    with pytest.raises(KeyError), turns.turn():
        raise KeyError
    with turns.turn():
        pass


def test_never_more_than_allowed_and_in_order(pool: ThreadPoolExecutor) -> None:
    turns = Turns(waiting=30)
    held = Held(pool, turns)
    order: list[int] = []
    most: list[int] = []

    def compute(number: int) -> None:
        with turns.turn():
            most.append(turns.running)
            order.append(number)

    waiting = []
    for number in range(20):
        waiting.append(pool.submit(compute, number))
        until(lambda number=number: turns.waiting == number + 1)  # type: ignore[misc]
    held.let_go()
    for future in waiting:
        future.result(10)
    assert order == list(range(20))
    assert set(most) == {1}
    assert (turns.running, turns.waiting) == (0, 0)


def test_many_at_once(pool: ThreadPoolExecutor) -> None:
    turns = Turns(at_once=3, waiting=30)
    together = threading.Barrier(3)

    def compute() -> int:
        with turns.turn():
            together.wait(10)  # breaks unless three are inside
            return turns.running

    assert max(f.result(10) for f in [pool.submit(compute) for _ in range(12)]) <= 3


def test_the_line_has_an_end(pool: ThreadPoolExecutor) -> None:
    turns = Turns(waiting=1)
    held = Held(pool, turns)
    entered = turns.turn()
    second = pool.submit(entered.__enter__)
    until(lambda: turns.waiting == 1)
    with pytest.raises(Busy, match=r"1 computing, 1 waiting"), turns.turn():
        pass
    assert turns.waiting == 1
    held.let_go()
    second.result(10)
    assert turns.running == 1
    entered.__exit__(None, None, None)


def test_no_line_at_all(pool: ThreadPoolExecutor) -> None:
    turns = Turns(waiting=0)
    held = Held(pool, turns)
    with pytest.raises(Busy), turns.turn():
        pass
    held.let_go()
    with turns.turn():
        pass


def test_who_does_not_want_it_any_more_leaves_the_line(pool: ThreadPoolExecutor) -> None:
    turns = Turns()
    held = Held(pool, turns)
    gone = threading.Event()
    places: list[tuple[int, int]] = []

    def compute(stopped: Callable[[], bool], on_wait: Callable[[int, int], object]) -> None:
        with turns.turn(stopped, on_wait):
            pass

    first = pool.submit(compute, gone.is_set, lambda place, length: None)
    until(lambda: turns.waiting == 1)
    second = pool.submit(compute, lambda: False, lambda place, length: places.append((place, length)))
    until(lambda: places == [(2, 2)])
    gone.set()
    with pytest.raises(Left):
        first.result(10)
    until(lambda: places == [(2, 2), (1, 1)])
    held.let_go()
    second.result(10)
    assert (turns.running, turns.waiting) == (0, 0)


def test_a_place_is_told_once_until_it_changes(pool: ThreadPoolExecutor) -> None:
    turns = Turns()
    held = Held(pool, turns)
    places: list[tuple[int, int]] = []

    def compute(on_wait: Callable[[int, int], object] | None) -> None:
        with turns.turn(on_wait=on_wait):
            pass

    first = pool.submit(compute, lambda place, length: places.append((place, length)))
    until(lambda: places == [(1, 1)])
    second = pool.submit(compute, None)
    until(lambda: places == [(1, 1), (1, 2)])
    held.let_go()
    first.result(10)
    second.result(10)
    assert places == [(1, 1), (1, 2)]


def test_a_listener_that_fails_leaves_the_line(pool: ThreadPoolExecutor) -> None:
    turns = Turns()
    held = Held(pool, turns)

    def fails(place: int, length: int) -> None:
        raise OSError("the other side hung up")

    with pytest.raises(OSError), turns.turn(on_wait=fails):
        pass
    assert turns.waiting == 0
    held.let_go()


def test_a_turn_may_end_in_another_thread(pool: ThreadPoolExecutor) -> None:
    turns = Turns()

    def pieces() -> Iterator[int]:
        with turns.turn():
            yield 1
            yield 2

    said = pieces()
    assert pool.submit(next, said).result(10) == 1
    assert turns.running == 1
    assert next(said) == 2
    said.close()  # type: ignore[attr-defined]
    assert turns.running == 0


@pytest.mark.parametrize(("at_once", "waiting"), [(0, 1), (-1, 1), (1, -1)])
def test_impossible_numbers(at_once: int, waiting: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        Turns(at_once, waiting)
