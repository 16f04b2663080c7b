"""From the last ruling to the outcome."""

from __future__ import annotations

import pytest

from orchestrator.conclusion import Trail, conclusion, splits, summary
from orchestrator.model import Outcome, Ruling, Verdict


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.ENDED, Outcome.ENDED),
        (Verdict.ACCEPTED, Outcome.ACCEPTED),
        (Verdict.ABSENT, Outcome.ALREADY_ENDED),
        (Verdict.DENIED, Outcome.DENIED),
        (Verdict.ISSUED, Outcome.ISSUED),
        (Verdict.ACTIVE, Outcome.STILL_ACTIVE),
        (Verdict.FAIL, Outcome.FAILED),
        (Verdict.HALT, Outcome.FAILED),
        (Verdict.SPLIT, Outcome.FAILED),
        (Verdict.REAUTH, Outcome.FAILED),
        (Verdict.RETRY, Outcome.FAILED),
        (Verdict.THROTTLE, Outcome.FAILED),
    ],
    ids=str,
)
def test_a_verdict_at_the_first_attempt(verdict: Verdict, outcome: Outcome) -> None:
    assert conclusion(Ruling(verdict, "because", 200), Trail(1), repeatable=True)[0] is outcome


@pytest.mark.parametrize("verdict", [Verdict.ENDED, Verdict.ABSENT, Verdict.DENIED])
def test_a_clear_word_settles_every_doubt(verdict: Verdict) -> None:
    outcome, reason = conclusion(Ruling(verdict, "because"), Trail(3, 1.0, True, True), repeatable=False)
    assert outcome is not Outcome.UNKNOWN
    assert reason == "because"


@pytest.mark.parametrize(
    ("trail", "ruling", "repeatable", "outcome", "words"),
    [
        pytest.param(
            Trail(5),
            Ruling(Verdict.RETRY, "busy", 400, "DCS.4026"),
            True,
            Outcome.FAILED,
            "gave up after 5 attempts: busy (HTTP 400, DCS.4026)",
            id="gave-up",
        ),
        pytest.param(
            Trail(5, lost=True, in_doubt=True),
            Ruling(Verdict.RETRY, "reset", lost=True),
            True,
            Outcome.UNKNOWN,
            "gave up after 5 attempts: reset",
            id="an-answer-was-lost",
        ),
        pytest.param(
            Trail(5, lost=True, in_doubt=True),
            Ruling(Verdict.THROTTLE, "", 429),
            True,
            Outcome.UNKNOWN,
            "HTTP 429",
            id="an-answer-was-lost-on-the-way",
        ),
        pytest.param(
            Trail(1, in_doubt=True),
            Ruling(Verdict.RETRY, "", 503),
            False,
            Outcome.UNKNOWN,
            "must not be repeated: HTTP 503",
            id="must-not-be-repeated",
        ),
        pytest.param(
            Trail(5, in_doubt=True),
            Ruling(Verdict.RETRY, "", 503),
            True,
            Outcome.FAILED,
            "gave up after 5 attempts: HTTP 503",
            id="answered-every-time",
        ),
        pytest.param(
            Trail(2, lost=True, in_doubt=True),
            Ruling(Verdict.HALT, "come back in two hours", 429),
            True,
            Outcome.UNKNOWN,
            "may have ended it; then: come back in two hours (HTTP 429)",
            id="halted-after-an-answer-was-lost",
        ),
        pytest.param(
            Trail(2, in_doubt=True),
            Ruling(Verdict.HALT, "wrong key", 401),
            True,
            Outcome.FAILED,
            "wrong key",
            id="halted-after-an-error-that-was-answered",
        ),
        pytest.param(
            Trail(2, in_doubt=True),
            Ruling(Verdict.FAIL, "no", 404, "X"),
            True,
            Outcome.UNKNOWN,
            "may have ended it; then: no (HTTP 404, X)",
            id="refused-after-a-doubt-404",
        ),
        pytest.param(
            Trail(2, in_doubt=True),
            Ruling(Verdict.FAIL, "no", 400),
            True,
            Outcome.UNKNOWN,
            "may have ended it",
            id="refused-after-a-doubt-400",
        ),
        pytest.param(
            Trail(2, in_doubt=True),
            Ruling(Verdict.FAIL, "no", 403),
            True,
            Outcome.FAILED,
            "no",
            id="forbidden",
        ),
        pytest.param(Trail(2), Ruling(Verdict.FAIL, "no", 404), True, Outcome.FAILED, "no", id="refused"),
        pytest.param(Trail(1), Ruling(Verdict.FAIL, "", 400, "X"), True, Outcome.FAILED, "HTTP 400, X", id="no-reason"),
    ],
)
def test_what_may_have_taken_effect_is_unknown(
    trail: Trail, ruling: Ruling, repeatable: bool, outcome: Outcome, words: str
) -> None:
    found, reason = conclusion(ruling, trail, repeatable=repeatable)
    assert found is outcome
    assert words in reason


@pytest.mark.parametrize(
    ("rulings", "lost", "in_doubt"),
    [
        pytest.param([], False, False, id="nothing-yet"),
        pytest.param([Ruling(Verdict.THROTTLE, status=429)], False, False, id="throttled"),
        pytest.param([Ruling(Verdict.RETRY, lost=False)], False, False, id="never-connected"),
        pytest.param([Ruling(Verdict.RETRY, lost=True)], True, True, id="lost"),
        pytest.param([Ruling(Verdict.RETRY, status=502)], False, True, id="server-error"),
        pytest.param(
            [Ruling(Verdict.RETRY, lost=True), Ruling(Verdict.FAIL, status=400)], True, True, id="doubt-stays"
        ),
    ],
)
def test_the_trail_remembers_doubt(rulings: list[Ruling], lost: bool, in_doubt: bool) -> None:
    trail = Trail()
    for ruling in rulings:
        trail.note(ruling)
    assert (trail.lost, trail.in_doubt) == (lost, in_doubt)


@pytest.mark.parametrize(
    ("verdict", "status", "code", "halved"),
    [
        (Verdict.SPLIT, 200, "WKS.1", True),
        (Verdict.FAIL, 400, None, True),
        (Verdict.FAIL, 404, "WKS.1", True),
        (Verdict.FAIL, 404, None, False),
        (Verdict.FAIL, 404, "404", False),
        (Verdict.FAIL, 200, "WKS.1", False),
        (Verdict.FAIL, 500, None, False),
        (Verdict.RETRY, 409, None, True),
        (Verdict.RETRY, 503, None, False),
        (Verdict.THROTTLE, 429, None, False),
    ],
)
def test_what_is_worth_halving(verdict: Verdict, status: int, code: str | None, halved: bool) -> None:
    assert splits(Ruling(verdict, "no", status, code)) is halved


@pytest.mark.parametrize(
    ("ruling", "words"),
    [
        (Ruling(Verdict.FAIL, "no", 400, "X"), "no (HTTP 400, X)"),
        (Ruling(Verdict.FAIL, "no"), "no"),
        (Ruling(Verdict.FAIL, "", 400), "HTTP 400"),
        (Ruling(Verdict.FAIL, "", None, "X"), "X"),
        (Ruling(Verdict.FAIL), "fail"),
    ],
    ids=str,
)
def test_summary(ruling: Ruling, words: str) -> None:
    assert summary(ruling) == words
