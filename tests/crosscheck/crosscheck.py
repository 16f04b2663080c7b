"""Our signatures against the official SDK's, over random requests; started by .ci/crosscheck, not by pytest."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from urllib.parse import quote

from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer as OfficialSigner

from orchestrator.auth.signature import Signer
from orchestrator.model import Request, Secret
from orchestrator.render import encode_query

Parameter = str | int | list[str]

CASES = 3000
SEED = 20240102
LETTERS = "abcXYZ019-_.~ %+&=/?#'()*!@:;,$[]{}|\\^`\"<>éß中日🎉"
HOSTS = ("dcs.cn-north-4.myhuaweicloud.com", "workspace.eu-west-101.myhuaweicloud.eu", "10.0.0.5", "[::1]")
CONTENT_TYPES = (
    "",
    "application/json",
    "application/json;charset=utf-8",
    "application/bson",
    "text/plain",
    "application/x-www-form-urlencoded",
)


@dataclass(frozen=True)
class Case:
    """One request as it is meant, before either side has put it into a form."""

    method: str
    host: str
    path: str
    parameters: dict[str, Parameter]
    content_type: str
    body: bytes
    project_id: str
    token: str
    access_key: str
    secret_key: str
    now: int


class Dice:
    """Random parts of requests, the same ones in every run."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def text(self, longest: int, shortest: int = 0) -> str:
        return "".join(self._random.choices(LETTERS, k=self._random.randint(shortest, longest)))

    def key(self) -> str:
        return "".join(self._random.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=20))

    def maybe(self, make: Callable[[], str]) -> str:
        return make() if self._random.random() < 0.5 else ""

    def host(self) -> str:
        return self._random.choice(HOSTS) + self._random.choice(("", ":8443", ":20009", ":80"))

    def path(self) -> str:
        segments = [quote(self.text(8), safe=self._random.choice(("", "~", "'()*!"))) for _ in range(self.number(4))]
        return "/" + "/".join(segments) + self._random.choice(("", "/", "/a%2fb", "/%7Ex"))

    def number(self, most: int) -> int:
        return self._random.randint(0, most)

    def value(self) -> Parameter:
        texts: list[str] = [self.text(6) for _ in range(self.number(3))]
        return self._random.choice((self.text(8), self.number(10**6), self.number(1) == 1, texts))

    def case(self) -> Case:
        return Case(
            method=self._random.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD")),
            host=self.host(),
            path=self.path(),
            parameters={self.text(6, 1): self.value() for _ in range(self.number(4))},
            content_type=self._random.choice(CONTENT_TYPES),
            body=self._random.choice((b"", self.text(30).encode(), self._random.randbytes(20))),
            project_id=self.maybe(self.key),
            token=self.maybe(self.key),
            access_key=self.key(),
            secret_key=self.text(40, 1),
            now=self._random.randint(0, 4 * 10**9),
        )


def ours(case: Case) -> tuple[dict[str, str], str]:
    """Sign with this project, in the form in which the request would be sent."""
    content = {"Content-Type": case.content_type} if case.content_type else {}
    token = Secret(case.token) if case.token else None
    signer = Signer(case.access_key, Secret(case.secret_key), token, case.project_id)
    query = encode_query(case.parameters)
    request = Request(case.method, f"https://{case.host}", case.path, query, content, case.body)
    return {**content, **signer.sign(request, case.now)}, request.url


def theirs(case: Case, date: str) -> tuple[dict[str, str], str]:
    """Sign with the SDK, which is told the headers that its credentials class would set."""
    headers = {
        "X-Sdk-Date": date,
        "Content-Type": case.content_type,
        "X-Project-Id": case.project_id,
        "X-Security-Token": case.token,
    }
    request = SdkRequest(
        method=case.method,
        schema="https",
        host=case.host,
        resource_path=case.path,
        query_params=list(case.parameters.items()),
        header_params={name: value for name, value in headers.items() if value},
        body=case.body,
    )
    keys = SimpleNamespace(ak=case.access_key, sk=case.secret_key)
    signed = OfficialSigner(keys).sign(request)
    return dict(signed.header_params), str(signed.url)


def agrees(case: Case) -> bool:
    """Compare every header and the URL as sent, and say where they differ."""
    our_headers, our_url = ours(case)
    their_headers, their_url = theirs(case, our_headers["X-Sdk-Date"])
    if (our_headers, our_url) == (their_headers, their_url):
        return True
    sys.stdout.write(f"{case}\n  ours:   {our_headers} {our_url}\n  theirs: {their_headers} {their_url}\n")
    return False


def main() -> int:
    """Compare, count, and fail unless every single one agrees."""
    dice = Dice(SEED)
    passed = sum(agrees(dice.case()) for _ in range(CASES))
    sys.stdout.write(f"{passed} passed, {CASES - passed} failed\n")
    return 0 if passed == CASES else 1


if __name__ == "__main__":
    sys.exit(main())
