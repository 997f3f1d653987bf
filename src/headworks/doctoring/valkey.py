"""The Valkey that keeps the books of limits for several machines: reached as a worker reaches it."""

from collections.abc import Mapping

from headworks.config import Project
from headworks.doctoring.findings import Check, Finding, ok, problem, warning
from headworks.doctoring.situation import Situation
from headworks.errors import ConfigError, LimitsUnavailable
from headworks.settings import valkey_url

SLOW_S = 0.05
"""Workers renew their leases ten times a second: an answer that takes half of that is slow."""


def checks(situation: Situation) -> list[Check]:
    """One, where the project names a Valkey."""
    project = situation.project
    if project is None or project.config.quotas.valkey is None:
        return []
    return [Check("valkey", lambda: look(project, situation.environment))]


async def look(project: Project, environment: Mapping[str, str]) -> list[Finding]:
    """Whether it answers, and how quickly."""
    from headworks.limits.valkey import ValkeyAuthority  # only who has several machines loads it

    try:
        authority = ValkeyAuthority(valkey_url(project, environment), timeout_s=3.0)
    except (ConfigError, LimitsUnavailable) as error:
        return [problem("reachable", str(error), "see what `quotas.valkey` says in headworks.yaml")]
    try:
        await authority.reach()  # connects, and loads the script
        took_s = await authority.reach()
    except LimitsUnavailable as error:
        way_out = (
            "see that the server runs and that this machine may reach it; until then `quotas.away` says what is done"
        )
        return [problem("reachable", str(error), way_out)]
    finally:
        await authority.close()
    if took_s > SLOW_S:
        way_out = "have it nearer: workers renew their leases ten times a second"
        return [warning("reachable", f"it answers in {took_s * 1000:.0f} ms, which is slow", way_out, seconds=took_s)]
    return [ok("reachable", f"it answers in {took_s * 1000:.1f} ms", seconds=took_s)]
