"""The reason to stop, and what waits for one."""

from __future__ import annotations

import asyncio
import time

import pytest

from orchestrator.stop import Stop

SHORT = 0.5  # seconds; what is to return at once has this long on a busy machine


async def test_the_first_reason_to_stop_stays() -> None:
    stop = Stop()
    assert not stop.is_set()
    stop.set("interrupted", 130)
    stop.set("the deadline has passed", 5)
    assert (stop.reason, stop.exit_code) == ("interrupted", 130)
    async with asyncio.timeout(SHORT):
        await stop.wait()


async def test_a_rest_lasts_as_long_as_it_should() -> None:
    began = time.monotonic()
    assert await Stop().rest(0.05)
    assert time.monotonic() - began >= 0.045


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_no_rest_is_none(seconds: float) -> None:
    async with asyncio.timeout(SHORT):
        assert await Stop().rest(seconds)


async def test_a_stop_ends_a_rest() -> None:
    stop = Stop()
    resting = asyncio.create_task(stop.rest(3600))
    await asyncio.sleep(0.01)
    stop.set("interrupted", 130)
    async with asyncio.timeout(SHORT):
        assert not await resting


async def test_a_branch_stops_with_the_whole_and_the_whole_goes_on_without_it() -> None:
    stop = Stop()
    first, second = stop.branch(), stop.branch()
    resting = asyncio.create_task(second.rest(3600))
    first.set("refused")
    assert (first.is_set(), second.is_set(), stop.is_set()) == (True, False, False)
    await asyncio.sleep(0.01)
    stop.set("interrupted", 130)
    async with asyncio.timeout(SHORT):
        assert not await resting
    assert (first.reason, second.reason) == ("refused", "interrupted")


async def test_a_branch_of_what_has_stopped_has_stopped() -> None:
    stop = Stop()
    stop.set("interrupted", 130)
    assert not await stop.branch().rest(3600)
