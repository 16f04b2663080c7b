"""The stages of a run in their order: the plan's, the second pass over identity providers, what is the run's own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.blueprint import Blueprint
from orchestrator.plan import OWN, SECOND_PASS
from orchestrator.sections import Section


class Step(NamedTuple):
    """One stage: its groups, the stages that it waits for, what has to have come of them, and a rest in seconds.

    A second pass calls `anew` what was called before. The step of what is the run's `own` takes that and nothing else.
    """

    name: str
    sections: Sequence[Section]
    needs: Sequence[str]
    continue_on: str = "any"
    rest: float = 0.0
    anew: bool = False
    own: bool = False


def steps_of(blueprint: Blueprint, *, second_pass: bool = True) -> list[Step]:
    """Return the stages of a run in their order; the run's own credential goes last, and not if a resume needs it."""
    plan = blueprint.plan_file.plan
    steps: list[Step] = []
    for name, sections in itertools.groupby(blueprint.sections, key=lambda section: section.stage):
        said = plan.stage(name)
        names = [step.name for step in steps]
        needs = [one for one in said.needs if one in names] if said and said.needs is not None else names[-1:]
        steps.append(Step(name, list(sections), needs, said.continue_on if said is not None else "any"))
    first = [one for one in blueprint.sections if one.service.identity_provider and one.service.end.idempotent]
    if second_pass and plan.second_pass is not None and first:
        steps.append(Step(SECOND_PASS, first, [step.name for step in steps], rest=plan.second_pass, anew=True))
    owned = [section for section in blueprint.sections if section.service.own]
    if plan.guard.own == "last" and owned:
        steps.append(Step(OWN, owned, [step.name for step in steps], "accepted", own=True))
    return steps
