"""The architecture that follows from a contract, what lies beside it, and its traffic where there is any. Pure.

Every section is a function from what is given to decisions; what cannot be derived becomes a question. No prices: a
plan says quantities.
"""

from headworks.config import Workload
from headworks.workloads import economy, guarding, serving
from headworks.workloads.facts import Facts
from headworks.workloads.plan import Given, Plan, PlanSection, Traffic

_SECTIONS = (
    ("Volume", economy.volume),
    ("Model and ladder", serving.model),
    ("Endpoint", serving.endpoint),
    ("Prompt cache", economy.cache),
    ("Interactive or batch", serving.urgency),
    ("Time limits and fallback", serving.time_limits),
    ("Conversation state", serving.state),
    ("Prompting, retrieval, fine-tuning", economy.knowledge),
    ("Provider and residency", guarding.residency),
    ("Screening", guarding.screening),
    ("Monitoring", guarding.monitoring),
)


def derive(workload: Workload, facts: Facts, traffic: Traffic | None = None) -> Plan:
    """The plan of a workload.

    Arguments:
        workload: with its contract.
        facts: what lies beside it.
        traffic: what its recorded calls show; None, or one without calls, before there are any.
    """
    given = Given(workload, facts, traffic)
    sections = tuple(PlanSection(title, tuple(section(given))) for title, section in _SECTIONS)
    return Plan(workload.name, workload.contract.description, workload.contract.owner, sections)
