"""The commands that explain: the catalogue, and the JSON Schemas for editors."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import orjson
from pydantic import BaseModel

from orchestrator import app
from orchestrator.bounds import bounds
from orchestrator.cli import common
from orchestrator.errors import InvalidInput
from orchestrator.plan import Plan
from orchestrator.service import FieldSpec, Service
from orchestrator.settings import Config
from orchestrator.validation import choices

DOCUMENTS: dict[str, type[BaseModel]] = {"plan": Plan, "config": Config, "service": Service}


def services(options: argparse.Namespace) -> int:
    """Print the catalogue, or all there is to know about one service."""
    known = app.load_catalogue(common.read_config(options)).services
    if options.name is None:
        width = max(map(len, known))
        common.say("\n".join(f"{name:<{width}}  {service.title}" for name, service in known.items()))
        return 0
    if options.name not in known:
        hint = choices(options.name, known)
        raise InvalidInput.one("services", f"{options.name!r} is not in the catalogue{hint}")
    common.say("\n".join(_described(known[options.name])))
    return 0


def schema(options: argparse.Namespace) -> int:
    """Print the JSON Schema of a document."""
    made = DOCUMENTS[options.document].model_json_schema(by_alias=True)
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    common.say(orjson.dumps(made, option=orjson.OPT_INDENT_2).decode())
    return 0


def _described(service: Service) -> Iterator[str]:
    yield f"{service.service}: {service.title}"
    yield ""
    yield from (service.about, "") if service.about else ()
    yield f"call        {service.end.method} {service.end.path}"
    yield f"auth        {', '.join(service.auth)}"
    yield f"identity    {', '.join(service.key)}"
    batch = service.end.batch
    yield f"batch       {f'up to {batch.size} targets a call' if batch else 'one target a call'}"
    yield f"repeatable  {'yes' if service.end.idempotent else 'no: a lost answer is reported as unknown'}"
    limits = bounds(service.limits)
    rate = ", ".join(map(str, limits.rates)) or "as fast as the service takes it"
    rate += f", {limits.burst} of them in a burst" if limits.burst > 1 else ""
    yield f"limits      {rate}, {limits.concurrency} at a time"
    yield f"counts as   {', '.join(_good(service))}"
    if service.permission:
        yield f"permission  {service.permission}"
    yield "fields"
    yield from (f"  {name}: {_field(spec)}" for name, spec in service.fields.items())
    yield from _looked_at(service)
    yield from (f"remains     {one.what}: {one.until}" for one in service.residual)
    if service.unconfirmed:
        yield "not confirmed by any source"
        yield from (f"  - {text}" for text in service.unconfirmed)
    yield f"source      {service.source}"
    yield "example"
    yield from (f"  {line}" for line in _example(service))


def _looked_at(service: Service) -> Iterator[str]:
    """Tell what can be listed, by what, and how it is seen that a session is gone."""
    for name in service.discover:
        listing = service.listings[name]
        needs = f" (needs {', '.join(listing.needs)})" if listing.needs else ""
        yield f"discover    by {', '.join(sorted(listing.filters()))}{needs}"
        yield f"  where     {', '.join(listing.fields)}"
        yield f"  tells age {'yes' if listing.began else 'no: nothing says since when a session is there'}"
    if (verify := service.verify) is not None:
        how = f"by the listing {verify.listing}" if verify.listing else "by asking for each target"
        yield f"verified    {how}{', where the group says `verify: true`' if verify.opt_in else ''}"


def _good(service: Service) -> Iterator[str]:
    for name, reading in ({"": service} | dict(service.expect)).items():
        if reading.success is not None:
            when = f" (expect: {name})" if name else ""
            yield f"{reading.success.then} on HTTP {' or '.join(reading.success.status)}{when}"


def _field(spec: FieldSpec) -> str:
    facts = [spec.type, "optional" if spec.optional or spec.default is not None else "required"]
    if spec.secret:
        facts.append("secret: env:NAME or file:PATH in a plan")
    if spec.max is not None:
        facts.append(f"at most {spec.max}{' characters' if spec.type == 'string' else ''}")
    if spec.default is not None:
        facts.append(f"default {spec.default}")
    return ", ".join([*facts, *([spec.about] if spec.about else [])])


def _example(service: Service) -> Iterator[str]:
    yield "- service: " + service.service
    yield "  connection: prod"
    if service.expect:
        yield f"  expect: {next(iter(service.expect))}"
    values = [f'{name}: "env:{name.upper()}"' if spec.secret else f"{name}: ..." for name, spec in _needed(service)]
    yield f"  items: [{{{', '.join(values)}}}]"


def _needed(service: Service) -> Iterator[tuple[str, FieldSpec]]:
    for name, spec in service.fields.items():
        if name in service.key or not (spec.optional or spec.default is not None):
            yield name, spec
