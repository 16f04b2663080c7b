"""Slots are given in line, none is lost to who is cancelled, and few are there until a call came back."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from orchestrator.slots import AT_FIRST, Slots


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Users:
    """Tasks that take a slot, and keep it until they are told."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.inside: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.leave: list[asyncio.Event] = []

    async def enter(self, number: int = 1) -> None:
        for _ in range(number):
            self.leave.append(asyncio.Event())
            self.tasks.append(asyncio.create_task(self._use(len(self.tasks))))
        await settle()

    async def _use(self, name: int) -> None:
        if not self.slots.take():
            await self.slots.wait()
        self.inside.append(name)
        try:
            await self.leave[name].wait()
        finally:
            self.inside.remove(name)
            self.slots.give()

    async def end(self) -> None:
        for event in self.leave:
            event.set()
        for task in self.tasks:
            with suppress(asyncio.CancelledError):
                await task


async def test_who_waits_is_served_in_line() -> None:
    users = Users(Slots(2))
    await users.enter(5)
    assert users.inside == [0, 1]
    users.leave[1].set()
    await settle()
    assert users.inside == [0, 2]
    users.leave[0].set()
    users.leave[2].set()
    await settle()
    assert users.inside == [3, 4]
    await users.end()


async def test_who_is_cancelled_in_line_is_passed_over() -> None:
    users = Users(Slots(1))
    await users.enter(3)
    users.tasks[1].cancel()
    users.leave[0].set()
    await settle()
    assert users.inside == [2]
    await users.end()


async def test_a_slot_that_was_given_to_who_is_cancelled_is_the_next_ones() -> None:
    users = Users(Slots(1))
    await users.enter(3)
    users.leave[0].set()
    await asyncio.sleep(0)  # the first one leaves, and the second has its turn, and does not know of it yet
    users.tasks[1].cancel()
    await settle()
    assert users.inside == [2]
    await users.end()


async def test_all_slots_are_there_when_a_call_came_back() -> None:
    users = Users(Slots(AT_FIRST + 6))
    await users.enter(AT_FIRST + 9)
    assert len(users.inside) == AT_FIRST
    users.slots.came_back()
    users.slots.came_back()
    await settle()
    assert len(users.inside) == AT_FIRST + 6
    await users.end()


@pytest.mark.parametrize("seed", range(5))
async def test_no_slot_is_lost_or_found_whatever_happens(seed: int) -> None:
    chance = random.Random(seed)
    users = Users(Slots(3))
    for _ in range(200):
        what = chance.random()
        if what < 0.5:
            await users.enter()
        elif users.tasks and what < 0.75:
            chance.choice(users.tasks).cancel()
        elif users.leave:
            chance.choice(users.leave).set()
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        assert len(users.inside) <= 3
    await users.end()
    again = Users(users.slots)
    await again.enter(4)
    assert len(again.inside) == 3
    await again.end()
