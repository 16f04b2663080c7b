"""The stages of a run in their order: the plan's, the second pass over identity providers, what is the run's own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.blueprint import Blueprint
from orchestrator.plan import OWN, SECOND_PASS
from orchestrator.sections import Section
from orchestrator.turn import ANY, Turn


class Step(NamedTuple):
    """One stage: its groups, and when it has its turn."""

    name: str
    sections: Sequence[Section]
    turn: Turn


def steps_of(blueprint: Blueprint, *, second_pass: bool = True) -> list[Step]:
    """Return the stages of a run in their order; the run's own credential goes last, and not if a resume needs it."""
    plan = blueprint.plan_file.plan
    steps: list[Step] = []
    for name, sections in itertools.groupby(blueprint.sections, key=lambda section: section.stage):
        said = plan.stage(name)
        names = [step.name for step in steps]
        needs = [one for one in said.needs if one in names] if said and said.needs is not None else names[-1:]
        steps.append(_step(name, list(sections), needs, said.continue_on if said is not None else ANY))
    first = [one for one in blueprint.sections if one.service.identity_provider and one.service.end.idempotent]
    if second_pass and plan.second_pass is not None and first:
        steps.append(Step(SECOND_PASS, first, Turn([step.name for step in steps], rest=plan.second_pass, anew=True)))
    owned = [section for section in blueprint.sections if section.service.own]
    if plan.guard.own == "last" and owned:
        steps.append(Step(OWN, owned, Turn([step.name for step in steps], "accepted", own=True)))
    return steps


def _step(name: str, sections: Sequence[Section], needs: Sequence[str], continue_on: str) -> Step:
    proves = any(section.service.expect for section in sections)
    shuts = any(section.service.identity_provider for section in sections)
    return Step(name, sections, Turn(needs, continue_on, proves=proves, shuts=shuts))
