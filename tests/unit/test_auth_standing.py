"""What several lanes that share a credential learn from each other, with a fake credential and a fake service."""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from collections.abc import Hashable, Mapping, Set

import pytest

from orchestrator.auth import Admission, Standing, standing
from orchestrator.auth.none import none
from orchestrator.model import Request

REQUEST = Request("GET", "https://h.example", "/")


class Badge:
    """A credential whose generations are numbers; it counts its renewals and makes each take a while."""

    def __init__(self, generation: int = 1, renewable: bool = True, locks: bool = True) -> None:
        self.generation = generation
        self.locks = locks
        self.renewable = renewable
        self.renewals = 0
        self.ready = True
        self._lock = asyncio.Lock()

    @property
    def identity(self) -> Hashable:
        return self

    project_id = ""

    async def obtain(self) -> None:
        """It is there."""

    def headers(self, request: Request) -> Mapping[str, str]:
        return {"Badge": str(self.generation)}

    async def renew(self, generation: int) -> bool:
        async with self._lock:
            if self.renewable and generation == self.generation:
                await asyncio.sleep(0)
                self.renewals += 1
                self.generation += 1
        return self.renewable

    def own(self) -> Mapping[str, Set[str]]:
        return {}

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


class Lane(Admission):
    """An admission with the standing behind it at hand."""

    def __init__(self, badge: Badge, standing: Standing | None = None) -> None:
        self.standing = standing or Standing(badge)
        super().__init__(badge, self.standing)


async def call(lane: Lane, badge: Badge, service: Service) -> str:
    """Do what a lane and its connector do with one call, and say how it ended."""
    while True:
        async with lane.turn():
            if lane.refused is not None:
                return "refused"
            badge.headers(REQUEST)
            generation = badge.generation
            if await service.answer(generation) == 200:
                lane.worked(generation)
                return "done"
            if not await lane.rejected(generation, "go away"):
                return "refused"


async def calls(lane: Lane, badge: Badge, service: Service, number: int = 50) -> Counter[str]:
    return Counter(await asyncio.gather(*(call(lane, badge, service) for _ in range(number))))


async def test_one_call_goes_first_and_the_others_follow_together() -> None:
    badge, service = Badge(), Service(1)
    service.ticks = 100  # longer than it takes to let fifty through, as real calls are
    lane = Lane(badge)
    pioneer = asyncio.create_task(call(lane, badge, service))
    crowd = asyncio.create_task(calls(lane, badge, service))
    while not lane.standing.proven:
        assert service.most <= 1
        await asyncio.sleep(0)
    assert await pioneer == "done"
    assert await crowd == {"done": 50}
    assert service.most > 40


async def test_a_wrong_key_is_tried_once_by_fifty_calls() -> None:
    badge, service = Badge(renewable=False), Service()
    lane = Lane(badge)
    assert await calls(lane, badge, service) == {"refused": 50}
    assert service.calls == {1: 1}
    assert lane.refused == "go away"


async def test_fifty_refusals_of_a_credential_that_worked_make_one_renewal() -> None:
    badge, service = Badge(), Service(1, 2)
    lane = Lane(badge)
    assert await call(lane, badge, service) == "done"
    service.welcome = {2}
    assert await calls(lane, badge, service) == {"done": 50}
    assert badge.renewals == 1
    assert service.calls == {1: 51, 2: 50}


async def test_a_fresh_credential_that_is_refused_before_it_worked_is_refused_for_good() -> None:
    badge, service = Badge(), Service(1)
    lane = Lane(badge)
    assert await call(lane, badge, service) == "done"
    service.welcome.clear()
    assert await calls(lane, badge, service) == {"refused": 50}
    assert badge.renewals == 1
    assert service.calls == {1: 51, 2: 1}
    assert lane.refused == "go away"


async def test_a_new_generation_goes_through_the_gate_again() -> None:
    badge, service = Badge(), Service(1, 2)
    lane = Lane(badge)
    assert await call(lane, badge, service) == "done"
    await badge.renew(1)
    assert not lane.standing.is_open()
    before = service.calls.total()
    crowd = asyncio.create_task(calls(lane, badge, service))
    while not lane.standing.proven:
        assert service.calls.total() - before <= 1
        await asyncio.sleep(0)
    assert await crowd == {"done": 50}


async def test_a_key_that_cannot_be_renewed_is_refused_at_the_first_401_although_it_worked() -> None:
    lane = Lane(Badge(renewable=False))
    lane.worked(1)
    assert await lane.rejected(1, "revoked") is False
    assert lane.refused == "revoked"


async def test_a_401_to_a_call_that_began_before_the_renewal_renews_nothing() -> None:
    badge = Badge(generation=2)
    lane = Lane(badge)
    assert await lane.rejected(1, "expired") is True
    assert badge.renewals == 0
    assert lane.refused is None


async def test_a_late_success_of_the_old_generation_proves_nothing_of_the_new_one() -> None:
    badge = Badge()
    lane = Lane(badge)
    lane.worked(1)
    assert await lane.rejected(1, "expired") is True
    lane.worked(1)
    assert not lane.standing.proven
    assert await lane.rejected(2, "still no") is False


async def test_after_a_refusal_nothing_is_renewed_and_the_first_message_stays() -> None:
    badge = Badge()
    lane = Lane(badge)
    assert await lane.rejected(1, "first") is False
    badge.generation = 5
    assert await lane.rejected(1, "second") is False
    lane.refuse("third")
    assert lane.refused == "first"
    assert badge.renewals == 0


async def test_the_message_of_a_refusal_is_scrubbed() -> None:
    lane = Lane(Badge())
    await lane.rejected(1, "wrong: hunter2")
    assert lane.refused == "wrong: [secret]"


async def test_a_call_that_proves_nothing_lets_the_next_one_through() -> None:
    lane = Lane(Badge())
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with lane.turn():
                raise TimeoutError
    assert not lane.standing.proven
    assert lane.refused is None


async def test_a_cancelled_call_frees_the_gate_whether_it_waits_or_holds_it() -> None:
    lane = Lane(Badge())

    async def linger() -> None:
        async with lane.turn():
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(linger()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in reversed(tasks):
        task.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True))
    async with asyncio.timeout(1), lane.turn():
        assert not lane.standing.proven


async def test_no_credential_needs_no_proof() -> None:
    assert Standing(none()).proven


# Several lanes


async def test_a_wrong_key_is_tried_once_by_all_lanes() -> None:
    badge, service = Badge(renewable=False), Service()
    first = Lane(badge)
    second = Lane(badge, first.standing)
    ends = tuple(await asyncio.gather(calls(first, badge, service), calls(second, badge, service)))
    assert ends == (Counter({"refused": 50}), Counter({"refused": 50}))
    assert service.calls == {1: 1}


@pytest.mark.parametrize(("renewable", "asked"), [(False, {1: 1}), (True, {1: 1, 2: 1})])
async def test_a_service_that_refuses_what_others_take_ends_its_own_lane_only(
    renewable: bool, asked: dict[int, int]
) -> None:
    badge, kind, stubborn = Badge(renewable=renewable), Service(1, 2, 3), Service()
    good = Lane(badge)
    bad = Lane(badge, good.standing)
    assert await call(good, badge, kind) == "done"
    assert await call(bad, badge, stubborn) == "refused"
    assert stubborn.calls == asked
    assert (good.refused, bad.refused) == (None, "go away")
    assert await calls(good, badge, kind) == {"done": 50}
    assert badge.renewals == int(renewable)


async def test_a_token_that_expires_again_and_again_is_renewed_again_and_again() -> None:
    badge, service = Badge(), Service(1)
    lane = Lane(badge)
    for generation in range(1, 5):
        service.welcome = {generation}
        assert await call(lane, badge, service) == "done"
    assert badge.renewals == 3


async def test_a_key_that_worked_here_and_is_refused_now_is_refused_everywhere() -> None:
    badge = Badge(renewable=False)
    here = Lane(badge)
    there = Lane(badge, here.standing)
    here.worked(1)
    assert await here.rejected(1, "revoked") is False
    assert there.refused == "revoked"


class Door:
    """What is closed; it keeps every reason."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def set(self, reason: str) -> None:
        self.reasons.append(reason)


def doors(*lanes: Admission) -> list[Door]:
    found = [Door() for _ in lanes]
    for lane, door in zip(lanes, found, strict=True):
        lane.close_when_refused(door)
    return found


async def test_every_lane_is_closed_when_the_credential_is_refused_and_a_later_one_at_once() -> None:
    here = Lane(Badge())
    closed = doors(here, Lane(Badge(), here.standing))
    here.refuse("wrong: hunter2")
    here.refuse("again")
    assert [door.reasons for door in closed] == [["wrong: [secret]"]] * 2
    assert doors(Lane(Badge(), here.standing))[0].reasons == ["wrong: [secret]"]


async def test_a_lane_whose_service_alone_refuses_is_the_only_one_that_is_closed() -> None:
    badge = Badge(renewable=False)
    good = Lane(badge)
    bad = Lane(badge, good.standing)
    closed = doors(good, bad)
    good.worked(1)
    assert await bad.rejected(1, "go away") is False
    assert [door.reasons for door in [*closed, *doors(bad)]] == [[], ["go away"], ["go away"]]


async def test_who_waits_behind_a_call_that_hangs_is_told_of_a_refusal_at_once() -> None:
    held = Standing(Badge())
    hangs, refuses = Admission(Badge(), held), Admission(Badge(), held)
    ends = asyncio.Event()

    async def hang() -> None:
        async with hangs.turn():
            await ends.wait()

    async def wait() -> None:
        async with hangs.turn():
            pass

    hanging = asyncio.create_task(hang())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(wait()) for _ in range(3)]
    await asyncio.sleep(0)
    refuses.refuse("no")
    async with asyncio.timeout(0.5):  # it was a second
        await asyncio.gather(*waiting)
    ends.set()
    await hanging


async def test_a_lane_that_is_gone_is_not_held() -> None:
    """Each look at what was ended is a lane of its own."""
    here = Lane(Badge())
    door = doors(here)[0]
    gone = weakref.ref(door)
    del door
    assert gone() is None
    here.refuse("wrong")


# Services that do not answer


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of patience takes forty milliseconds."""
    monkeypatch.setattr(standing, "PATIENCE", 0.04)
    monkeypatch.setattr(standing, "_GLANCE", 0.01)


class Silent(Service):
    """Takes calls, and answers when it is told to."""

    def __init__(self, *welcome: int) -> None:
        super().__init__(*welcome)
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def answer(self, generation: int) -> int:
        self.calls[generation] += 1
        self.asked.set()
        await self.answers.wait()
        return 200 if generation in self.welcome else 401


async def test_a_service_that_hangs_hardly_holds_up_the_lanes_that_share_its_credential() -> None:
    badge, silent, healthy = Badge(), Silent(), Service(1)
    dead = Lane(badge)
    lanes = [Lane(badge, dead.standing) for _ in range(11)]
    crowd = asyncio.create_task(calls(dead, badge, silent, 20))
    await asyncio.sleep(0)
    async with asyncio.timeout(standing.PATIENCE / 2):
        ends = await asyncio.gather(*(calls(lane, badge, healthy) for lane in lanes))
    assert ends == [{"done": 50}] * 11
    assert not crowd.done()
    crowd.cancel()


@pytest.mark.parametrize(("number", "tries"), [(1, 1), (2, 2), (12, 2)])
async def test_a_wrong_key_is_tried_by_two_lanes_at_most_while_the_answer_is_slow(number: int, tries: int) -> None:
    badge, slow = Badge(renewable=False), Silent()
    first = Lane(badge)
    lanes = [first, *(Lane(badge, first.standing) for _ in range(number - 1))]
    crowd = [asyncio.create_task(calls(lane, badge, slow)) for lane in lanes]
    await asyncio.sleep(4 * standing.HEAD_START)
    slow.answers.set()
    assert await asyncio.gather(*crowd) == [{"refused": 50}] * number
    assert slow.calls == {1: tries}


async def test_where_wrong_ones_lock_nothing_every_lane_tries_with_one_call_and_none_waits_for_another() -> None:
    badge, silent, healthy = Badge(locks=False), Silent(), Service(1)
    dead = Lane(badge)
    lanes = [Lane(badge, dead.standing) for _ in range(11)]
    crowd = asyncio.create_task(calls(dead, badge, silent, 20))
    await asyncio.sleep(0)
    good = asyncio.gather(*(calls(lane, badge, healthy) for lane in lanes))
    for _ in range(300):  # turns of the loop, which take no time
        assert dead.standing.proven or silent.calls[1] <= 1
        await asyncio.sleep(0)
    assert good.done()
    assert await good == [{"done": 50}] * 11
    assert silent.calls == {1: 20}  # it is proven by now
    crowd.cancel()


async def test_a_wrong_token_is_tried_once_by_each_lane() -> None:
    badge, service = Badge(renewable=False, locks=False), Service()
    first = Lane(badge)
    lanes = [first, *(Lane(badge, first.standing) for _ in range(2))]
    assert await asyncio.gather(*(calls(lane, badge, service) for lane in lanes)) == [{"refused": 50}] * 3
    assert service.calls == {1: 3}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("number", [1, 12])
@pytest.mark.parametrize(("hangs", "most"), [(5.0, 3), (0.1, 5)])
@pytest.mark.parametrize("locks", [True, False])
async def test_few_calls_carry_a_credential_that_nobody_answers_for(
    number: int, hangs: float, most: int, locks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one that locks, of all lanes together; of another, of each lane."""
    monkeypatch.setattr(standing, "HANGS", hangs)
    badge, silent = Badge(renewable=False, locks=locks), Silent()
    first = Lane(badge)
    lanes = [first, *(Lane(badge, first.standing) for _ in range(number - 1))]
    crowd = [asyncio.create_task(calls(lane, badge, silent)) for lane in lanes]
    await asyncio.sleep(0.6)
    all_of_them = {1: most if locks else most * number}
    assert silent.calls == all_of_them
    silent.answers.set()
    assert await asyncio.gather(*crowd) == [{"refused": 50}] * number
    assert silent.calls == all_of_them


@pytest.mark.usefixtures("quick")
async def test_services_that_hang_hold_up_the_others_for_seconds_and_not_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standing, "HANGS", 0.12)
    badge, silent, healthy = Badge(), Silent(), Service(1)
    first = Lane(badge)
    dead = [first, *(Lane(badge, first.standing) for _ in range(3))]
    crowd = [asyncio.create_task(calls(lane, badge, silent, 20)) for lane in dead]
    await asyncio.sleep(0)
    good = asyncio.create_task(calls(Lane(badge, first.standing), badge, healthy))
    await asyncio.sleep(0.1)
    assert (silent.calls[1], good.done()) == (3, False)
    async with asyncio.timeout(1):
        assert await good == {"done": 50}
    for task in crowd:
        task.cancel()


@pytest.mark.usefixtures("quick")
async def test_the_next_one_is_of_the_lane_that_has_waited_longest() -> None:
    badge, silent = Badge(), Silent(1)
    first = Lane(badge)
    lanes = [first, *(Lane(badge, first.standing) for _ in range(2))]
    came: list[int] = []

    async def one(number: int) -> None:
        async with lanes[number].turn():
            came.append(number)
            await silent.answer(1)

    crowd = [asyncio.create_task(one(number)) for number in (0, 0, 0, 1, 1, 2)]
    await asyncio.sleep(0.3)
    assert came == [0, 1, 2]
    silent.answers.set()
    await asyncio.gather(*crowd)
    assert sorted(came) == [0, 0, 0, 1, 1, 2]


@pytest.mark.usefixtures("quick")
async def test_the_first_success_lets_everybody_through_although_another_call_is_still_out() -> None:
    badge, slow, silent, healthy = Badge(), Silent(1), Silent(1), Service(1)
    first = Lane(badge)
    second, third = Lane(badge, first.standing), Lane(badge, first.standing)
    crowd = [asyncio.create_task(call(first, badge, slow)), asyncio.create_task(call(second, badge, silent))]
    await silent.asked.wait()
    waiting = asyncio.create_task(calls(third, badge, healthy))
    await asyncio.sleep(0)
    slow.answers.set()
    for _ in range(300):  # turns of the loop, which take no time
        await asyncio.sleep(0)
    assert waiting.done()
    silent.answers.set()
    assert await asyncio.gather(*crowd) == ["done", "done"]


@pytest.mark.usefixtures("quick")
async def test_while_somebody_logs_in_no_other_call_is_let_on() -> None:
    badge, silent = Badge(), Silent()
    badge.ready = False
    lane = Lane(badge)
    crowd = [asyncio.create_task(call(lane, badge, silent)) for _ in range(5)]
    await asyncio.sleep(0.15)
    assert silent.calls == {1: 1}
    badge.ready = True
    await asyncio.sleep(0.15)
    assert silent.calls[1] > 1
    for task in crowd:
        task.cancel()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.15])
@pytest.mark.parametrize("locks", [True, False])
async def test_whenever_calls_are_cancelled_the_gate_is_free_afterwards(
    turns: int, seconds: float, locks: bool
) -> None:
    """After so many turns of the loop and so long: while they wait for the lane, the gate, a place, an answer."""
    badge, silent = Badge(locks=locks), Silent()
    first = Lane(badge)
    lanes = [first, *(Lane(badge, first.standing) for _ in range(4))]
    crowd = [asyncio.create_task(calls(lane, badge, silent, 3)) for lane in lanes]
    await asyncio.sleep(seconds)
    for number in range(turns):
        crowd[number % 5].cancel()
        await asyncio.sleep(0)
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    assert not first.standing.trying
    async with asyncio.timeout(1):
        for lane in lanes:
            async with lane.turn():
                assert len(first.standing.trying) == 1
        assert await call(first, badge, Service(1)) == "done"
        assert [await calls(lane, badge, Service(1)) for lane in lanes] == [{"done": 50}] * 5
