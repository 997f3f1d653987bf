"""The last rung of a plain call: the text that configuration has for a model when nobody was able to answer."""

from collections.abc import Mapping, Sequence
from time import time

import msgspec

from headworks.attempts import RULES
from headworks.calls import Endpoint, Failure
from headworks.dialects.bridging import ASKED
from headworks.dialects.canonical import AnswerMessage, AnswerText, JsonObjectFormat, JsonSchemaFormat, ModelAnswer
from headworks.dialects.whole import write_answer, write_stream
from headworks.errors import Refusal
from headworks.plans import Plan
from headworks.settlement import OpenCall

DEGRADED = "headworks/deterministic"
"""What an answer that no model gave calls its model."""


class PlainAnswer(msgspec.Struct, frozen=True):
    """An answer that no model gave: the header block that says so, and the body."""

    headers: bytes
    body: bytes


_COMPLETIONS = "/completions"


def plain_answer(
    call: OpenCall, plan: Plan, failure: Failure, reasons: Sequence[str], texts: Mapping[str, str]
) -> PlainAnswer | None:
    """What a call is answered whose last attempt has failed, noted in the call; None where it gets the error: there is
    no text, the caller wants none but the model's own answer, the request itself is at fault, or it asks for JSON,
    which a text is not.

    Arguments:
        reasons: codes of the failures before this one.
        texts: by public model name.
    """
    text = texts.get(call.requested_model)
    rules = RULES.get(failure.kind)
    endpoint = Endpoint.COMPLETIONS if plan.path == _COMPLETIONS else plan.endpoint  # else they count as Chat
    if text is None or rules is None or not rules.onward or plan.head is None or endpoint not in ASKED:
        return None
    if plan.admission is not None and not plan.admission.may_fall_back:
        return None
    fields = plan.head.fields
    try:
        request = ASKED[endpoint](fields).request()
    except Refusal:
        return None  # it asks for something that is not known here
    if isinstance(request.text_format, JsonObjectFormat | JsonSchemaFormat):
        return None
    call.provider, call.model, call.served_model = "", DEGRADED, DEGRADED
    call.finish_reason, call.response_id, call.error_code = "degraded", "", ""
    answer = ModelAnswer(call.call_id, DEGRADED, int(time()), (AnswerMessage((AnswerText(text),)),), usage=None)
    metadata = {**_metadata(endpoint, request.metadata), "headworks.degraded": failure.kind.value}
    write = write_stream if plan.is_streamed else write_answer
    named = ", ".join([*reasons, failure.kind.value])
    return PlainAnswer(
        f"x-headworks-degraded: {named}\r\n".encode("ascii"), write(answer, endpoint, fields, metadata=metadata)
    )


def _metadata(endpoint: Endpoint, given: Mapping[str, str] | None) -> Mapping[str, str]:
    """What Responses gives back of the caller's own."""
    return given or {} if endpoint is Endpoint.RESPONSES else {}
