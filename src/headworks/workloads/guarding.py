"""Sections of a plan about what may go wrong: where data goes, what is screened, what is watched."""

from collections.abc import Iterator

from headworks.workloads.plan import By, Decision, Given, Source

_NEEDED = {
    "hipaa": ("business-associate", "health data needs a business associate agreement with each provider"),
    "gdpr": ("no-training", "personal data is processed on instruction only: not for training"),
}
"""What a regulation needs to be agreed with a provider (45 CFR 164.502(e); GDPR art. 28)."""

_REGULATED = {
    "pci": "card numbers must not leave: replaced before the call (PCI DSS 3.4)",
    "gdpr": "erasure and export by person; retention no longer than needed (GDPR art. 5, 15, 17)",
    "hipaa": "health identifiers replaced; an audit entry for every access (45 CFR 164.312)",
    "ccpa": "erasure and export by person (Cal. Civ. Code 1798.105)",
    "sox": "an audit entry for every call, which cannot be changed",
    "ferpa": "pupils' identifiers replaced before the call",
}
_BY_SCREENING = ("pci", "ferpa")
"""What is met where personal data is replaced before a call goes up."""


def residency(given: Given) -> Iterator[Decision]:
    """Which providers see the data, and what must be true of them."""
    contract = given.contract
    providers = {fact.provider: fact.kind for fact in given.facts.models.values()}
    names = ", ".join(providers) or "none"
    yield Decision("providers", names, "those of the ladder and the chain, and no other", given.source("ladder"))
    regions, agreements = contract.data.residency, contract.data.agreements
    checked = "`headworks.yaml` says so of every provider of ladder and chain, or nothing is served"
    if regions:
        yield Decision("regions", ", ".join(regions), checked, "contract")
    else:
        yield Decision("regions", "any", "the contract names none", given.source("data", "residency"), "")
    if agreements:
        yield Decision("agreements", ", ".join(agreements), checked, "contract")
    real = [name for name, kind in providers.items() if kind != "simulator"]
    if real and (regions or agreements):
        what = "keep what `regions` and `agreements` of headworks.yaml say true"
        yield Decision("contracts", f"{what}: {', '.join(real)}", "no program can see it", "contract", "you")
    for regulation in contract.data.regulations:
        needed = _NEEDED.get(regulation)
        if needed is not None and needed[0] not in agreements:
            question = f"Should `data.agreements` have `{needed[0]}`?"
            yield Decision(f"{regulation} agreement", question, needed[1], "ask")


def screening(given: Given) -> Iterator[Decision]:
    """What is looked at before a call goes out, and before its answer is acted on."""
    contract, facts = given.contract, given.facts
    data = contract.data
    yield Decision("input", "size and shape", "a request that is none is refused", "default")
    screens = contract.screening.privacy is not None
    if screens:
        value = "personal data, keys and secrets replaced before calls go up, and put back in answers"
        yield Decision("personal data", value, "a call that cannot be screened is refused", "contract")
    elif data.sensitivity in ("confidential", "restricted"):
        reason = f"the data is {data.sensitivity}, and the contract has nothing looked for in what goes up"
        yield Decision("personal data", "Should `screening.privacy` replace it before calls go up?", reason, "ask")
    for regulation in data.regulations:
        by: By = "headworks" if screens and regulation in _BY_SCREENING else "you"
        yield Decision(regulation, _REGULATED[regulation], f"`data.regulations` has {regulation}", "contract", by)
    if facts.has_prompt:
        reason = "what callers and tools say is data: roles are fixed by the template, and no value can forge one"
        yield Decision("injection", "untrusted text fenced off", reason, "default")
    yield from _injection(given)
    yield from _output(given)
    if contract.actions:
        held = [name for name, action in contract.actions.items() if action.policy == "hold"]
        value = ", ".join(f"{name}: {action.policy}" for name, action in contract.actions.items())
        reason = "side effects pass through policy" + (f"; a person approves {', '.join(held)}" if held else "")
        yield Decision("actions", value, reason, "contract")
    reading = [name for name in facts.tools if name not in contract.actions]
    if reading:
        question = f"Has any of these a side effect: {', '.join(reading)}?"
        yield Decision("tools", question, "a tool that `actions` does not name is run without asking", "ask")
    yield from _kept(given)


def _injection(given: Given) -> Iterator[Decision]:
    contract, facts = given.contract, given.facts
    layers = contract.screening.injection
    if layers is not None:
        reason = "no filter finds every instruction in data: what untrusted text brings about must not act by itself"
        value = f"side effects {layers.taint}, by {layers.taint_by}; images {layers.images}, links {layers.links}"
        yield Decision("injection by data", value, reason, "contract")
    elif contract.actions or facts.tools:
        reason = "fences are no proof: what tools bring back may carry instructions"
        yield Decision("injection by tools", "Should `screening.injection` hold what they bring about?", reason, "ask")


def _output(given: Given) -> Iterator[Decision]:
    facts, validation = given.facts, given.contract.validation
    checks = [name for name, there in (("schema", facts.has_schema), ("rules", facts.has_rules)) if there]
    if checks:
        turns = f"{validation.repairs} repair turn{'' if validation.repairs == 1 else 's'}, then {validation.otherwise}"
        reason = "an answer is validated before anything acts on it"
        yield Decision("output", f"{' and '.join(checks)}; {turns}", reason, given.source("validation"))
    elif given.contract.failure_cost in ("high", "critical"):
        reason = f"a wrong answer's cost is {given.contract.failure_cost}, and nothing judges it"
        yield Decision("output", "What must be true of every right answer?", reason, "ask")
    else:
        yield Decision("output", "free text, not validated", "there is neither a schema nor a rule", "default", "")


def _kept(given: Given) -> Iterator[Decision]:
    kept, sensitivity = given.contract.retention, given.contract.data.sensitivity
    source: Source = given.source("retention", "content")
    if kept.content == "full" and sensitivity in ("confidential", "restricted"):
        reason = f"the data is {sensitivity}, and `retention.content: full` keeps all of it"
        yield Decision("kept content", "Would `redacted` do?", reason, "ask")
        return
    value = "none" if kept.content == "off" else f"{kept.content}, {kept.days} days, encrypted"
    reason = "calls cannot be replayed" if kept.content == "off" else "for the replay of past calls"
    yield Decision("kept content", value, reason, source)


def monitoring(given: Given) -> Iterator[Decision]:
    """What is watched, and who is told."""
    contract, facts, measured = given.contract, given.facts, given.measured
    told = {
        "critical": "at once, at any hour",
        "high": "at once",
        "medium": "within the day",
        "low": "in the weekly report",
    }
    reason = f"a failure's cost is {contract.failure_cost}"
    yield Decision(
        "alarms to", f"{contract.owner}, {told[contract.failure_cost]}", reason, given.source("failure_cost"), "you"
    )
    seen = (
        "" if measured is None else f"; recorded: {measured.failures / measured.calls:.2%} of {measured.calls:,} calls"
    )
    source: Source = "default" if measured is None else "traffic"
    yield Decision(
        "failures", f"more than {_failure_share(given):.1%} of calls in 15 minutes", reason + seen, source, "you"
    )
    if contract.urgency == "interactive":
        limit = f"95 of 100 calls within {contract.latency.total_s:g} s"
        if contract.latency.first_token_s is not None:
            limit += f", first token within {contract.latency.first_token_s:g} s"
        reason = "the latency budget" + (
            "" if not (measured and measured.total_s) else f"; recorded: {measured.total_s:.3g} s"
        )
        yield Decision("latency", limit, reason, given.source("latency"), "you")
    if facts.has_schema or facts.has_rules:
        reason = "repairs and broken answers are paid for twice, and come first when a model changes"
        yield Decision("validity", "share of answers that break schema or rules, by prompt version", reason, "contract")
    reason = "output is the dearest token, and grows with a careless change of the prompt"
    yield Decision("output length", "median by prompt version, alarm at a growth of a fifth", reason, "default")
    question = "What tells, later, that an answer was right?"
    reason = "outcomes (a thumb, a correction, a reopened case) are the only measure of quality in use"
    yield Decision("outcomes", question, reason, "ask")


def _failure_share(given: Given) -> float:
    return {"low": 0.05, "medium": 0.02, "high": 0.01, "critical": 0.005}[given.contract.failure_cost]
