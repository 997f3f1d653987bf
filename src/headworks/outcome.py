"""What an answer says of itself goes into the record; what it leaves unsaid is counted."""

from headworks.calls import Usage
from headworks.catalogue import CHARGED, loaded_tokenizer_for
from headworks.counting import count_request
from headworks.dialects import AnswerSummary
from headworks.plans import Plan
from headworks.settlement import OpenCall

_COUNTED = frozenset({"/responses", "/chat/completions", "/messages", "/models:generateContent"})
"""Paths of which tokens are counted where the provider does not say them; also those of what is translated."""


def note(call: OpenCall, summary: AnswerSummary) -> None:
    """Take over what the answer says."""
    call.response_id = summary.response_id
    call.served_model = summary.served_model
    call.finish_reason = summary.finish_reason
    call.error_code = summary.error_code
    call.service_tier = summary.service_tier
    if summary.usage is not None:
        call.usage = summary.usage


def estimate_usage(call: OpenCall, plan: Plan, text: str) -> None:
    """Count what the provider did not: text went up or came down and no usage was told."""
    if call.usage.source != "none" or plan.head is None:
        return
    if plan.path in _COUNTED or plan.bridge is not None:
        model = plan.target.station.stands_for or call.model
        tokenizer = loaded_tokenizer_for(model)
        call.usage = Usage(
            input_tokens=count_request(plan.head.fields, model, tokenizer=tokenizer).tokens,
            output_tokens=tokenizer.count(text),
            source="estimated",
        )


def charge(call: OpenCall, plan: Plan) -> None:
    """Add what an attempt costs, once its usage is known; what was not used costs nothing."""
    usage = call.usage
    if usage.source == "none":
        return
    station = plan.target.station
    if usage.charged_pico >= 0 and station.provider.says_cost:
        if call.cost_pico >= 0:
            call.cost_pico += usage.charged_pico
            call.price_version = f"{station.price.version}{CHARGED}"
        return
    cost = station.price.cost(usage, at_us=call.opened_us, tier=call.service_tier)
    if cost is None or not cost.is_complete:
        call.cost_pico = -1
        call.price_version = "" if cost is None else cost.version  # by it can be told what is known of it
    elif call.cost_pico >= 0:
        call.cost_pico += cost.total
        call.price_version = cost.version
