"""Step 5 for a workload whose contract has another model asked about untrusted text, just before a call goes up.

It sees what goes up: values that are screened for personal data are tokens by then. Its own call is one of the
gateway's (`inner_calls`), so it is recorded, and bound by the quotas and budgets of who calls.
"""

import secrets
from time import perf_counter

from headworks.access import Grant
from headworks.admission import Admission
from headworks.compiled import CompiledWorkload
from headworks.errors import Refusal
from headworks.injection_bridge import InputBlocked
from headworks.inner_calls import InnerCalls
from headworks.screening.injection import Signal, question, verdict_in
from headworks.settlement import OpenCall
from headworks.telemetry import report
from headworks.workload_request import Composed

_OK = 200


class NotChecked(Refusal):
    """The model that was to look for instructions gave no answer, and the contract says `closed`."""

    def __init__(self) -> None:
        super().__init__(
            500,
            "screening_failed",
            "The call was not sent: the model that checks this workload's data for instructions gave no answer that "
            "can be read. Try again, or tell the operator of this gateway.",
            kind="server_error",
        )


async def check_by_model(
    inner: InnerCalls, call: OpenCall, work: CompiledWorkload, asked: Composed, admission: Admission, grant: Grant
) -> None:
    """Have the contract's model look at a call's untrusted texts, if there are any.

    Raises:
        InputBlocked: it has seen instructions, and its layer may block.
        NotChecked: it gave no answer, and the contract says `closed`.
    """
    injection = asked.injection
    if injection is None or injection.check is None or not injection.to_check:
        return
    settings = injection.check
    texts = [text for _, text in injection.to_check]
    source = injection.to_check[0][0]
    verdict = None
    if sum(map(len, texts)) <= settings.most_characters:
        if asked.privacy is not None:
            texts = [asked.privacy.redact_text(text) for text in texts]
        longest_s = admission.due_s(work.contract.latency.total_s, is_streamed=call.is_streamed)
        within_s = min(settings.timeout_s, longest_s - (perf_counter() - call.started_s))
        if within_s > 0:
            body = question(work.check_model, texts, secrets.token_bytes(16), settings.most_tokens)
            status, answer = await inner.chat(grant, body, for_call=call.call_id, within_s=within_s)
            verdict = verdict_in(answer) if status == _OK else None
    if verdict == "clean":
        return
    if verdict == "instructions":
        signal = Signal("check", "block" if settings.mode == "block" else "flag", source, ("instructions",))
        injection.note_input([signal])
        if settings.mode == "block":
            raise InputBlocked(signal)
        return
    injection.note_input([Signal("check", "flag", source, ("unread",))])
    report(f"{call.call_id}: not checked for instructions by `{work.check_model}`: `on_failure: {settings.on_failure}`")
    if settings.on_failure == "closed":
        raise NotChecked
