"""No secret leaves the program but to the service that it is for, and a link to its own file."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from orchestrator.journal import SqliteJournal
from orchestrator.sandbox.state import (
    ACCESS_KEY,
    PASSWORD,
    SECRET_KEY,
    SECURITY_TOKEN,
    TEMPORARY_KEY,
    TEMPORARY_SECRET,
)

from .echo import WAYS, echoing
from .support import TEMPORARY, Done, Site, until

LOUD = ("--log-level", "debug", "--log-format", "json")
PIECE = 14  # so many characters of a secret in a row are taken for a leak
TOKEN_BYTES = 3000
FORMATS = ("html", "json", "csv", "junit", "markdown")
ECHO = {
    "service": "echo.sessions",
    "title": "Echo",
    "about": "Ends nothing and says everything.",
    "source": "made up",
    "endpoint": {"own": "http://127.0.0.1:1"},
    "auth": ["bearer", "basic", "cookie"],
    "key": ["id"],
    "fields": {"id": {"max": 64}, "ticket": {"secret": True}},
    "limits": {"rate": "1000/s", "concurrency": 4, "attempts": 2, "backoff": "1ms", "backoff_cap": "2ms"},
    "end": {
        "method": "POST",
        "path": "/end/{id}",
        "headers": {"Content-Type": "application/json"},
        "json": {"ticket": "{ticket}"},
        "idempotent": True,
    },
    "success": {"status": 200, "body": {"error_code": {"absent": True}}, "then": "ended"},
}
ACCOUNT = {
    "access key": ACCESS_KEY,
    "secret key": SECRET_KEY,
    "temporary key": TEMPORARY_KEY,
    "temporary secret": TEMPORARY_SECRET,
    "security token": SECURITY_TOKEN,
    "password": PASSWORD,
}
HELD = {
    "ECHO_BEARER": "bearer-Zq8Lr2Vn5Tx7Wy1Kb3Md6Pf9",
    "ECHO_LONG": "long-" + "".join(f"{n:x}Gh" for n in range(1000, 1400)),
    "ECHO_PASSWORD": 'p"a&ss/w+o%rd <Xy7Qm2> ä',
    "ECHO_COOKIE": "cookie-Hs4Jd8Ka1Lz6Xc3Vb9Nm2Qw5",
    "ECHO_REFUSED": "refused-Ty7Ui3Op8As5Df2Gh6Jk1Lp4",
    "ECHO_TICKET": "ticket-Cv6Bn1Mq4We8Rt3Yu7Io2Pa9",
}


def spellings(secret: str) -> Iterator[bytes]:
    """Yield a secret as it is and as it may be dressed up, and enough of it to be one all the same."""
    plain = secret.encode()
    yield from (plain, quote(secret).encode(), quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode())
    for encoded in (base64.b64encode(plain), base64.urlsafe_b64encode(plain)):
        yield encoded.rstrip(b"=")
    if len(plain) >= 2 * PIECE:
        yield from (plain[:PIECE], plain[-PIECE:], plain[len(plain) // 2 :][:PIECE])


def places(site: Site, done: Iterable[Done]) -> Iterator[tuple[str, bytes]]:
    """Yield everything that the program wrote, but for the links."""
    for number, one in enumerate(done):
        yield f"standard output {number}", one.out.encode()
        yield f"standard error {number}", one.err.encode()
    for folder in (site.state_dir, site.folder / "reports"):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "links" not in path.parts:
                yield str(path.relative_to(site.folder)), path.read_bytes()


def leaks(site: Site, done: Iterable[Done], secrets: Mapping[str, str]) -> list[str]:
    forms = {form: name for name, secret in secrets.items() for form in spellings(secret)}
    return [
        f"{name} in {place}: ...{content[max(0, at - 60) : at + 30]!r}"
        for place, content in places(site, done)
        for form, name in forms.items()
        if (at := content.find(form)) >= 0
    ]


@pytest.fixture
def wal_is_kept(site: Site) -> Iterator[Path]:
    """Hold the journal open, so that its write-ahead log outlives the run and can be looked at."""
    SqliteJournal(site.state_dir / "journal.sqlite").close()
    with closing(sqlite3.connect(site.state_dir / "journal.sqlite")) as reader:
        reader.execute("SELECT COUNT(*) FROM runs").fetchall()
        yield site.state_dir / "journal.sqlite-wal"


def break_everything(site: Site, carried: Sequence[str]) -> None:
    """Let each service say back what it was sent, once or for ever; a call holds its own target's secret only."""
    keys = f"{ACCESS_KEY} {SECRET_KEY}"
    temporary = f"{TEMPORARY_KEY} {TEMPORARY_SECRET} {SECURITY_TOKEN}"
    refused = json.dumps({"error_code": carried[0], "error_msg": f"{keys} {carried[0]} {quote(carried[0])}"})
    failed = json.dumps({"error_code": SECRET_KEY, "error_msg": "." * 490 + carried[1]})
    login = json.dumps({"error_code": PASSWORD, "error_msg": f"{PASSWORD} or {PASSWORD}"})
    expired = json.dumps({"error_code": "APIGW.0307", "error_msg": PASSWORD})
    cookie = f"<html>{'.' * 480} {carried[8]}"
    site.fault("dcs", "status", status=403, body=refused, match=carried[0])
    site.fault("dcs", "status", status=500, body=failed, match=carried[1], times=None)
    site.fault("dcs", "status", status=400, body=f"{temporary} {carried[5]}", match=carried[5])
    site.fault("cas", "status", status=403, body=cookie)
    site.fault("iam", "status", status=503, body=login)
    site.fault("das", "status", status=401, body=expired, after=1)


def test_nothing_of_the_cloud_services_secrets_is_ever_written(site: Site, wal_is_kept: Path) -> None:
    site.settings(token_bytes=TOKEN_BYTES)
    site.configure(connections={"temporary": site.connection(TEMPORARY)})
    webcli, more = site.webcli(4), site.webcli(4, "temporary", "other-")
    tickets, bastions = site.tickets(1), site.bastions(2)
    tokens = [site.databases(2, "token"), site.app_sessions(2, "token")]
    files = [site.folder / str(group["from"]) for group in (webcli, more, tickets)]
    carried = [row.split(",")[-1].strip() for file in files for row in file.read_text().splitlines()[1:]]
    every = {f"target {n}": value for n, value in enumerate(carried)} | ACCOUNT
    break_everything(site, carried)

    done = site.command("run", site.plan(webcli, more, tickets, bastions, *tokens), *LOUD)

    assert done.code == 3, done
    assert site.latest.outcomes == Counter(ended=7, failed=4, accepted=2, issued=2)
    assert '"event": "attempt"' in done.err
    assert wal_is_kept.stat().st_size > 0
    shown = [site.run("show", "latest"), *(site.run("report", "latest", "--format", form) for form in FORMATS)]
    written = [done, *shown]
    assert leaks(site, written, every) == []
    for _, content in places(site, written):
        assert not re.search(rb"MII[A-Za-z0-9_-]{30}|A{60}", content)  # a token
        assert b"cbhinfo=" not in content  # a link


def test_what_iam_says_about_a_wrong_password_does_not_hold_it(site: Site) -> None:
    said = {"error_code": PASSWORD, "error_msg": f"not the password: {PASSWORD}"}
    site.fault("iam", "status", status=401, body=json.dumps(said))
    done = site.command("run", site.plan(site.databases(2, "token")), *LOUD)
    assert done.code == 3
    assert "not the password" in done.out
    assert leaks(site, [done], {"password": PASSWORD}) == []


def test_a_link_is_in_a_file_that_only_its_owner_reads(site: Site) -> None:
    done = site.command("run", site.plan(site.bastions(2)), *LOUD)
    folder = site.latest.folder / "links"
    links = sorted(folder.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(link.stat().st_mode) for link in links] == [0o600, 0o600]
    values = {link.name: link.read_text() for link in links}
    assert all(re.fullmatch(r"https://192\.0\.2\.10:443\?cbhinfo=[\w-]{64}", value) for value in values.values())
    assert {record["reason"].rsplit("/", 1)[-1] for record in site.latest.records} == set(values)
    assert leaks(site, [done], values) == []


def test_everything_that_is_written_is_for_its_owner_only(site: Site) -> None:
    assert site.run("run", site.plan(site.webcli(2), site.bastions(1))).code == 0
    for root in (site.state_dir, site.latest.folder.resolve()):
        for path in [root, *root.rglob("*")]:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_no_secret_is_left_behind_by_a_kill(site: Site) -> None:
    site.configure({"dcs.webcli": {"rate": "40/s"}})
    webcli = site.webcli(100)
    rows = (site.folder / str(webcli["from"])).read_text().splitlines()[1:]
    with site.started("run", site.plan(webcli), *LOUD) as process:
        until(lambda: len(site.durable()) > 5)
        process.kill()
        out, err = process.communicate()
    secrets = {f"client_id {n}": row.split(",")[1] for n, row in enumerate(rows)}
    assert (site.state_dir / "journal.sqlite-wal").stat().st_size > 0
    assert leaks(site, [Done(-9, out, err)], secrets | {"secret key": SECRET_KEY, "access key": ACCESS_KEY}) == []


# A server that says everything back


@pytest.fixture
def echo(site: Site) -> Iterator[Site]:
    """Return a site whose connections lead to the server that echoes, by every kind of fixed credential."""
    (site.folder / "catalogue").mkdir()
    site.write("catalogue/echo.sessions.yaml", ECHO)
    with echoing() as url:
        kinds = {
            "bearer": {"type": "bearer", "token": "env:ECHO_BEARER"},
            "long": {"type": "bearer", "token": "env:ECHO_LONG"},
            "basic": {"type": "basic", "user": "cleaner", "password": "env:ECHO_PASSWORD"},
            "cookie": {"type": "cookie", "cookies": {"JSESSIONID": "env:ECHO_COOKIE"}},
            "refused": {"type": "bearer", "token": "env:ECHO_REFUSED"},
        }
        connections = {name: {"endpoint": url, "auth": auth} for name, auth in kinds.items()}
        site.configure(connections=connections, catalogue=["catalogue"])
        yield site


@pytest.mark.parametrize("connection", ["bearer", "long", "basic", "cookie", "refused"])
def test_what_a_server_echoes_is_taken_out(echo: Site, connection: str) -> None:
    ways = ("unauthorized",) if connection == "refused" else WAYS
    items = [{"id": way, "ticket": "env:ECHO_TICKET"} for way in ways]
    plan = echo.plan({"service": "echo.sessions", "connection": connection, "items": items})

    done = echo.command("run", plan, *LOUD, environment=HELD)

    assert done.code == 3
    assert len(echo.latest.records) == len(ways)
    assert not echo.latest.outcomes["ended"]
    encoded = base64.b64encode(f"cleaner:{HELD['ECHO_PASSWORD']}".encode()).decode()
    assert leaks(echo, [done], {**HELD, "basic": encoded}) == []
