"""Sections of a plan about serving a call: model, endpoint, urgency, time limits, conversation state."""

import math
from collections.abc import Iterator

from headworks.config import DETERMINISTIC
from headworks.exchange import SHARE_WITH_MORE, last_answer_s
from headworks.workloads.plan import Decision, Given, named

GOLDEN_CASES = 50
"""Below it a golden set tells little: 50 to 200 representative cases are what the guide asks for."""

CONNECT_S = 5.0
"""More than any healthy provider needs to connect, TLS included (`defaults.timeouts` of headworks.yaml)."""

FIRST_TOKEN_S = 0.6
TOKEN_S = 0.014
"""A slow model's pace, for want of a measured one: that of the simulator's flagship."""

_Z_95 = 1.96


def model(given: Given) -> Iterator[Decision]:
    """The rung in use, the ladder, and what the golden set can tell."""
    contract, facts = given.contract, given.facts
    rung = named(given.rung, facts.models)
    if contract.model is not None:
        yield Decision("model", rung, "the contract fixes it", "contract")
    elif facts.locked_model:
        yield Decision("model", rung, "headworks.lock has decided so, with its evidence", "default")
    else:
        yield Decision("model", rung, "the cheapest rung, until the golden set shows that it misses the bar", "default")
    ladder = " -> ".join(named(name, facts.models) for name in contract.ladder)
    yield Decision("ladder", ladder, "a rung is left only when it misses the bar", given.source("ladder"), "you")
    yield _evidence(given)
    if contract.failure_cost in ("high", "critical") and facts.golden_cases == 0:
        reason = f"a wrong answer's cost is {contract.failure_cost}: no model can be trusted with it unmeasured"
        yield Decision("first release", "not before the golden set has been run", reason, "contract", "you")
    effort = contract.output.reasoning_effort
    if effort is not None:
        yield Decision("reasoning effort", effort, "every call is sent with it", "contract")
    if contract.output.max_tokens is None:
        yield Decision(
            "most output tokens",
            "What is the longest answer that is of use?",
            "without `output.max_tokens` a model that rambles is paid for to its end",
            "ask",
        )
    else:
        reason = f"a typical answer has {given.output_tokens:,.0f}"
        yield Decision("most output tokens", f"{contract.output.max_tokens:,}", reason, "contract")


def _evidence(given: Given) -> Decision:
    quality = given.contract.quality
    bar = f"{quality.bar:.0%} {quality.measure}"
    cases = given.facts.golden_cases
    if cases == 0:
        reason = f"whether a model reaches the bar of {bar} can only be measured"
        return Decision(
            "golden set", f"Which {GOLDEN_CASES} to 200 inputs are typical, and what is right?", reason, "ask"
        )
    margin = _Z_95 * math.sqrt(quality.bar * (1 - quality.bar) / cases)
    told = f"{cases} cases tell a bar of {bar} to within {margin * 100:.0f} points (95 % confidence)"
    if cases < GOLDEN_CASES:
        return Decision("golden set", f"Which further inputs are typical, up to {GOLDEN_CASES}?", told, "ask")
    return Decision("golden set", f"{cases} cases", told, given.source("quality"), "you")


def endpoint(given: Given) -> Iterator[Decision]:
    """Where the application calls, and what goes upstream."""
    speaks = given.model.speaks if given.model is not None else ()
    reason = "the newest API of OpenAI's: tools, state and caching are made for it; Chat is served alike"
    yield Decision("application", f"POST /v1/responses, model `{given.workload.name}`", reason, "default", "you")
    if "responses" in speaks:
        yield Decision("upstream", "/v1/responses", f"{named(given.rung, given.facts.models)} serves it", "default")
    elif "chat" in speaks:
        reason = f"{named(given.rung, given.facts.models)} serves Chat only: calls are translated"
        yield Decision("upstream", "/v1/chat/completions", reason, "default")
    elif "messages" in speaks:
        reason = f"{named(given.rung, given.facts.models)} serves Anthropic's Messages: calls are translated"
        yield Decision("upstream", "/v1/messages", reason, "default")
    elif "generate_content" in speaks:
        reason = f"{named(given.rung, given.facts.models)} serves Google's generateContent: calls are translated"
        yield Decision("upstream", "/v1beta/models/...:generateContent", reason, "default")
    else:
        reason = "its provider's `speaks` has none of `responses`, `chat`, `messages` and `generate_content`"
        yield Decision("upstream", f"Which endpoint serves {given.rung}?", reason, "ask")
    if given.facts.has_schema:
        reason = "the model is held to the schema, and the answer is validated here all the same"
        yield Decision("output", "strict JSON schema", reason, "contract")


def urgency(given: Given) -> Iterator[Decision]:
    """Whether somebody waits."""
    contract = given.contract
    source = given.source("urgency")
    if contract.urgency == "deferred":
        yield Decision(
            "mode", "batch", "within a day is soon enough: half the price, and limits of its own", source, "you"
        )
        if contract.latency.first_token_s is not None:
            reason = "`urgency` is `deferred`, but `latency.first_token_s` is for somebody who waits"
            yield Decision("waiting", "Does somebody wait for the answer or not?", reason, "ask")
        return
    yield Decision("mode", "interactive", "somebody waits", source, "")
    if contract.latency.first_token_s is not None:
        reason = f"the first piece is wanted within {contract.latency.first_token_s:g} s"
        if given.facts.has_schema or given.facts.has_rules:
            reason += "; schema and rules are judged before anything acts on the answer"
        yield Decision("stream", "yes", reason, "contract", "you")
    else:
        yield Decision(
            "stream", "if the application likes", "no time to the first token is asked for", "default", "you"
        )


def time_limits(given: Given) -> Iterator[Decision]:
    """Time limits of each attempt that together fit the latency budget, and the chain."""
    contract = given.contract
    attempts = [name for name in given.chain if name != DETERMINISTIC]
    total_s = contract.latency.total_s
    source = given.source("latency", "total_s")
    chain = " -> ".join(named(name, given.facts.models) for name in given.chain)
    yield Decision("chain", chain, _why_chain(given, len(attempts)), given.source("fallback"))
    yield from _chain_questions(given, attempts)
    if contract.urgency == "deferred":
        yield Decision(
            "limits", "the batch's own window", "nobody waits for an attempt", given.source("urgency"), "you"
        )
        return
    function_s = contract.validation.rules_timeout_s if given.facts.has_fallback_code else 0.0
    times = _times(total_s, len(attempts), function_s, has_static=given.chain[-1] == DETERMINISTIC)
    named_times = [(named(name, given.facts.models), time_s) for name, time_s in zip(attempts, times, strict=True)]
    for number, (name, time_s) in enumerate(named_times):
        rest = "all that is left" if number == len(times) - 1 else f"{SHARE_WITH_MORE:.0%} of what is left"
        reason = f"{rest} of {total_s:g} s, retries included; what one leaves over is the next one's"
        yield Decision(f"attempts at {name}", f"at most {time_s:.3g} s", reason, source)
    yield Decision("connecting", f"{min(CONNECT_S, times[0]):.3g} s", "a host that is down must not eat it", source)
    first_s = contract.latency.first_token_s
    if first_s is not None and len(attempts) > 1:
        limit_s = min(first_s * SHARE_WITH_MORE, times[0])
        reason = f"{SHARE_WITH_MORE:.0%} of {first_s:g} s: a stream can change models before its first piece only"
        yield Decision("first token", f"{limit_s:.3g} s, then the next model", reason, "contract")
    if contract.latency.hedge:
        other = named(attempts[1], given.facts.models) if len(attempts) > 1 else "the same model once more"
        reason = (
            "a stream that has not begun when 95 of 100 have gets a rival; both are paid for, so about 5% more calls"
        )
        yield Decision("hedge", f"ask {other}", reason, "contract")
    yield _fits(given, times[-1])


def _times(total_s: float, count: int, function_s: float, *, has_static: bool) -> list[float]:
    """The longest that the attempts at each target may take, if those before it took all of theirs."""
    times, left_s = list[float](), total_s
    for number in range(count):
        if number < count - 1:
            times.append(left_s * SHARE_WITH_MORE)
        elif has_static:
            times.append(left_s - last_answer_s(left_s, function_s))
        else:
            times.append(left_s)
        left_s -= times[-1]
    return times


def _why_chain(given: Given, attempts: int) -> str:
    if given.chain[-1] == DETERMINISTIC:
        return f"last the answer of {given.facts.fallback_name}, which needs no model"
    return "no fallback: a failure is the caller's" if attempts == 1 else "each takes over when the one before fails"


def _chain_questions(given: Given, attempts: list[str]) -> Iterator[Decision]:
    cost = given.contract.failure_cost
    if len(given.chain) == 1 and cost != "low":
        reason = f"a missing answer's cost is {cost}, and one model's outage is everybody's"
        yield Decision("fallback", "Which model, or which static answer, may stand in?", reason, "ask")
    providers = {fact.provider for name in attempts if (fact := given.facts.models.get(name)) is not None}
    if len(attempts) > 1 and len(providers) == 1 and given.chain[-1] != DETERMINISTIC:
        reason = f"every model of the chain is at `{next(iter(providers))}`: its outage takes all of them"
        yield Decision("second provider", "Which other provider may the data go to?", reason, "ask")


def _fits(given: Given, attempt_s: float) -> Decision:
    measured = given.measured
    if measured is not None and measured.total_s:
        needed_s, source = measured.total_s, "95 of 100 recorded calls took no longer than"
    else:
        needed_s = FIRST_TOKEN_S + TOKEN_S * given.output_tokens
        source = f"at a slow model's pace {given.output_tokens:,.0f} output tokens take"
    if needed_s > attempt_s:
        reason = f"{source} {needed_s:.3g} s, and the last model of the chain has {attempt_s:.3g} s at the worst"
        question = "May it take longer, be shorter, or have fewer fallbacks?"
        return Decision("fit", question, reason, "ask")
    return Decision(
        "fit", f"{needed_s:.3g} s of {attempt_s:.3g} s", f"{source} so long", "traffic" if measured else "default", ""
    )


_STATES = {
    "stateless": (
        "the application sends everything with each call",
        "nothing is remembered, so nothing can leak or grow",
    ),
    "window": ("the last turns are sent again", "the input stays bounded; what is older is forgotten"),
    "summarised": ("older turns are sent as a summary", "the input stays bounded; a cheap rung writes the summary"),
    "replay": ("every turn is sent again", "nothing is lost; the input grows with each turn, mostly from the cache"),
    "provider": ("the provider keeps the turns", "the least to send; the data rests with the provider"),
}


def state(given: Given) -> Iterator[Decision]:
    """How a conversation is remembered."""
    strategy = given.contract.state
    means, reason = _STATES[strategy]
    window = given.contract.window
    if window is not None:
        yield Decision("strategy", f"{strategy}: {means}, {window.turns} at most", reason, given.source("state"))
        return
    # What is remembered is the provider's memory, or what the application sends: Headworks passes it on.
    yield Decision("strategy", f"{strategy}: {means}", reason, given.source("state"), "you")
    if strategy != "provider":
        return
    if given.model is not None and "responses" not in given.model.speaks:
        reason = f"{named(given.rung, given.facts.models)} does not serve /v1/responses, which keeps the turns"
        yield Decision("provider's memory", "Which other strategy will do?", reason, "ask")
    if "zero-retention" in given.contract.data.agreements:
        reason = "`state: provider` has the provider keep the turns, `zero-retention` has it keep nothing"
        yield Decision("retention", "Which of the two holds?", reason, "ask")
