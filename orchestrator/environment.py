"""Settings in the environment: `ORCHESTRATOR_`, and `__` for nesting, read as pydantic-settings reads them.

Most environments have none, and pydantic-settings is not imported then.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, create_model

from orchestrator import validation
from orchestrator.errors import Fault
from orchestrator.validation import Elsewhere, Place, suggestion

PREFIX = "ORCHESTRATOR_"
NESTED = "__"
FILE = f"{PREFIX}CONFIG"  # names the config's file, and is no setting itself
_NOWHERE = object()
PATHS = ("state_dir", "report_dir")  # all other settings hold more than a text


def places(environment: Mapping[str, str]) -> dict[str, Place]:
    """Return the place in the config of every environment variable that is a setting."""
    names = (name for name in environment if name.startswith(PREFIX) and name != FILE)
    return {name: tuple(name.removeprefix(PREFIX).lower().split(NESTED)) for name in names}


def read(config: type[BaseModel], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what an environment sets, part by part; raise ValueError where a part is not JSON."""
    if not places(environment):
        return {}
    from pydantic_settings import BaseSettings, EnvSettingsSource

    class Given(EnvSettingsSource):
        """The settings of a given environment, instead of the process's own."""

        def _load_env_vars(self) -> Mapping[str, str | None]:
            deeper_last = sorted(environment.items(), key=lambda item: item[0].count(NESTED))
            return {name.lower(): value for name, value in deeper_last}

    bases: Any = (config, BaseSettings)
    return Given(create_model("Settings", __base__=bases), env_prefix=PREFIX, env_nested_delimiter=NESTED)()


def misnamed(config: type[BaseModel], environment: Mapping[str, str]) -> Iterator[Fault]:
    """Find the variables that look like settings, and are none."""
    for name, place in places(environment).items():
        if place[0] not in config.model_fields:
            hint = suggestion(str(place[0]), config.model_fields)
            yield Fault(f"environment variable {name}", f"there is no such setting{hint}")


def unused(given: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[Fault]:
    """Find the variables that are below one which gives a plain value, and come to nothing."""
    for name, place in places(environment).items():
        value: Any = given
        for part in place:
            value = value.get(part, _NOWHERE) if isinstance(value, dict) else _NOWHERE
        if value is _NOWHERE and place[0] in given:
            yield Fault(f"environment variable {name}", "there is no such setting")


def unreadable(config: type[BaseModel], environment: Mapping[str, str]) -> Iterator[Fault]:
    """Name the variables that hold a whole part of the config and are not the JSON that this takes."""
    for name, place in places(environment).items():
        try:
            if len(place) == 1 and place[0] not in PATHS and place[0] in config.model_fields:
                json.loads(environment[name])
        except ValueError:
            yield Fault(f"environment variable {name}", "should be JSON")


def elsewhere(document: Mapping[str, Any], given: Mapping[str, Any], environment: Mapping[str, str]) -> Elsewhere:
    """Return the function that tells which environment variable gave the value at a place, if one did."""
    settings = places(environment)

    def told(place: Place, absent: bool) -> tuple[str, Place] | None:
        path = validation.real_path(given, place, absent=absent)
        in_file = validation.real_path(document, place, absent=absent)
        value: Any = given
        for part in path[: len(path) - absent]:
            value = value[part]
        of_both = absent or isinstance(value, dict)
        if len(path) < len(in_file) + of_both:
            return None
        fitting = [(len(known), name) for name, known in settings.items() if known[: len(path)] == path[: len(known)]]
        length, name = max(fitting, default=(0, ""))
        return (f"environment variable {name}" if name else "the environment"), path[length:]

    return told
