"""Which targets need no call any more, in about 16 bytes each: a set of digests would take a hundred.

The first reading of the lists remembers every target; the one for real only those that were there twice.

A target is known by 8 bytes of a salted BLAKE2b. That two of a million targets share them, so that one of the two
would be taken for done, happens in one of some 37 million such runs; of ten million, in one of 370,000. The salt is
new in every process, so that nobody can write a list in which they do.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Collection

from orchestrator.model import Target

PARTS = 256  # tables, so that one that grows takes a millisecond and not a third of a second
FEWEST = 8  # places in a table; always a power of two
FULL = 2 / 3  # of the places: then the table is made twice as large


class Seen:
    """The identities that need no call any more: done in an earlier part of the run, or taken up in this one.

    `twice` counts the targets that were offered again after they had been taken up.
    """

    def __init__(self) -> None:
        self.twice = 0
        self._hash = hashlib.blake2b(digest_size=8, salt=os.urandom(hashlib.blake2b.SALT_SIZE))
        self._unchecked: dict[int, str] = {}
        self._done = Keys()
        self._taken = Keys()
        self._suspects = Keys()  # what an earlier part of the run was refused for ...
        self._failed = Keys()  # ... and what it did not end
        self._again = Keys()  # what was offered more than once
        self._only: Keys | None = None
        self._always: Collection[str] = ()

    def second(self, always: Collection[str]) -> Seen:
        """Return what a second reading of the same rows needs: to remember those alone that were offered twice.

        Of the services in `always` it remembers every target, because their calls must not be made twice, not even
        where a list changes between the readings.
        """
        second = Seen()
        second._hash, second._only, second._always = self._hash, self._again, always
        return second

    def note_done(self, service: str, connection: str, target: str) -> None:
        """Note a target that an earlier part of the run is done with."""
        self._done.add(self._key(service, connection, target))

    def note_suspect(self, service: str, connection: str, target: str) -> None:
        """Note a target for which an earlier part of the run was refused."""
        self._suspects.add(self._key(service, connection, target))

    def suspects(self, target: Target) -> bool:
        """Return whether an earlier part of the run was refused for a target."""
        return bool(self._suspects) and self._key(target.service, target.connection, target.id) in self._suspects

    def note_failed(self, service: str, connection: str, target: str) -> None:
        """Note a target that an earlier part of the run called, and did not end."""
        self._failed.add(self._key(service, connection, target))

    @property
    def some_failed(self) -> bool:
        """Return whether an earlier part of the run called something that it did not end."""
        return bool(self._failed)

    def failed(self, target: Target) -> bool:
        """Return whether an earlier part of the run called a target, and did not end it."""
        return bool(self._failed) and self._key(target.service, target.connection, target.id) in self._failed

    def note_unchecked(self, service: str, connection: str, target: str, record: str) -> None:
        """Note a target that an earlier part of the run called, with its line so far, and did not look at."""
        self._unchecked[self._key(service, connection, target)] = record

    def unchecked(self, target: Target) -> str | None:
        """Return the line of a target that is still to be looked at, once."""
        if not self._unchecked:
            return None
        return self._unchecked.pop(self._key(target.service, target.connection, target.id), None)

    def take(self, target: Target) -> bool:
        """Take a target up; False when that was done before."""
        only = self._only if target.service not in self._always else None
        if only is not None and not only and not self._done:
            return True
        key = self._key(target.service, target.connection, target.id)
        if self._done and key in self._done:
            return False
        if only is not None and key not in only:
            return True
        if not self._taken.add(key):
            self._again.add(key)
            self.twice += 1
            return False
        return True

    def _key(self, *parts: str) -> int:
        hashed = self._hash.copy()  # with the salt in it
        hashed.update("\0".join(parts).encode("utf-8", "surrogatepass"))
        return int.from_bytes(hashed.digest(), "little")


class Keys:
    """A set of numbers below 2 to the 64th that are spread evenly, as open addressing over plain arrays."""

    def __init__(self) -> None:
        self._tables = [_table(FEWEST) for _ in range(PARTS)]
        self._numbers = [0] * PARTS
        self._some = False

    def __bool__(self) -> bool:
        return self._some

    def __contains__(self, key: int) -> bool:
        key = key or 1  # 0 is a free place
        table = self._tables[key % PARTS]
        return table[_place(table, key)] == key

    def add(self, key: int) -> bool:
        """Add a number; False when it was there."""
        key = key or 1
        part = key % PARTS
        table = self._tables[part]
        place = _place(table, key)
        if table[place] == key:
            return False
        table[place] = key
        self._some = True
        self._numbers[part] += 1
        if self._numbers[part] > len(table) * FULL:
            self._tables[part] = _grown(table)
        return True


def _table(places: int) -> array[int]:
    return array("Q", bytes(8 * places))


def _place(table: array[int], key: int) -> int:
    """Return where a number is, or the free place where it belongs."""
    last = len(table) - 1
    place = key // PARTS & last
    while table[place] not in (0, key):
        place = place + 1 & last
    return place


def _grown(table: array[int]) -> array[int]:
    larger = _table(2 * len(table))
    for key in table:
        if key:
            larger[_place(larger, key)] = key
    return larger
