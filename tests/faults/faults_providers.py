"""Scenarios in which a provider fails in the ways that providers do."""

from faults_load import Wish, drive
from faults_result import Result, Size, settle
from faults_stage import Stage


def outage(stage: Stage, size: Size) -> Result:
    """The primary is down altogether; a model of another provider is the fallback. Calls have two seconds."""
    first, second = stage.provider("first"), stage.provider("second")
    gateway = stage.gateway(
        [first.configured(), second.configured()],
        ["fast: {provider: first, model: gpt-6-luna, fallback: [second/gpt-6.1-terra]}"],
    )
    wish = Wish(calls=size.calls, a_second=size.a_second, deadline_ms=2000)
    healthy = drive([gateway], wish)
    before = len(first.requests()) + len(second.requests())
    first.fault(kind="outage")
    load = drive([gateway], wish)
    return settle(stage, "total outage of the primary", load, healthy=healthy, before=before)
