"""The plan: its shape, its variables, its digest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator import plan
from orchestrator.errors import InvalidInput
from orchestrator.plan import PlanFile
from orchestrator.units import Amount

GROUP = "{service: dcs.webcli, connection: prod, items: [{instance_id: i}]}"
NIGHTLY = """\
name: nightly
require: ended
deadline: 45m
guard:
  max_targets: 5000
  stop_when_failed: 10%
  protect: [lists/break-glass.txt]
vars:
  message: Nightly sign-out
stages:
  - name: applications
    targets:
      - service: dcs.webcli
        connection: prod
        items:
          - {instance_id: 0123, client_id: "env:WEBCLI"}
      - service: workspace.desktops
        connection: prod
        with: {message: "${message}", note: no}
        discover: {connect_status: [CONNECTED, DISCONNECTED]}
  - name: sso
    targets:
      - {service: mrs.cas, connection: analytics, from: "-"}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str, overrides: Mapping[str, str] | None = None) -> PlanFile:
    Path("plan.yaml").write_text(text, encoding="utf-8")
    return plan.read(Path("plan.yaml"), overrides or {})


def faults(text: str, overrides: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read(text, overrides)
    return [str(fault) for fault in caught.value.faults]


def test_a_plan_is_read() -> None:
    found = read(NIGHTLY).plan
    assert (found.name, found.require, found.deadline) == ("nightly", "ended", 2700.0)
    assert found.guard is not None
    assert (found.guard.max_targets, found.guard.stop_when_failed) == (Amount(number=5000), Amount(share=0.1))
    groups = [group for _, _, group in found.groups()]
    assert [group.service for group in groups] == ["dcs.webcli", "workspace.desktops", "mrs.cas"]
    assert groups[0].items == ({"instance_id": "0123", "client_id": "env:WEBCLI"},)
    assert groups[1].common == {"message": "Nightly sign-out", "note": "no"}
    assert groups[2].source == "-"


def test_the_place_of_a_group_is_its_path_in_the_file() -> None:
    assert [place for place, _, _ in read(NIGHTLY).plan.groups()] == [
        ("stages", 0, "targets", 0),
        ("stages", 0, "targets", 1),
        ("stages", 1, "targets", 0),
    ]
    short = read(f"name: x\ntargets: [{GROUP}]").plan
    assert [(place, stage.name) for place, stage, _ in short.groups()] == [(("targets", 0), "targets")]


@pytest.mark.parametrize(
    ("written", "overrides", "value"),
    [
        pytest.param("${who}", {}, "all", id="default"),
        pytest.param("${who}", {"who": "bob"}, "bob", id="given"),
        pytest.param("a-${who}-${who}", {"who": "b"}, "a-b-b", id="inside"),
        pytest.param("${who}", {"who": "${who} $$ ${x}"}, "${who} $$ ${x}", id="put-in-place-once"),
        pytest.param("$${who}", {}, "${who}", id="escaped"),
        pytest.param("$who $ 5$", {}, "$who $ 5$", id="a-dollar-is-a-dollar"),
        pytest.param("${who}", {"who": ""}, "", id="given-as-nothing"),
        pytest.param("${who}", {"who": "a: {b"}, "a: {b", id="never-read-as-yaml"),
    ],
)
def test_variables(written: str, overrides: dict[str, str], value: str) -> None:
    text = f"name: x\nvars: {{who: all}}\ndescription: '{written}'\ntargets: [{GROUP}]"
    assert read(text, overrides).plan.description == value


def test_a_variable_can_stand_where_a_number_or_a_duration_does() -> None:
    text = f"name: x\nvars: {{d: 5m, n: 3}}\ndeadline: ${{d}}\nreattempt: ${{n}}\ntargets: [{GROUP}]"
    assert (read(text).plan.deadline, read(text).plan.reattempt) == (300.0, 3)


TARGETS = f"targets: [{GROUP}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            f"name: x\nrequires: ended\n{TARGETS}", "plan.yaml:2: requires: unknown key; did you mean 'require'?"
        ),
        pytest.param("name: x", "needs `targets:` (one stage) or `stages:`; it has neither", id="nothing"),
        pytest.param(f"name: x\n{TARGETS}\nstages: [{{name: a, {TARGETS}}}]", "it has both", id="both"),
        pytest.param(
            f"name: x\nstages: [{{name: a, {TARGETS}}}, {{name: a, {TARGETS}}}]",
            "two stages of the same name",
            id="twice",
        ),
        pytest.param("name: x\ntargets: []", "targets: ", id="no-targets"),
        pytest.param(f"name: Big Plan\n{TARGETS}", "plan.yaml:1: name: ", id="name"),
        pytest.param(f"name: x\nrequire: maybe\n{TARGETS}", "plan.yaml:2: require: should be", id="require"),
        pytest.param(f"name: x\ndeadline: 45\n{TARGETS}", "plan.yaml:2: deadline: should be a duration", id="deadline"),
        pytest.param(
            f"name: x\nguard: {{stop_when_failed: 200%}}\n{TARGETS}",
            "guard.stop_when_failed: should be a count",
            id="share",
        ),
        pytest.param(f"name: x\nstop_when_failed: 5\n{TARGETS}", "it belongs in `guard`", id="elsewhere"),
        pytest.param(
            "name: x\ntargets:\n  - {service: s, connection: c}",
            "plan.yaml:3: targets[0]: needs exactly one of items, from and discover; it has none",
            id="no-source",
        ),
        pytest.param(
            "name: x\ntargets:\n  - {service: s, connection: c, items: [], from: a}",
            "it has items and from",
            id="sources",
        ),
        pytest.param(
            f"name: x\ndescription: ${{whoo}}\nvars: {{who: a}}\n{TARGETS}",
            "plan.yaml:2: description: uses ${whoo}, which is not among the plan's vars; did you mean 'who'?",
            id="unknown-variable",
        ),
        pytest.param(
            f"name: x\nvars: {{'a b': c}}\n{TARGETS}", "'a b' is not a name for a variable", id="variable-name"
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, expected: str) -> None:
    (fault,) = faults(text)
    assert expected in fault


def test_an_override_of_no_variable_is_a_fault() -> None:
    (fault,) = faults(NIGHTLY, {"mesage": "x"})
    assert fault == "plan.yaml:8: vars: --var mesage: the plan has no such variable; did you mean 'message'?"


def test_every_fault_of_a_plan_is_reported_at_once() -> None:
    text = "name: X\ndeadline: soon\ntargets:\n  - {service: s, connection: c, form: a}\n  - {items: ['${y}']}\n"
    found = faults(text, {"z": "1"})
    assert [fault.split(": ")[0] for fault in found] == sorted(fault.split(": ")[0] for fault in found)
    for words in ("name:", "deadline:", "form: unknown key; did you mean 'from'?", "uses ${y}", "--var z"):
        assert any(words in fault for fault in found), words


def test_the_digest_is_that_of_the_text_and_the_variables() -> None:
    digests = [
        read(NIGHTLY).digest,
        read(NIGHTLY, {"message": "x"}).digest,
        read(NIGHTLY + "# note\n").digest,
    ]
    assert len(set(digests)) == 3
    assert read(NIGHTLY).digest == digests[0]
    assert read(NIGHTLY, {"message": "Nightly sign-out"}).digest == digests[0]


def test_runs_of_one_plan_with_other_variables_do_not_lock_each_other_out() -> None:
    assert read(NIGHTLY).lock_name == read(NIGHTLY + "# note\n").lock_name
    assert read(NIGHTLY).lock_name != read(NIGHTLY, {"message": "x"}).lock_name
