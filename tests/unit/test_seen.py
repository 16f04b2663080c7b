"""What need not be called again, against the sets of Python; the rest of what `Seen` does is in test_run."""

from __future__ import annotations

import random
import sys

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.model import Target
from orchestrator.seen import Keys, Seen

KEY = st.integers(0, 2**64 - 1) | st.integers(0, 4).map(lambda n: n * 256 * 8)  # some that want the same place
NAME = st.text("ab/\0\ud800", max_size=3)


def target(service: str, connection: str, name: str) -> Target:
    return Target(service, connection, name, {})


@given(st.lists(st.tuples(st.booleans(), KEY), max_size=200))
def test_keys_are_a_set(steps: list[tuple[bool, int]]) -> None:
    keys, plain = Keys(), set[int]()
    for adds, key in steps:
        key = key or 1  # 0 and 1 are the same one
        if adds:
            assert keys.add(key) is (key not in plain)
            plain.add(key)
        assert (key in keys) is (key in plain)


def test_many_keys_are_a_set_in_sixteen_bytes_each() -> None:
    chance = random.Random(1)
    plain = {chance.getrandbits(64) for _ in range(100_000)}
    keys = Keys()
    assert all(keys.add(key) for key in plain)
    assert not any(keys.add(key) for key in plain)
    assert not any(chance.getrandbits(64) in keys for _ in range(100_000))
    assert sum(map(sys.getsizeof, keys._tables)) < 100_000 * 25


def test_nothing_is_taken_for_a_free_place() -> None:
    keys = Keys()
    assert 0 not in keys
    assert keys.add(0)
    assert 0 in keys
    assert not keys.add(0)


@given(st.lists(st.tuples(st.booleans(), NAME, NAME, NAME), max_size=30))
def test_a_target_is_taken_up_once_and_never_when_it_is_done(steps: list[tuple[bool, str, str, str]]) -> None:
    seen, done, taken, twice = Seen(), set[tuple[str, ...]](), set[tuple[str, ...]](), 0
    for is_done, service, connection, name in steps:
        service, connection = service.replace("\0", ""), connection.replace("\0", "")  # as names of these are
        identity = (service, connection, name)
        if is_done:
            seen.note_done(*identity)
            done.add(identity)
        twice += identity in taken and identity not in done
        assert seen.take(target(*identity)) is (identity not in done | taken)
        taken |= {identity} - done
    assert seen.twice == twice


@given(st.lists(NAME, max_size=30), st.lists(NAME, max_size=5))
def test_a_second_reading_takes_what_the_first_one_took(names: list[str], done: list[str]) -> None:
    first = Seen()
    taken = [first.take(target("s", "c", name)) for name in names]
    second = first.second(())
    assert [second.take(target("s", "c", name)) for name in names] == taken
    assert second.twice == first.twice
    resumed = first.second(())
    for name in done:
        resumed.note_done("s", "c", name)
    again = [resumed.take(target("s", "c", name)) for name in names]
    assert again == [took and name not in done for took, name in zip(taken, names, strict=True)]


def test_a_second_reading_remembers_only_what_was_there_twice() -> None:
    first = Seen()
    for name in ("a", "b", "b"):
        first.take(target("s", "c", name))
    second = first.second(())
    assert [second.take(target("s", "c", name)) for name in ("a", "a", "b", "b")] == [True, True, True, False]


def test_what_must_not_be_called_twice_is_remembered_in_every_reading() -> None:
    second = Seen().second(("once",))
    assert [second.take(target(service, "c", "a")) for service in ("once", "s", "once", "s")] == [
        True,
        True,
        False,
        True,
    ]
