"""Looking whether sessions are gone, with a clock, sights and a stop that the test holds in its hands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from lanes import START, Bench, Clock, QuickStop, Service

from orchestrator import amending
from orchestrator.lane import Lane
from orchestrator.listing import Listing
from orchestrator.model import Item, Outcome, Ruling, Settled, Target, Verdict, Verification
from orchestrator.paging import IncompleteError
from orchestrator.service import ReadBack
from orchestrator.sights import ByQuestion, InListing, Notes, Sight, State
from orchestrator.verify import Timing, Verifier

GONE = Sight(State.GONE)
ALIVE = Sight(State.ALIVE, "state is ON")
UNCLEAR = Sight(State.UNCLEAR, "HTTP 500")
PENDING = Verification.PENDING


def target(name: str = "a", *, began: float | None = None, **fields: str | int) -> Target:
    return Target("some.service", "prod", name, {"id": name, **fields}, verify=True, began=began)


def settled(*names: str, outcome: Outcome = Outcome.ENDED, **fields: str | int) -> list[Settled]:
    ones = [replace(target(name), fields={"id": name, **fields}) for name in names]
    return [Settled(one, outcome, verification=PENDING) for one in ones]


class Scripted:
    """Sees what the script says, look after look, and goes on with its end; a look takes `takes` seconds."""

    def __init__(self, clock: Clock, *script: Mapping[str, Sight] | Sight, takes: float = 0.0) -> None:
        self.looks: list[tuple[float, list[str]]] = []
        self.after: Callable[[], None] = lambda: None
        self.blind: str | None = None
        self._clock = clock
        self._script = script
        self._takes = takes

    async def at(self, targets: Sequence[Target]) -> Mapping[str, Sight]:
        self.looks.append((self._clock.now - START, [one.id for one in targets]))
        now = self._script[min(len(self.looks), len(self._script)) - 1]
        self._clock.now += self._takes
        self.after()
        return {one.id: now if isinstance(now, Sight) else now[one.id] for one in targets}


class Watch:
    """A verifier with everything around it, and what it told."""

    def __init__(self, *script: Mapping[str, Sight] | Sight, takes: float = 0.0, timing: Timing | None = None) -> None:
        self.clock = Clock()
        self.stop = QuickStop(self.clock)
        self.look = Scripted(self.clock, *script, takes=takes)
        self.told: list[Settled] = []
        self.verifier = Verifier(self.look, timing or Timing(0.0, 10.0), self.stop, self.clock, self.clock)

    def stop_in(self, nth: int) -> None:
        """Stop the run in its nth rest."""

        def during() -> None:
            if len(self.stop.rests) == nth:
                self.stop.set("terminated", 143)

        self.stop.during = during

    async def verify(self, ones: Sequence[Settled]) -> list[Settled]:
        return await self.verifier.verify(ones, self.told.extend)

    @property
    def fared(self) -> dict[str, tuple[str, str]]:
        return {one.target.id: (str(one.outcome), str(one.verification)) for one in self.told}


# What is told


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Outcome.ENDED, "ended"),
        (Outcome.ACCEPTED, "ended"),
        (Outcome.ALREADY_ENDED, "already_ended"),
        (Outcome.UNKNOWN, "ended"),
    ],
)
async def test_what_is_seen_to_be_gone_is_confirmed(before: Outcome, after: str) -> None:
    watch = Watch(GONE)
    assert await watch.verify(settled("a", outcome=before)) == []
    assert watch.fared == {"a": (after, "confirmed")}
    assert len(watch.look.looks) == 1


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome.ACCEPTED, "the service took the order, and"),
        (Outcome.ALREADY_ENDED, "the service said that there was none to end, and"),
        (Outcome.UNKNOWN, "no clear answer is on record, and"),
    ],
)
def test_what_lives_on_says_what_was_known_of_it_before(outcome: Outcome, said: str) -> None:
    (one,) = settled("a")
    assert amending.living(replace(one, outcome=outcome), "state is ON", 1.0).reason.startswith(said)


async def test_what_lives_on_is_returned_and_not_told() -> None:
    """Whoever asked may end it again first; told too early, it would stop a run that has nothing to stop for."""
    watch = Watch({"a": GONE, "b": ALIVE}, ALIVE)
    (living,) = await watch.verify(settled("a", "b"))
    assert (living.target.id, living.outcome, living.verification) == ("b", "still_active", "contradicted")
    assert "state is ON" in living.reason
    assert watch.fared == {"a": ("ended", "confirmed")}


async def test_what_shows_late_is_confirmed_when_it_shows() -> None:
    watch = Watch(ALIVE, {"a": ALIVE, "b": GONE}, GONE)
    assert await watch.verify(settled("a", "b")) == []
    assert [names for _, names in watch.look.looks] == [["a", "b"], ["a", "b"], ["a"]]
    assert [one.target.id for one in watch.told] == ["b", "a"]


async def test_what_cannot_be_made_out_stays_as_the_service_said() -> None:
    watch = Watch(UNCLEAR)
    assert await watch.verify(settled("a", outcome=Outcome.ACCEPTED)) == []
    assert watch.fared == {"a": ("accepted", "unavailable")}
    assert watch.told[0].reason == "could not be checked: HTTP 500"


async def test_the_reason_of_the_call_stays_beside_that_of_the_look() -> None:
    watch = Watch({})
    watch.look.at = nothing  # type: ignore[method-assign]
    await watch.verify([replace(one, reason="the note of a rule") for one in settled("a")])
    assert watch.told[0].reason == "the note of a rule; could not be checked: nothing was seen of it"


async def nothing(targets: Sequence[Target]) -> Mapping[str, Sight]:
    return {}


@pytest.mark.parametrize("before", [Outcome.ENDED, Outcome.ALREADY_ENDED, Outcome.ACCEPTED])
async def test_what_was_seen_alive_and_then_not_at_all_is_not_called_ended(before: Outcome) -> None:
    watch = Watch(ALIVE, UNCLEAR)
    assert await watch.verify(settled("a", outcome=before)) == []
    assert watch.fared == {"a": ("accepted", "contradicted")}
    assert watch.told[0].reason == "seen alive (state is ON), and not again: HTTP 500"


@pytest.mark.parametrize(("script", "seen"), [((UNCLEAR,), "unavailable"), ((ALIVE, UNCLEAR), "contradicted")])
async def test_what_was_never_answered_for_and_cannot_be_made_out_stays_unknown(
    script: tuple[Sight, ...], seen: str
) -> None:
    watch = Watch(*script)
    assert await watch.verify(settled("a", outcome=Outcome.UNKNOWN)) == []
    assert watch.fared == {"a": ("unknown", seen)}


async def test_what_was_seen_alive_is_gone_when_it_is_seen_to_be_gone() -> None:
    watch = Watch(ALIVE, UNCLEAR, GONE)
    await watch.verify(settled("a"))
    assert watch.fared == {"a": ("ended", "confirmed")}


# When it is looked


async def test_the_first_look_waits_for_the_lag() -> None:
    watch = Watch(GONE, timing=Timing(3.0, 10.0))
    await watch.verify(settled("a"))
    assert [at for at, _ in watch.look.looks] == [3.0]


async def test_an_end_that_was_put_off_is_waited_for() -> None:
    watch = Watch(GONE, timing=Timing(1.0, 10.0, "delay"))
    await watch.verify([*settled("a", delay=5), *settled("b", delay=7)])
    assert [at for at, _ in watch.look.looks] == [8.0]


def test_what_is_put_off_for_long_is_looked_at_apart_from_the_rest() -> None:
    watch = Watch(GONE, timing=Timing(1.0, 10.0, "delay"))
    ones = [*settled("a", delay=5), *settled("b", delay=90), *settled("c", "d"), *settled("e", delay=6)]
    apart = [[one.target.id for one in some] for some in watch.verifier.apart(ones)]
    assert apart == [["c", "d"], ["a", "e"], ["b"]]
    assert watch.verifier.apart([]) == []


@pytest.mark.parametrize(("script", "after"), [(GONE, "ended"), (ALIVE, "still_active"), (UNCLEAR, "still_active")])
async def test_what_was_seen_alive_and_could_not_be_ended_again_lives_unless_it_is_seen_gone(
    script: Sight, after: str
) -> None:
    watch = Watch(script)
    ones = [replace(one, reason="it lives; ended again, which failed: no") for one in settled("a")]
    living = await watch.verify([replace(one, outcome=Outcome.STILL_ACTIVE) for one in ones])
    (one,) = [*living, *watch.told]
    assert str(one.outcome) == after
    assert one.reason.startswith("it lives; ended again, which failed: no")


async def test_the_looks_become_rarer_and_the_last_begins_when_time_is_up() -> None:
    watch = Watch(ALIVE, timing=Timing(2.0, 10.0))
    await watch.verify(settled("a"))
    assert [at for at, _ in watch.look.looks] == pytest.approx([2.0, 2.5, 3.25, 4.375, 6.0625, 8.59375, 12.0], abs=0.01)


async def test_after_a_look_that_took_until_time_was_up_there_is_another_one() -> None:
    """An effect that shows after 3 s, a look of 20 s, a deadline of 10 s: what the look saw at its start is old."""
    watch = Watch(ALIVE, {"a": ALIVE, "b": GONE}, takes=20.0)
    (living,) = await watch.verify(settled("a", "b"))
    assert [at for at, _ in watch.look.looks] == [0.0, 20.0]
    assert living.target.id == "a"
    assert watch.fared == {"b": ("ended", "confirmed")}


@pytest.mark.parametrize("takes", [0.0, 1.0, 9.0, 10.0, 300.0])
@pytest.mark.parametrize("deadline", [0.5, 10.0])
async def test_nothing_is_said_to_live_on_before_a_look_that_began_late_enough(takes: float, deadline: float) -> None:
    watch = Watch(ALIVE, takes=takes, timing=Timing(1.0, deadline))
    assert len(await watch.verify(settled("a"))) == 1
    assert watch.look.looks[-1][0] >= 1.0 + deadline - 0.02


# When the run stops


async def test_what_there_was_no_time_for_stays_pending_untold() -> None:
    watch = Watch(GONE, timing=Timing(5.0, 10.0))
    watch.stop_in(1)
    assert await watch.verify(settled("a")) == []
    assert (watch.told, watch.look.looks) == ([], [])


async def test_what_is_seen_to_be_gone_is_told_even_if_the_run_stops_meanwhile() -> None:
    watch = Watch({"a": GONE, "b": UNCLEAR})
    watch.stop_in(2)
    await watch.verify(settled("a", "b"))
    assert watch.fared == {"a": ("ended", "confirmed")}


@pytest.mark.parametrize("before", [Outcome.ENDED, Outcome.ALREADY_ENDED, Outcome.ACCEPTED])
async def test_what_was_seen_alive_before_the_run_stopped_is_pending_and_not_called_ended(before: Outcome) -> None:
    watch = Watch({"a": ALIVE, "b": UNCLEAR})
    watch.stop_in(2)
    assert await watch.verify(settled("a", "b", outcome=before)) == []
    assert watch.fared == {"a": ("accepted", "pending")}
    assert watch.told[0].reason == "seen alive (state is ON), and not again: terminated"


async def test_a_look_is_cut_short_by_a_stop_and_proves_nothing() -> None:
    watch = Watch(ALIVE, timing=Timing(0.0, 0.0))
    watch.look.after = lambda: watch.stop.set("terminated", 143)
    assert await watch.verify(settled("a")) == []
    assert {verification for _, verification in watch.fared.values()} <= {"pending"}


# In a listing

LISTING = Listing.model_validate(
    {"path": "/x", "items": "i", "fields": {"id": "id", "state": "state", "since": "since"}, "began": "since"}
)
CUT_OFF = 1_700_000_000.3
EARLIER, SAME_SECOND, LATER = (f"2023-11-14T22:13:{second}Z" for second in (19, 20, 21))


class Listed:
    """A lister that has these items, or breaks off after them."""

    def __init__(self, *items: Item, breaks: bool = False) -> None:
        self._items = items
        self._breaks = breaks

    async def read(self, filters: Mapping[str, Sequence[str]]) -> list[Item]:
        assert not filters
        if self._breaks:
            raise IncompleteError("page 2 could not be read", self._items)
        return list(self._items)


def item(name: str, *states: str, since: str = EARLIER) -> Item:
    return {"id": (name,), "state": states, "since": (since,)}


async def seen(lister: Listed, one: Target, key: Sequence[str] = ("id",), absent: str = "unclear") -> Sight:
    read_back = ReadBack.model_validate(
        {"listing": "all", "state": "state", "gone": ["OFF"], "alive": ["ON"], "absent": absent}
    )
    look = InListing(lister, LISTING, read_back, key, CUT_OFF)  # type: ignore[arg-type]
    return (await look.at([one]))[one.id]


@pytest.mark.parametrize(
    ("states", "state"),
    [(["ON"], State.ALIVE), (["OFF"], State.GONE), (["OFF", "ON"], State.ALIVE), (["?"], State.UNCLEAR)],
)
async def test_what_a_state_means(states: list[str], state: State) -> None:
    assert (await seen(Listed(item("a", *states)), target())).state is state


async def test_of_a_listing_that_breaks_off_only_what_lives_counts() -> None:
    lister = Listed(item("a", "ON"), item("b", "OFF"), breaks=True)
    assert await seen(lister, target("a")) == Sight(State.ALIVE, "state is ON")
    for name in ("b", "c"):
        for absent in ("gone", "unclear"):
            sight = await seen(lister, target(name), absent=absent)
            assert sight == Sight(State.UNCLEAR, "the listing failed: page 2 could not be read")


@pytest.mark.parametrize(
    ("listed", "state"),
    [
        ([item("b", "ON")], State.GONE),
        ([], State.GONE),
        ([{"state": ("ON",)}], State.UNCLEAR),
        ([item("b", "ON"), {"id": ("x", "y"), "state": ("ON",)}], State.UNCLEAR),
    ],
)
async def test_what_is_not_listed_is_gone_only_where_all_that_is_listed_has_a_name(
    listed: list[Item], state: State
) -> None:
    assert (await seen(Listed(*listed), target("a"), absent="gone")).state is state


@pytest.mark.parametrize(
    ("since", "began", "state"),
    [
        (LATER, CUT_OFF - 100, State.GONE),  # its own session is over: this one is another
        (LATER, None, State.UNCLEAR),  # nobody knows which one was called
        (SAME_SECOND, CUT_OFF - 100, State.GONE),
        (SAME_SECOND, None, State.ALIVE),  # told to the second, it may well be the one that was called
        (SAME_SECOND, int(CUT_OFF), State.ALIVE),  # it was there when it was called
        (EARLIER, CUT_OFF - 100, State.ALIVE),
        (EARLIER, None, State.ALIVE),
        ("", CUT_OFF - 100, State.ALIVE),
        ("soon", CUT_OFF - 100, State.ALIVE),
    ],
)
async def test_a_session_that_began_after_the_cut_off_is_another_one(
    since: str, began: float | None, state: State
) -> None:
    assert (await seen(Listed(item("a", "ON", since=since)), target(began=began))).state is state


async def test_of_several_moments_the_earliest_counts() -> None:
    both: Item = {"id": ("a",), "state": ("ON",), "since": (LATER, EARLIER)}
    assert (await seen(Listed(both), target(began=CUT_OFF - 100))).state is State.ALIVE


@pytest.mark.parametrize("absent", ["gone", "unclear"])
async def test_a_target_without_a_field_of_its_key_is_not_found_nor_missed(absent: str) -> None:
    sight = await seen(Listed(), target(), ("id", "seat"), absent)
    assert sight == Sight(State.UNCLEAR, "it has no seat, so that nothing can be asked about it")


async def test_with_a_refused_credential_nobody_looks_again() -> None:
    """Neither is what the last look saw alive still active: it may be gone by the deadline, and nobody will see."""
    watch = Watch({"a": ALIVE, "b": UNCLEAR, "c": GONE})
    watch.look.after = lambda: setattr(watch.look, "blind", "the credential is refused")
    assert await watch.verify(settled("a", "b", "c")) == []
    assert watch.fared == {
        "a": ("accepted", "contradicted"),
        "b": ("ended", "unavailable"),
        "c": ("ended", "confirmed"),
    }
    assert len(watch.look.looks) == 1
    assert "not again: the credential is refused" in next(one.reason for one in watch.told if one.target.id == "a")


# By a question


async def test_a_question_is_asked_about_each_target_and_its_answer_read() -> None:
    rulings = {
        "a": Ruling(Verdict.ENDED, status=404),
        "b": Ruling(Verdict.ACTIVE, "it answers", 200),
        "c": Ruling(Verdict.FAIL, "a login page", 200),
    }
    service = Service()
    service.answer = lambda batch: rulings[batch.targets[0].id]
    sights = await question(service).at([target(name) for name in rulings])
    assert sights == {"a": GONE, "b": Sight(State.ALIVE, "it answers"), "c": Sight(State.UNCLEAR, "a login page")}


async def test_nothing_is_asked_about_a_target_that_lacks_what_the_question_says() -> None:
    """Without the session the question would be refused for its form, and that is how it says that there is none."""
    service = Service()
    sights = await question(service, "id", "session").at([target("a", session="s"), target("b")])
    assert sights["a"] == GONE
    assert sights["b"] == Sight(State.UNCLEAR, "it has no session, so that nothing can be asked about it")
    assert service.calls == [["a"]]


def question(service: Service, *needs: str) -> ByQuestion:
    def make(notes: Notes) -> Lane:
        return Bench(service, remembers=lambda bench: notes).lane

    return ByQuestion(make, needs)
