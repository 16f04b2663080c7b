"""The kind `none`: the service asks for no credential, or the call itself carries it."""

from __future__ import annotations

from orchestrator.auth.fixed import Fixed


def none() -> Fixed:
    """Build the credential that adds nothing."""
    return Fixed({}, [], generation=0)
