"""Sections of a plan about what may go wrong: where data goes, what is screened, what is watched."""

from collections.abc import Iterator

from headworks.workloads.plan import Decision, Given, Source

_SCREENING = {
    "public": ("size and shape", "the data is public"),
    "internal": ("size and shape, keys and secrets", "the data is for the house"),
    "confidential": (
        "size and shape, keys and secrets, personal data replaced by tokens that are put back in the answer",
        "the data would harm people if it leaked",
    ),
    "restricted": (
        "size and shape, keys and secrets, personal data replaced by tokens; a call that cannot be screened is refused",
        "the data must not leak at all",
    ),
}

_NEEDED = {
    "hipaa": ("business-associate", "health data needs a business associate agreement with each provider"),
    "gdpr": ("no-training", "personal data is processed on instruction only: not for training"),
}
"""What a regulation needs to be agreed with a provider (45 CFR 164.502(e); GDPR art. 28)."""

_REGULATED = {
    "pci": "card numbers never leave: they are replaced before the call (PCI DSS 3.4)",
    "gdpr": "erasure and export by person; retention no longer than needed (GDPR art. 5, 15, 17)",
    "hipaa": "health identifiers are replaced; every access has an audit entry (45 CFR 164.312)",
    "ccpa": "erasure and export by person (Cal. Civ. Code 1798.105)",
    "sox": "every call has an audit entry that cannot be changed",
    "ferpa": "pupils' identifiers are replaced before the call",
}


def residency(given: Given) -> Iterator[Decision]:
    """Which providers see the data, and what must be true of them."""
    contract = given.contract
    providers = {fact.provider: fact.kind for fact in given.facts.models.values()}
    names = ", ".join(providers) or "none"
    yield Decision("providers", names, "those of the ladder and the chain, and no other", given.source("ladder"))
    real = [name for name, kind in providers.items() if kind != "simulator"]
    regions = contract.data.residency
    if not regions:
        yield Decision("regions", "any", "the contract names none", given.source("data", "residency"))
    else:
        yield Decision("regions", ", ".join(regions), "no fallback goes elsewhere", "contract")
        for name in real:
            reason = "headworks.yaml does not say where a provider is: its base URL and its contract do"
            yield Decision(f"region of {name}", f"Does {name} process only in {', '.join(regions)}?", reason, "ask")
    agreements = contract.data.agreements
    for agreement in agreements:
        for name in real:
            reason = "the contract asks for it with every provider that the data goes to"
            yield Decision(f"agreement with {name}", f"Is {agreement} agreed with {name}?", reason, "ask")
    for regulation in contract.data.regulations:
        needed = _NEEDED.get(regulation)
        if needed is not None and needed[0] not in agreements:
            question = f"Should `data.agreements` have `{needed[0]}`?"
            yield Decision(f"{regulation} agreement", question, needed[1], "ask")


def screening(given: Given) -> Iterator[Decision]:
    """What is looked at before a call goes out, and before its answer is acted on."""
    contract, facts = given.contract, given.facts
    data = contract.data
    layers, reason = _SCREENING[data.sensitivity]
    yield Decision("input", layers, reason, given.source("data", "sensitivity"))
    if contract.screening.privacy is None and data.sensitivity in ("confidential", "restricted"):
        reason = f"the data is {data.sensitivity}, and the contract has nothing looked for in what goes up"
        yield Decision("personal data", "Should `screening.privacy` replace it before calls go up?", reason, "ask")
    for regulation in data.regulations:
        yield Decision(regulation, _REGULATED[regulation], f"`data.regulations` has {regulation}", "contract")
    reason = "what callers and tools say is data: roles are fixed by the template, and no value can forge one"
    yield Decision("injection", _injection(given), reason, "contract" if facts.tools else "default")
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


def _injection(given: Given) -> str:
    if given.contract.actions:
        return "untrusted text fenced off, detectors on input and tool outputs, canary words"
    return "untrusted text fenced off, detectors on tool outputs" if given.facts.tools else "untrusted text fenced off"


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
        yield Decision("output", "free text, not validated", "there is neither a schema nor a rule", "default")


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
        "alarms to", f"{contract.owner}, {told[contract.failure_cost]}", reason, given.source("failure_cost")
    )
    seen = (
        "" if measured is None else f"; recorded: {measured.failures / measured.calls:.2%} of {measured.calls:,} calls"
    )
    source: Source = "default" if measured is None else "traffic"
    yield Decision("failures", f"more than {_failure_share(given):.1%} of calls in 15 minutes", reason + seen, source)
    if contract.urgency == "interactive":
        limit = f"95 of 100 calls within {contract.latency.total_s:g} s"
        if contract.latency.first_token_s is not None:
            limit += f", first token within {contract.latency.first_token_s:g} s"
        reason = "the latency budget" + (
            "" if not (measured and measured.total_s) else f"; recorded: {measured.total_s:.3g} s"
        )
        yield Decision("latency", limit, reason, given.source("latency"))
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
