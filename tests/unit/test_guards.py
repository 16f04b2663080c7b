"""What a plan's guards let through, refuse, set aside and stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import validation
from orchestrator.errors import Refused
from orchestrator.guardrails import Guard
from orchestrator.guards import UNTOLD, Aside, Keep, Tripwire, check_interval, check_size, protected
from orchestrator.model import NEWER, Outcome, Secret, Settled, Target, Verification
from orchestrator.stop import Stop
from orchestrator.units import Amount, parse_amount
from orchestrator.waves import wave_sizes

LANE = ("some.service", "prod")


def target(name: str, service: str = "some.service", connection: str = "prod", **more: object) -> Target:
    return Target(service, connection, name, {"id": name, **more})  # type: ignore[dict-item]


def settled(name: str, outcome: Outcome, instead_of: Outcome | None = None, lane: tuple[str, str] = LANE) -> Settled:
    return Settled(target(name, *lane), outcome, instead_of=instead_of)


class Halted:
    def __init__(self) -> None:
        self.reason: str | None = None

    def halt(self, reason: str) -> None:
        self.reason = self.reason or reason


# Protection


@pytest.mark.parametrize(
    ("keep", "found", "covered"),
    [
        (Keep(("boss",)), target("boss"), True),
        (Keep(("boss",)), target("boss-2"), False),
        (Keep(("vip-*",)), target("vip-1"), True),
        (Keep(("boss",), service="other.*"), target("boss"), False),
        (Keep(("boss",), service="some.*"), target("boss"), True),
        (Keep(("boss",), connection="test"), target("boss"), False),
        (Keep(("boss",)), target("1", user="boss"), True),
        (Keep(("0",)), target("1", message_type=0), False),
        (Keep(("pc[3]",)), target("pc[3]"), True),
        (Keep(("pc[3]",)), target("pc3"), True),
        (Keep(("hunter2",)), target("1", ticket=Secret("hunter2")), False),
        (Keep(("sha256:*",)), target("sha256:0123"), True),
    ],
)
def test_what_is_protected(keep: Keep, found: Target, covered: bool) -> None:
    assert keep.covers(found) is covered
    assert Aside([keep], None).reason(found) == ("protected" if covered else "")


def test_a_list_without_end_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "LARGEST", 1 << 20)
    with pytest.raises(ValueError, match="/dev/zero has more than 1 MB"):
        list(protected(Guard.model_validate({"protect": ["/dev/zero"]}), tmp_path))


def test_a_list_that_is_no_text_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"boss\nx\xff\n")
    with pytest.raises(ValueError, match=r"line 2 of list\.txt is not UTF-8 text"):
        list(protected(Guard.model_validate({"protect": ["list.txt"]}), tmp_path))


def test_lists_and_entries_protect(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# never\nboss\nworkspace.* desktop-1 desktop-2  # both\n\n")
    guard = Guard.model_validate({"protect": ["list.txt", {"target": "vip-*", "connection": "prod"}]})
    assert [keep for _, _, keep in protected(guard, tmp_path)] == [
        Keep(("boss",)),
        Keep(("desktop-1", "desktop-2"), "workspace.*"),
        Keep(("vip-*",), "*", "prod"),
    ]


def test_a_list_may_begin_with_a_mark_and_names_may_have_a_number_sign(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfboss\nuser#1 # the first\n#user#2\n")
    guard = Guard.model_validate({"protect": ["list.txt"]})
    assert list(protected(guard, tmp_path)) == [(0, 1, Keep(("boss",))), (0, 2, Keep(("user#1",)))]


def test_a_list_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        list(protected(Guard.model_validate({"protect": ["nowhere.txt"]}), tmp_path))


@pytest.mark.parametrize(("began", "reason"), [(None, ""), (99.0, ""), (100.0, ""), (100.5, NEWER)])
def test_what_began_after_the_cut_off_is_set_aside(began: float | None, reason: str) -> None:
    found = Target("some.service", "prod", "a", {}, began=began)
    assert Aside([], 100.0).reason(found) == reason
    assert Aside([], 100.0, aged=True).reason(found) == (reason if began else UNTOLD)


# Before anything is sent


@pytest.mark.parametrize(
    ("most", "wanted", "lanes", "refused"),
    [
        ("5", 5, [], False),
        ("5", 6, [], True),
        ("0", 1, [], True),
        ("10%", 500, [(10, 100)], False),
        ("10%", 500, [(11, 100)], True),
        ("10%", 500, [(1, 9)], True),
        ("100%", 9, [(9, 9)], False),
        pytest.param("10%", 20, [(10, 1000), (10, 10)], True, id="a small lane does not hide behind a large one"),
    ],
)
def test_how_many_targets_there_may_be(most: str, wanted: int, lanes: list[tuple[int, int]], refused: bool) -> None:
    guard = Guard(max_targets=parse_amount(most))
    called = {("some.service", str(n)): mine for n, (mine, _) in enumerate(lanes)}
    called["unlisted", "prod"] = wanted - sum(called.values())
    listed = {("some.service", str(n)): there for n, (_, there) in enumerate(lanes)}
    if refused:
        with pytest.raises(Refused, match="max_targets"):
            check_size(guard, called, listed)
    else:
        check_size(guard, called, listed)


def test_a_plan_does_not_run_twice_within_its_interval() -> None:
    guard = Guard(min_interval=3600.0)
    check_interval(guard, None, 1000.0)
    check_interval(guard, 1000.0, 4600.0)
    check_interval(Guard(), 1000.0, 1000.0)
    with pytest.raises(Refused, match=r"100 s ago.*again in 3500 s"):
        check_interval(guard, 1000.0, 1100.0)


# While it runs


@pytest.mark.parametrize(
    ("allowed", "total", "most"), [("3", 100, 3), ("10%", 50, 5), ("10%", 59, 5), ("0", 10, 0), ("1%", 99, 0)]
)
def test_one_more_than_may_fail_stops_the_run(allowed: str, total: int, most: int) -> None:
    stop = Stop()
    tripwire = Tripwire(parse_amount(allowed), {LANE: total}, stop)
    tripwire.lanes[LANE] = Halted()
    for number in range(most):
        tripwire.note([settled(str(number), Outcome.FAILED)])
    assert not stop.is_set()
    tripwire.note([settled("last", Outcome.UNKNOWN)])
    assert (stop.is_set(), stop.exit_code) == (True, 5)
    assert f"{most + 1} of {total} targets failed" in stop.reason


@pytest.mark.parametrize("outcome", [Outcome.ENDED, Outcome.ACCEPTED, Outcome.NOT_ATTEMPTED, Outcome.DENIED])
def test_what_does_not_count_as_failed(outcome: Outcome) -> None:
    stop = Stop()
    Tripwire(Amount(number=0), {LANE: 9}, stop).note([settled("a", outcome)])
    assert not stop.is_set()


def test_a_target_counts_once_however_often_it_is_settled() -> None:
    stop = Stop()
    tripwire = Tripwire(Amount(number=1), {LANE: 9}, stop)
    tripwire.note([settled("a", Outcome.STILL_ACTIVE)])
    tripwire.note([settled("a", Outcome.FAILED, Outcome.STILL_ACTIVE)])
    assert tripwire.failed[LANE] == 1
    tripwire.note([settled("a", Outcome.ENDED, Outcome.FAILED)])
    assert tripwire.failed[LANE] == 0
    assert not stop.is_set()


def test_what_was_not_called_again_takes_nothing_back() -> None:
    stop = Stop()
    tripwire = Tripwire(Amount(number=0), {LANE: 9}, stop)
    tripwire.note([settled("a", Outcome.STILL_ACTIVE)])
    tripwire.note([settled("a", Outcome.NOT_ATTEMPTED, Outcome.STILL_ACTIVE)])
    assert tripwire.failed[LANE] == 1


@pytest.mark.parametrize(
    ("require", "outcome", "verification", "bad"),
    [
        ("accepted", Outcome.ACCEPTED, Verification.UNAVAILABLE, 0),
        ("ended", Outcome.ACCEPTED, Verification.UNAVAILABLE, 1),
        ("ended", Outcome.ENDED, Verification.NOT_REQUESTED, 0),
        ("ended", Outcome.ENDED, Verification.UNAVAILABLE, 1),
        ("verified", Outcome.ENDED, Verification.UNAVAILABLE, 1),
        ("verified", Outcome.ENDED, Verification.CONFIRMED, 0),
        ("verified", Outcome.DENIED, Verification.NOT_REQUESTED, 0),
        ("accepted", Outcome.FAILED, Verification.NOT_REQUESTED, 1),
    ],
)
def test_a_wave_is_good_when_all_of_it_is_what_the_plan_requires(
    require: str, outcome: Outcome, verification: Verification, bad: int
) -> None:
    tripwire = Tripwire(None, {LANE: 9}, Stop(), require)
    one = settled("a", outcome)
    tripwire.note([settled("before", Outcome.FAILED)])
    tripwire.let_out(LANE)
    pending = replace(one, outcome=Outcome.ENDED, verification=Verification.PENDING)
    tripwire.note([pending, replace(one, verification=verification)])
    set_aside = replace(settled("b", Outcome.NOT_ATTEMPTED), reason="protected")
    tripwire.note([set_aside, settled("c", Outcome.FAILED, lane=("other", "prod"))])
    assert (tripwire.call_in(LANE), tripwire.call_in(LANE)) == (bad, 0)


def test_a_wave_of_which_nothing_was_sent_is_not_good() -> None:
    tripwire = Tripwire(None, {LANE: 9}, Stop())
    tripwire.let_out(LANE)
    tripwire.note([replace(settled("a", Outcome.NOT_ATTEMPTED), reason="IAM is not available")])
    assert tripwire.call_in(LANE) == 1


def test_a_look_that_is_still_to_come_is_nothing_to_stop() -> None:
    stop = Stop()
    tripwire = Tripwire(Amount(number=0), {LANE: 2}, stop)
    tripwire.note([replace(settled("a", Outcome.ENDED), verification=Verification.PENDING)])
    tripwire.note([settled("b", Outcome.FAILED)])
    assert not stop.is_set()


def test_a_small_lane_that_fails_altogether_stops_alone() -> None:
    stop, small, large = Stop(), Halted(), Halted()
    other = ("other.service", "prod")
    tripwire = Tripwire(Amount(share=0.5), {LANE: 4, other: 1000}, stop)
    tripwire.lanes.update({LANE: small, other: large})
    tripwire.note([settled(str(number), Outcome.FAILED) for number in range(3)])
    assert small.reason is not None
    assert "3 of the lane's 4 targets failed" in small.reason
    assert (large.reason, stop.is_set(), stop.exit_code) == (None, False, 5)


@pytest.mark.parametrize("left", [2, 3])
def test_a_lane_with_nothing_left_to_call_is_not_stopped(left: int) -> None:
    lane, other = Halted(), ("other.service", "prod")
    tripwire = Tripwire(Amount(share=0.5), {LANE: 2, other: 1000}, Stop(), left={LANE: left, other: 1000})
    tripwire.lanes[LANE] = lane
    tripwire.note([replace(settled("a", Outcome.ENDED), verification=Verification.PENDING)])
    tripwire.note([settled("b", Outcome.FAILED), settled("a", Outcome.STILL_ACTIVE, Outcome.ENDED)])
    assert (lane.reason is not None) is (left == 3)  # it is called once more in a second pass


@pytest.mark.parametrize("left", [2, 3])
def test_a_run_with_nothing_left_to_call_is_not_stopped(left: int) -> None:
    stop, other = Stop(), ("other.service", "prod")
    tripwire = Tripwire(Amount(number=0), {LANE: 2, other: 1}, stop, left={LANE: 2, other: left - 2})
    tripwire.note([settled("a", Outcome.FAILED), settled("b", Outcome.FAILED)])
    assert stop.is_set() is (left == 3)


@pytest.mark.parametrize(
    ("ramp", "total", "sizes"),
    [
        ([], 100, [None]),
        (["1", "10", "100%"], 100, [1, 10, None]),
        (["1", "10"], 100, [1, 10, None]),
        (["5%", "50%"], 200, [10, 100, None]),
        (["1%"], 10, [1, None]),
    ],
)
def test_waves(ramp: list[str], total: int, sizes: list[int | None]) -> None:
    assert list(wave_sizes([parse_amount(size) for size in ramp], total)) == sizes
