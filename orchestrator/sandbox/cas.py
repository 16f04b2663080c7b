"""The CAS server of an MRS Manager, after Jasig CAS 3.x and its LogoutController: cookies and pages, no codes."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from aiohttp import web

from orchestrator.sandbox.answers import page
from orchestrator.sandbox.call import Call, Operation

TICKET_COOKIE, LOGIN_COOKIE = "CASTGC", "casSessionId"
_FORM = """<html><body><form id="fm1" method="post">
<input name="username"/><input name="password" type="password"/>
<input type="hidden" name="lt" value="{lt}"/><input type="hidden" name="_eventId" value="submit"/>
<input name="submit" type="submit" value="Login"/>{notice}</form></body></html>"""
_WRONG = "<div>The credentials you provided cannot be determined to be authentic.</div>"
_LOGGED_IN = "<html><body><h2>Log In Successful</h2>You have successfully logged in.</body></html>"
_LOGGED_OUT = "<html><body><h2>Logout successful</h2>You have successfully logged out.</body></html>"


@dataclass(slots=True)
class Cas:
    """The users, the living ticket-granting tickets with their user, and the login forms that are open."""

    users: dict[str, str] = field(default_factory=dict)
    tickets: dict[str, str] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)

    def issue(self, user: str) -> str:
        """Issue a ticket-granting ticket."""
        ticket = f"TGT-{len(self.tickets) + 1}-{secrets.token_hex(25)}-cas"
        self.tickets[ticket] = user
        return ticket


def show_login(call: Call) -> web.Response:
    """Show the login form, or to the holder of a living ticket a page without it."""
    if call.request.cookies.get(TICKET_COOKIE, "") in call.world.cas.tickets:
        return page(_LOGGED_IN)
    return _form(call)


def _form(call: Call, notice: str = "") -> web.Response:
    session, login_ticket = secrets.token_hex(16), f"LT-{secrets.token_hex(16)}"
    call.world.cas.forms[session] = login_ticket
    answer = page(_FORM.format(lt=login_ticket, notice=notice))
    answer.set_cookie(LOGIN_COOKIE, session, path="/cas", httponly=True)
    return answer


def log_in(call: Call) -> web.Response:
    """Take the form: a ticket in a cookie, or the form again; a `service` is redirected to, as CAS must."""
    sent = {name: values[0] for name, values in parse_qs(call.body.decode(errors="replace")).items()}
    cas, user = call.world.cas, sent.get("username", "")
    expected = cas.forms.pop(call.request.cookies.get(LOGIN_COOKIE, ""), None)
    if expected is None or sent.get("lt") != expected or sent.get("_eventId") != "submit":
        return _form(call)
    if user not in cas.users or cas.users[user] != sent.get("password"):
        call.world.ledger.auth_failures[user] += 1
        return _form(call, _WRONG)
    answer = page(_LOGGED_IN)
    answer.set_cookie(TICKET_COOKIE, cas.issue(user), path="/cas", httponly=True)
    if (service := call.request.query.get("service")) is not None:
        answer.set_status(302)
        separator = "&" if "?" in service else "?"
        answer.headers["Location"] = f"{service}{separator}ticket=ST-{secrets.token_hex(16)}-cas"
    return answer


def log_out(call: Call) -> web.Response:
    """Show the logout page whatever happens; only a cookie that was received is cleared, its ticket ended."""
    if call.request.method == "POST" and not call.world.cas_post:
        refusal = page("<html><body>HTTP Status 405 - Method Not Allowed</body></html>", 405)
        refusal.headers["Allow"] = "GET, HEAD"
        return refusal
    answer = page(_LOGGED_OUT)
    ticket = call.request.cookies.get(TICKET_COOKIE)
    if ticket is not None:
        if ticket in call.world.cas.tickets:
            call.world.end("cas", ticket, lambda _moment: call.world.cas.tickets.pop(ticket, None))
        if call.world.cas_clears_cookie:
            answer.set_cookie(TICKET_COOKIE, "", max_age=0, path="/cas", httponly=True)
    return answer


def _logout_targets(call: Call) -> Iterable[str]:
    return (call.request.cookies.get(TICKET_COOKIE, ""),)


OPERATIONS = (
    Operation("cas", "login_form", "GET", "/cas/login", show_login, open=True),
    Operation("cas", "login", "POST", "/cas/login", log_in, open=True),
    Operation("cas", "logout", "POST", "/cas/logout", log_out, open=True, targets=_logout_targets),
    Operation("cas", "logout", "GET", "/cas/logout", log_out, open=True, targets=_logout_targets),
)
