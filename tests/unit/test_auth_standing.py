"""What several lanes that share a credential learn from each other, with a fake credential and a fake service."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable, Mapping

import pytest

from orchestrator.auth import CredentialRefused, Standing
from orchestrator.auth.none import none
from orchestrator.model import Request

REQUEST = Request("GET", "https://h.example", "/")


class Badge:
    """A credential whose generations are numbers; it counts its renewals and makes each take a while."""

    def __init__(self, generation: int = 1, renewable: bool = True) -> None:
        self.generation = generation
        self.renewable = renewable
        self.renewals = 0
        self._lock = asyncio.Lock()

    @property
    def identity(self) -> Hashable:
        return self

    async def headers(self, request: Request) -> Mapping[str, str]:
        return {"Badge": str(self.generation)}

    async def renew(self, generation: int) -> bool:
        async with self._lock:
            if self.renewable and generation == self.generation:
                await asyncio.sleep(0)
                self.renewals += 1
                self.generation += 1
        return self.renewable

    def secrets(self) -> list[str]:
        return ["hunter2"]

    async def close(self) -> None:
        """Nothing was issued."""


class Service:
    """Lets in the generations it knows, and watches how many calls are under way at once."""

    def __init__(self, *welcome: int) -> None:
        self.welcome = set(welcome)
        self.calls: Counter[int] = Counter()
        self.under_way = 0
        self.most = 0
        self.ticks = 3

    async def answer(self, generation: int) -> int:
        self.calls[generation] += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        for _ in range(self.ticks):
            await asyncio.sleep(0)
        self.under_way -= 1
        return 200 if generation in self.welcome else 401


async def call(standing: Standing, badge: Badge, service: Service) -> str:
    """Do what the connector does with one call, and say how it ended."""
    while True:
        async with standing.turn():
            if standing.refused is not None:
                return "refused"
            await badge.headers(REQUEST)
            generation = badge.generation
            if await service.answer(generation) == 200:
                standing.worked(generation)
                return "done"
            if not await standing.rejected(generation, "go away"):
                return "refused"


async def calls(standing: Standing, badge: Badge, service: Service, number: int = 50) -> Counter[str]:
    return Counter(await asyncio.gather(*(call(standing, badge, service) for _ in range(number))))


async def test_one_call_goes_first_and_the_others_follow_together() -> None:
    badge, service = Badge(), Service(1)
    service.ticks = 100  # longer than it takes to let fifty through, as real calls are
    standing = Standing(badge)
    pioneer = asyncio.create_task(call(standing, badge, service))
    crowd = asyncio.create_task(calls(standing, badge, service))
    while not standing.proven:
        assert service.most <= 1
        await asyncio.sleep(0)
    assert await pioneer == "done"
    assert await crowd == {"done": 50}
    assert service.most > 40


async def test_a_wrong_key_is_tried_once_by_fifty_calls() -> None:
    badge, service = Badge(renewable=False), Service()
    standing = Standing(badge)
    assert await calls(standing, badge, service) == {"refused": 50}
    assert service.calls == {1: 1}
    assert standing.refused == "go away"


async def test_fifty_refusals_of_a_credential_that_worked_make_one_renewal() -> None:
    badge, service = Badge(), Service(1, 2)
    standing = Standing(badge)
    assert await call(standing, badge, service) == "done"
    service.welcome = {2}
    assert await calls(standing, badge, service) == {"done": 50}
    assert badge.renewals == 1
    assert service.calls == {1: 51, 2: 50}


async def test_a_fresh_credential_that_is_refused_before_it_worked_is_refused_for_good() -> None:
    badge, service = Badge(), Service(1)
    standing = Standing(badge)
    assert await call(standing, badge, service) == "done"
    service.welcome.clear()
    assert await calls(standing, badge, service) == {"refused": 50}
    assert badge.renewals == 1
    assert service.calls == {1: 51, 2: 1}
    assert standing.refused == "go away"


async def test_a_new_generation_goes_through_the_gate_again() -> None:
    badge, service = Badge(), Service(1, 2)
    standing = Standing(badge)
    assert await call(standing, badge, service) == "done"
    await badge.renew(1)
    assert not standing.is_open()
    before = service.calls.total()
    crowd = asyncio.create_task(calls(standing, badge, service))
    while not standing.proven:
        assert service.calls.total() - before <= 1
        await asyncio.sleep(0)
    assert await crowd == {"done": 50}


async def test_a_key_that_cannot_be_renewed_is_refused_at_the_first_401_although_it_worked() -> None:
    standing = Standing(Badge(renewable=False))
    standing.worked(1)
    assert await standing.rejected(1, "revoked") is False
    assert standing.refused == "revoked"


async def test_a_401_to_a_call_that_began_before_the_renewal_renews_nothing() -> None:
    badge = Badge(generation=2)
    standing = Standing(badge)
    assert await standing.rejected(1, "expired") is True
    assert badge.renewals == 0
    assert standing.refused is None


async def test_a_late_success_of_the_old_generation_proves_nothing_of_the_new_one() -> None:
    badge = Badge()
    standing = Standing(badge)
    standing.worked(1)
    assert await standing.rejected(1, "expired") is True
    standing.worked(1)
    assert not standing.proven
    assert await standing.rejected(2, "still no") is False


async def test_after_a_refusal_nothing_is_renewed_and_the_first_message_stays() -> None:
    badge = Badge()
    standing = Standing(badge)
    assert await standing.rejected(1, "first") is False
    badge.generation = 5
    assert await standing.rejected(1, "second") is False
    standing.refuse("third")
    assert standing.refused == "first"
    assert badge.renewals == 0


async def test_a_refusal_met_while_making_the_headers_stops_every_lane() -> None:
    standing = Standing(Badge())
    with pytest.raises(CredentialRefused):
        async with standing.turn():
            raise CredentialRefused("wrong password", "IAM.0062")
    assert standing.refused == "wrong password"
    async with standing.turn():
        assert standing.is_open()


async def test_the_message_of_a_refusal_is_scrubbed() -> None:
    standing = Standing(Badge())
    await standing.rejected(1, "wrong: hunter2")
    assert standing.refused == "wrong: [secret]"


async def test_a_call_that_proves_nothing_lets_the_next_one_through() -> None:
    standing = Standing(Badge())
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with standing.turn():
                raise TimeoutError
    assert not standing.proven
    assert standing.refused is None


async def test_a_cancelled_call_frees_the_gate_whether_it_waits_or_holds_it() -> None:
    standing = Standing(Badge())

    async def linger() -> None:
        async with standing.turn():
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(linger()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in reversed(tasks):
        task.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True))
    async with asyncio.timeout(1), standing.turn():
        assert not standing.proven


async def test_no_credential_needs_no_proof_and_a_401_ends_it() -> None:
    standing = Standing(none())
    assert standing.proven
    assert await standing.rejected(0, "log in first") is False
    assert standing.refused == "log in first"
