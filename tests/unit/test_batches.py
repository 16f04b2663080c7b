"""How targets are packed into calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.batches import MAX_OPEN, Packing, pack
from orchestrator.model import FieldValue, Target


def made(fields: Sequence[Mapping[str, FieldValue]], expect: str = "") -> list[Target]:
    return [Target("s", "c", str(n), one, expect=expect) for n, one in enumerate(fields)]


targets = st.lists(
    st.fixed_dictionaries({"message": st.sampled_from(["a", "b", "c"])}, optional={"level": st.integers(0, 2)})
).map(made)
packings = st.builds(
    Packing, size=st.integers(1, 7), group_by=st.sampled_from([(), ("message",), ("message", "level")])
)


@given(targets, packings)
def test_a_batch_is_never_empty_and_never_above_its_size(given: list[Target], packing: Packing) -> None:
    assert all(1 <= len(one.targets) <= packing.size for one in pack(iter(given), packing, count(1)))


@given(targets, packings)
def test_every_target_is_in_exactly_one_batch(given: list[Target], packing: Packing) -> None:
    packed = [target.id for one in pack(iter(given), packing, count(1)) for target in one.targets]
    assert sorted(packed, key=int) == [target.id for target in given]


@given(targets, packings)
def test_targets_of_a_batch_share_the_fields_of_its_group_and_keep_their_order(
    given: list[Target], packing: Packing
) -> None:
    for batch in pack(iter(given), packing, count(1)):
        if packing.size > 1:
            assert len({tuple(t.fields.get(name) for name in packing.group_by) for t in batch.targets}) == 1
        assert [int(t.id) for t in batch.targets] == sorted(int(t.id) for t in batch.targets)


@given(targets, packings)
def test_the_numbers_of_batches_go_up_by_one(given: list[Target], packing: Packing) -> None:
    numbers = [one.number for one in pack(iter(given), packing, count(1))]
    assert numbers == list(range(1, len(numbers) + 1))


@given(targets, st.integers(1, 7))
def test_without_groups_only_the_last_batch_is_not_full(given: list[Target], size: int) -> None:
    sizes = [len(one.targets) for one in pack(iter(given), Packing(size), count(1))]
    assert all(found == size for found in sizes[:-1])


def test_targets_that_expect_different_answers_never_share_a_call() -> None:
    mixed = [*made([{}], "denied"), *made([{}], "issued"), *made([{}], "denied")]
    packed = list(pack(iter(mixed), Packing(10), count(1)))
    assert [[target.expect for target in one.targets] for one in packed] == [["denied", "denied"], ["issued"]]


def test_what_was_refused_before_never_shares_a_call_with_what_was_not() -> None:
    given = [replace(one, suspect=one.id in ("1", "3")) for one in made([{}] * 4)]
    batches = pack(iter(given), Packing(10), count(1))
    assert [[one.id for one in batch.targets] for batch in batches] == [["0", "2"], ["1", "3"]]


def test_a_stream_with_endless_groups_is_passed_on_before_it_ends() -> None:
    read = count()
    stream = (Target("s", "c", str(n), {"message": str(n)}) for n in read)
    next(pack(stream, Packing(100, ("message",)), count(1)))
    assert next(read) <= MAX_OPEN + 2
