"""One call: whatever happens is a ruling, and what the service said is free of secrets."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Set
from email.utils import formatdate

import pytest

from orchestrator.auth import Admission, CredentialRefused, CredentialUnavailable, Standing
from orchestrator.connector import HttpConnector
from orchestrator.model import Batch, Lost, Request, Response, Ruling, Secret, Target, Verdict
from orchestrator.render import Render

NOW = 1_700_000_000.0
KEY = "key-0123456789"
TICKET = "ticket-9876543210"


class Key:
    """A credential that says how often it was renewed."""

    identity: Hashable = "key"
    locks = True

    def __init__(self, *, renewable: bool = False) -> None:
        self.generation = 1
        self.trouble: Exception | None = None
        self.dropped = False
        self.project_id = "p1"
        self.asked = 0
        self._renewable = renewable

    @property
    def ready(self) -> bool:
        return self.trouble is None

    async def obtain(self) -> None:
        if self.trouble:
            raise self.trouble

    def headers(self, request: Request) -> Mapping[str, str]:
        self.asked += 1
        if self.dropped:
            raise CredentialUnavailable("dropped")
        return {"X-Key": f"{self.generation}"}

    async def renew(self, generation: int) -> bool:
        self.generation += self._renewable
        return self._renewable

    def own(self) -> Mapping[str, Set[str]]:
        return {}

    def secrets(self) -> Iterable[str]:
        return [KEY]

    async def close(self) -> None:
        """Do nothing."""


class Wire:
    """A sender that gives the answers it was given."""

    def __init__(self, *answers: Response | Lost) -> None:
        self.sent: list[Request] = []
        self.timeouts: list[float] = []
        self._answers = list(answers)

    async def send(self, request: Request, timeout: float) -> Response | Lost:  # noqa: ASYNC109
        self.sent.append(request)
        self.timeouts.append(timeout)
        return self._answers.pop(0)


def classify(response: Response, batch: int, now: float) -> Ruling:
    """Read the verdict out of the body: `verdict message`; with `?` at the end it is no answer that is described."""
    verdict, _, message = response.body.decode().partition(" ")
    known, said = not verdict.endswith("?"), message or None
    return Ruling(Verdict(verdict.rstrip("?")), "", response.status, message=said, request_id=said, described=known)


def answer(verdict: str, status: int = 200, **headers: str) -> Response:
    return Response(status, headers, verdict.encode())


def first(project_id: str) -> Render:
    """Compile the operation for a project, without which there is none."""
    if not project_id:
        raise LookupError("the token names no project")
    return lambda targets: Request("POST", "http://there", f"/{project_id}/end", headers={"X-Own": "1"}, body=b"body")


class Bench:
    def __init__(self, *answers: Response | Lost, renewable: bool = False, fallback: bool = False) -> None:
        self.key = Key(renewable=renewable)
        self.wire = Wire(*answers)
        self.standing = Standing(self.key)
        self.connector = HttpConnector(
            [first, lambda project_id: lambda targets: Request("GET", "http://there", "/end")][: 2 if fallback else 1],
            {"": classify, "denied": lambda response, batch, now: Ruling(Verdict.DENIED, status=response.status)},
            self.key,
            Admission(self.key, self.standing),
            self.wire,
            idempotent=True,
            seconds=7.0,
            clock=lambda: NOW,
        )

    async def call(self, expect: str = "") -> Ruling:
        target = Target("service", "prod", "id", {"ticket": Secret(TICKET), "name": "plain"}, expect=expect)
        async with self.connector.turn():
            if not self.connector.ready and (unready := await self.connector.obtain()):
                return unready
            return await self.connector.call(Batch([target], 1))


async def test_a_call_is_rendered_signed_sent_and_read() -> None:
    bench = Bench(answer("ended"))
    assert (await bench.call()).verdict is Verdict.ENDED
    (request,) = bench.wire.sent
    assert (request.method, request.path, request.body) == ("POST", "/p1/end", b"body")
    assert request.headers == {"X-Own": "1", "X-Key": "1"}
    assert bench.wire.timeouts == [7.0]
    assert bench.standing.proven


async def test_what_a_group_expects_chooses_the_reading() -> None:
    assert (await Bench(answer("ended", 403)).call("denied")).verdict is Verdict.DENIED


async def test_every_attempt_is_signed_anew() -> None:
    bench = Bench(answer("retry", 503), answer("ended"))
    await bench.call()
    await bench.call()
    assert bench.key.asked == 2


@pytest.mark.parametrize("sent", [True, False])
async def test_no_answer_is_worth_another_try(sent: bool) -> None:
    ruling = await Bench(Lost("no answer", sent=sent)).call()
    assert (ruling.verdict, ruling.reason, ruling.lost) == (Verdict.RETRY, "no answer", sent)


# The method that is not allowed


async def test_on_405_it_goes_on_with_the_other_method_for_good() -> None:
    bench = Bench(answer("fail", 405), answer("ended"), answer("ended"), fallback=True)
    assert [(await bench.call()).verdict for _ in range(3)] == [Verdict.RETRY, Verdict.ENDED, Verdict.ENDED]
    assert [request.method for request in bench.wire.sent] == ["POST", "GET", "GET"]


async def test_a_405_that_says_a_secret_back_is_scrubbed_too() -> None:
    bench = Bench(answer(f"fail CASTGC={TICKET}", 405), fallback=True)
    assert (await bench.call()).message == "CASTGC=[secret]"


async def test_what_was_handed_over_is_not_said_beside_it() -> None:
    link = "https://x/secret-link"
    bench = Bench(answer("issued"))
    bench.connector._readings = {
        "": lambda response, batch, now: Ruling(Verdict.ISSUED, message=f"go to {link}", handover=Secret(link))
    }
    assert (await bench.call()).message == "go to [secret]"


async def test_a_second_405_is_what_it_is() -> None:
    bench = Bench(answer("fail", 405), answer("fail", 405), fallback=True)
    assert [(await bench.call()).verdict for _ in range(2)] == [Verdict.RETRY, Verdict.FAIL]


async def test_a_405_without_another_method_is_what_it_is() -> None:
    assert (await Bench(answer("fail", 405)).call()).verdict is Verdict.FAIL


# The credential


async def test_a_token_that_has_worked_is_renewed_and_the_call_made_again() -> None:
    bench = Bench(answer("ended"), answer("reauth expired", 401), answer("ended"), renewable=True)
    rulings = [await bench.call() for _ in range(3)]
    assert [ruling.verdict for ruling in rulings] == [Verdict.ENDED, Verdict.REAUTH, Verdict.ENDED]
    assert [request.headers["X-Key"] for request in bench.wire.sent] == ["1", "1", "2"]


async def test_a_fresh_credential_that_is_refused_is_refused_for_good() -> None:
    bench = Bench(answer("reauth wrong signature", 401), renewable=True)
    ruling = await bench.call()
    assert ruling.verdict is Verdict.HALT
    assert "wrong signature" in ruling.reason
    assert bench.connector.refused == ruling.reason
    assert bench.key.generation == 1


async def test_a_key_that_cannot_be_renewed_is_refused_for_good() -> None:
    bench = Bench(answer("ended"), answer("reauth revoked", 401))
    assert [(await bench.call()).verdict for _ in range(2)] == [Verdict.ENDED, Verdict.HALT]
    assert bench.connector.refused is not None


async def test_where_nobody_says_who_is_calling_a_401_is_its_targets_affair() -> None:
    bench = Bench(answer("reauth log in first", 401), answer("ended"))
    bench.key.generation = 0
    assert [(await bench.call()).verdict for _ in range(2)] == [Verdict.FAIL, Verdict.ENDED]
    assert bench.connector.refused is None


async def test_a_token_that_names_no_project_halts_where_one_is_needed() -> None:
    bench = Bench()
    bench.key.project_id = ""
    unready = await bench.connector.obtain()
    assert unready is not None
    assert (unready.verdict, unready.reason) == (Verdict.HALT, "the token names no project")
    assert bench.connector.refused is None


async def test_a_token_that_was_dropped_on_the_way_to_the_call_is_got_anew() -> None:
    bench = Bench()
    bench.key.dropped = True
    assert (await bench.call()).verdict is Verdict.REAUTH
    assert bench.wire.sent == []


@pytest.mark.parametrize("skew", [1260, -1260])
async def test_a_refusal_names_a_clock_that_is_wrong(skew: int) -> None:
    ruling = await Bench(answer("reauth expired", 401, date=formatdate(NOW + skew, usegmt=True))).call()
    assert "clock differs by 1260 s" in ruling.reason


@pytest.mark.parametrize(
    ("verdict", "status", "proven"),
    [
        ("ended", 200, True),
        ("fail", 400, True),
        ("fail", 404, True),
        ("fail?", 404, False),  # who answers at a wrong address never looked at it
        ("fail?", 302, False),
        ("fail?", 200, False),
        ("retry", 503, False),
        ("throttle", 429, False),
        ("retry", 408, False),
        ("halt", 403, False),
    ],
)
async def test_what_shows_that_a_credential_works(verdict: str, status: int, proven: bool) -> None:
    bench = Bench(answer(verdict, status))
    await bench.call()
    assert bench.standing.proven is proven


async def test_a_credential_that_cannot_be_had_halts() -> None:
    bench = Bench()
    bench.key.trouble = CredentialRefused("the password is wrong", "IAM.0062")
    ruling = await bench.call()
    assert (ruling.verdict, ruling.reason, ruling.code) == (Verdict.HALT, "the password is wrong", "IAM.0062")
    assert bench.connector.refused == "the password is wrong"
    assert bench.wire.sent == []


async def test_a_credential_that_cannot_be_had_for_now_is_waited_for() -> None:
    bench = Bench()
    bench.key.trouble = CredentialUnavailable("IAM does not answer")
    ruling = await bench.call()
    assert (ruling.verdict, ruling.lost) == (Verdict.RETRY, False)
    assert bench.connector.refused is None


# Secrets


@pytest.mark.parametrize("secret", [KEY, TICKET])
@pytest.mark.parametrize("verdict", ["ended", "fail", "retry", "halt", "reauth"])
async def test_a_secret_that_the_service_says_back_is_taken_out(secret: str, verdict: str) -> None:
    ruling = await Bench(answer(f"{verdict} not {secret}, plain", 401 if verdict == "reauth" else 200)).call()
    assert secret not in repr(ruling)
    assert ruling.message == ruling.request_id == "not [secret], plain"


@pytest.mark.parametrize("secret", [KEY, TICKET])
async def test_a_secret_that_was_cut_off_is_taken_out_too(secret: str) -> None:
    ruling = await Bench(answer(f"fail {'.' * 500}{secret[:9]}")).call()
    assert ruling.message == "." * 500 + "[secret]"
