"""Looks at connections side by side, each within its time, and changes nothing: a login is revoked again at the end.

What is asked: every address without a credential, then who calls, then one item of a listing of every service. A
credential is shared as in a run, so that a wrong one is tried once, however many connections use it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from orchestrator import diagnosis, probes
from orchestrator.auth import Standing
from orchestrator.catalogue import Catalogue
from orchestrator.connections import Connections, Linked
from orchestrator.diagnosis import Check, Diagnosis, Found, Status
from orchestrator.errors import InvalidInput
from orchestrator.model import Request, Response, Ruling
from orchestrator.questions import Proof, Questions
from orchestrator.service import Service
from orchestrator.settings import ConfigFile, Connection

CALL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look at: connections and services by name, all of them where none is named, and for how long each."""

    connections: Sequence[str] = ()
    services: Sequence[str] = ()
    seconds: float = 30.0

    @property
    def call_seconds(self) -> float:
        """Return how long one call may take, so that one that hangs leaves time for others."""
        return min(CALL_SECONDS, self.seconds / 3)


async def examine(config_file: ConfigFile, known: Catalogue, wanted: Wanted) -> list[Diagnosis]:
    """Look at connections side by side; return what was found, in the order of the config."""
    configured = config_file.config.connections
    names = [name for name in configured if not wanted.connections or name in wanted.connections]
    found = {name: Diagnosis(name, configured[name].auth.type) for name in names}
    sound = [name for name in names if _references(config_file, found[name])]
    connections = Connections(config_file, {name: configured[name] for name in sound})
    proofs: defaultdict[Standing, Proof] = defaultdict(Proof)
    async with connections, anyio.create_task_group() as group:
        for name in sound:
            linked = connections.linked[name]
            one = Examination(found[name], configured[name], linked, known, proofs[linked.standing], wanted)
            group.start_soon(one.run)
    for diagnosed in found.values():
        diagnosed.sort()
    return list(found.values())


def _references(config_file: ConfigFile, found: Diagnosis) -> bool:
    """Check that what a connection refers to is there, and fits into a header; it sends nothing."""
    try:
        Connections(config_file, {found.connection: config_file.config.connections[found.connection]})
    except InvalidInput as error:
        faults = [f"{fault.path}: {fault.message}" if fault.path else fault.message for fault in error.faults]
        said = "; ".join(fault.removeprefix(f"connections.{found.connection}.") for fault in faults)
        found.checks.append(Check("references", Status.FAILED, said, do="set what is referred to, or correct it"))
        return False
    found.checks.append(Check("references", Status.OK, "all that it refers to is there"))
    return True


class Examination:
    """One connection, looked at once."""

    def __init__(
        self, found: Diagnosis, connection: Connection, linked: Linked, known: Catalogue, proof: Proof, wanted: Wanted
    ) -> None:
        self._found = found
        self._connection = connection
        self._linked = linked
        self._wanted = wanted
        self._questions = Questions(found.connection, connection, linked, known, proof, wanted.call_seconds)
        services = [one for name, one in known.services.items() if not wanted.services or name in wanted.services]
        self._services = probes.usable(connection, services)
        self._unusable = [name for name in wanted.services if name not in self._services]
        self._asked: list[tuple[Found, str]] = []
        self._dates: dict[str, str | None] = {}

    async def run(self) -> None:
        """Look at everything within the time there is."""
        for name in self._unusable if self._wanted.connections else ():
            self._found.checks.append(diagnosis.unusable(name, self._connection.auth.type))
        with anyio.move_on_after(self._wanted.seconds) as scope:
            if await self._reach():
                await self._ask_all()
        if scope.cancelled_caught:
            said = f"not through within {self._wanted.seconds:g} s; what is not listed was not looked at"
            self._note("time", Status.FAILED, said, "something answers late or never; --timeout gives more time")

    def _note(self, name: str, status: Status, said: str, do: str = "") -> None:
        self._found.checks.append(Check(name, status, said, do=do))

    # The way there

    async def _reach(self) -> bool:
        """Ask every address without a credential; return whether there is any use in asking more."""
        urls = probes.addresses(self._connection, self._services.values())
        if not urls:
            said = "it has no address for any service of the catalogue that takes its auth"
            self._note("reachable", Status.WARNING, said, "give the connection an endpoint")
            return False
        checks: list[Check] = []
        async with anyio.create_task_group() as group:
            for url in urls:
                group.start_soon(self._knock, url, checks)
        self._found.checks += diagnosis.soften(checks)
        dead = {check.about for check in checks if check.status is Status.FAILED}
        self._services = {
            name: one for name, one in self._services.items() if probes.url_of(one, self._connection) not in dead
        }
        if len(dead) == len(urls):
            self._note("credentials", Status.SKIPPED, "not tried: nothing answers")
            return False
        return self._in_time() and not self._has_no_login(dead)

    async def _knock(self, url: str, checks: list[Check]) -> None:
        answer = await self._linked.transport.send(Request("GET", url, "/"), self._wanted.call_seconds)
        checks.append(diagnosis.reachable(url, answer))
        if isinstance(answer, Response):
            self._dates[url] = answer.headers.get("date")

    def _has_no_login(self, dead: set[str]) -> bool:
        """Fail where the one address is dead that a token comes from."""
        if self._connection.auth.type != "iam-token" or self._connection.iam_url not in dead:
            return False
        self._note("credentials", Status.FAILED, "not tried: IAM cannot be reached", "see what is said of its address")
        return True

    def _in_time(self) -> bool:
        """Compare the clocks; a signature that is sure to be refused is not sent, because some lock the key."""
        signs = self._connection.auth.type == "aksk"
        check = diagnosis.clock(self._dates, time.time(), signs=signs)
        self._found.checks.append(check)
        if check.status is Status.FAILED:
            said = "not tried: with this clock every signature is refused, and a few of those lock the key"
            self._note("credentials", Status.SKIPPED, said)
        return check.status is not Status.FAILED

    # What is asked

    async def _ask_all(self) -> None:
        """Ask who calls, then every service; what was asked until the time was up says whether it is accepted."""
        kind = self._found.auth
        try:
            if kind == "iam-token":
                self._heard(*await self._questions.log_in())
            elif kind == "aksk" and (url := probes.sts_url(self._connection)):
                self._heard(*await self._questions.key_holder(url))
            await self._ask_services()
        finally:
            self._found.who = self._questions.who
            if self._asked or kind == "none" or not any(map(probes.listing_of, self._services.values())):
                self._found.checks.append(diagnosis.credentials(kind, self._asked, self._found.who))

    def _heard(self, found: Found, ruling: Ruling) -> None:
        """Keep what an answer shows of the credential; where nobody can tell who calls, it shows nothing."""
        if found in (Found.ACCEPTED, Found.REFUSED) or self._found.auth == "iam-token":
            self._asked.append((found, diagnosis.words(ruling)))

    async def _ask_services(self) -> None:
        """Ask every service for one item of a listing, one after the other, until the credential is refused."""
        answers: list[tuple[Service, str, Found, Ruling]] = []
        for name, service in self._services.items():
            if (listing := probes.listing_of(service)) is None:
                self._found.checks.append(diagnosis.not_asked(name, service.permission))
            elif not any(found is Found.REFUSED for found, _ in self._asked):
                found, ruling = await self._questions.listing(service, listing[1])
                self._asked.append((found, diagnosis.words(ruling)))
                answers.append((service, listing[0], found, ruling))
        self._judge(answers)
        if not self._asked and self._services:
            said = "nothing was asked of any service: that the right one answers there is not known"
            self._note("permission", Status.WARNING, said, "try one target that may be ended")

    def _judge(self, answers: Sequence[tuple[Service, str, Found, Ruling]]) -> None:
        """Note what the listings show; one that is not let in fails where it was named, or where none is let in."""
        strict = bool(self._wanted.services) or all(found is not Found.ACCEPTED for _, _, found, _ in answers)
        for service, listing, found, ruling in answers:
            if found is not Found.REFUSED:
                check = diagnosis.permission(service.service, listing, service.permission, found, ruling, strict=strict)
                self._found.checks.append(check)
