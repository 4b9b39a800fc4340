"""Seconds are booked once, to the innermost part, and add up to the time on the clock."""

import pytest

from semipose.timing import TimeAccount, each, timed


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_part_inside_another_is_taken_out_of_it(clock):
    with TimeAccount(clock=clock) as account:
        clock.now += 1
        with timed("students"):
            clock.now += 2
            with timed("views"):
                clock.now += 4
            clock.now += 8
        clock.now += 16
    assert account.take() == {"students": 10, "views": 4, "other": 17}


def test_take_books_what_is_open_and_starts_anew(clock):
    with TimeAccount(clock=clock) as account, timed("loading"):
        clock.now += 1
        assert account.take() == {"loading": 1, "other": 0}
        clock.now += 5
        assert account.take() == {"loading": 5, "other": 0}


def test_a_part_that_raises_ends(clock):
    with TimeAccount(clock=clock) as account:
        with pytest.raises(KeyError), timed("students"):
            clock.now += 1
            raise KeyError
        clock.now += 2
    assert account.take() == {"students": 1, "other": 2}


def test_a_decorated_function_is_booked_at_each_call(clock):
    @timed("views")
    def work(depth: int) -> None:
        clock.now += 1
        if depth:
            work(depth - 1)

    with TimeAccount(clock=clock) as account:
        work(2)
    assert account.take() == {"views": 3, "other": 0}


def test_waiting_for_items_is_booked_and_their_use_is_not(clock):
    def items():
        for item in range(3):
            clock.now += 10
            yield item
        clock.now += 5

    with TimeAccount(clock=clock) as account:
        for _ in each("loading", items()):
            clock.now += 1
    assert account.take() == {"loading": 35, "other": 3}


def test_without_an_account_nothing_is_booked(clock):
    with timed("views"):
        clock.now += 1
    assert list(each("loading", [1, 2])) == [1, 2]
    with TimeAccount(clock=clock) as account:
        pass
    assert account.take() == {"other": 0}


def test_the_device_is_waited_for_at_each_change(clock):
    def wait() -> None:
        clock.now += 1  # the rest of what was queued

    with TimeAccount(wait, clock) as account:
        with timed("students"):
            pass
        with timed("backward"):
            pass
    assert account.take() == {"students": 1, "backward": 1, "other": 3}


def test_there_is_one_account():
    with TimeAccount(), pytest.raises(RuntimeError), TimeAccount():
        pass
    with TimeAccount():
        pass
