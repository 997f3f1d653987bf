"""Steps 3 to 9 of a workload's call: prompt, chain of targets, judgement, repair, and last the deterministic answer.

An answer that is not streamed is judged before the caller sees any of it (`workload_answer.py`), so that it can be
mended or asked for elsewhere. A stream goes on as it comes (`workload_stream.py`), held to the schema piece by piece;
what breaks it ends it with an error, and rules are asked before its last piece goes out.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial

import msgspec

from headworks.access import Grant
from headworks.admission import Admission
from headworks.admitting import Admissions, Ask
from headworks.answering import NO_RETRY
from headworks.attempts import Policy
from headworks.cached_calls import CachedCalls, CachedWorkload, Count
from headworks.caching import fingerprint, hash_key
from headworks.compiled import CompiledWorkload
from headworks.composing import prompt_reference
from headworks.conversation_values import ConversationValues
from headworks.dialects import RequestHead
from headworks.dialects.leaving_out import name_it
from headworks.errors import Refusal
from headworks.exchange import Reply
from headworks.flow import Ending
from headworks.held_calls import HeldCalls
from headworks.holding import HeldAnswers
from headworks.inner_calls import InnerCalls
from headworks.model_checks import check_by_model
from headworks.planning import Planner
from headworks.settlement import OpenCall, Settlement
from headworks.slicing import Slices
from headworks.streaming import StreamRelay
from headworks.weighing import weigh
from headworks.workload_answer import WholeRun
from headworks.workload_dialects import TRANSLATED, in_responses
from headworks.workload_request import Composed, compose_call
from headworks.workload_run import Shared, Vault, has_more
from headworks.workload_stream import StreamedRun


class WorkloadCalls:
    """Makes the calls of workloads; implements `gateway.Works`.

    Arguments:
        works: the workloads by name.
        settlement: where calls are opened and settled.
        planner: makes the request for a target.
        streams: relays what is streamed.
        vault: seals what contracts have kept; None where there is no secret to seal it with.
        held: the answers that wait for people; None where no contract holds a tool.
        loop: the event loop.
        secret: of this installation; needed where a contract screens or keeps anything, fingerprints too.
        answer_bytes: bound on an answer.
        policy: which further attempts are made at one target.
        admissions: admits calls where there are quotas or budgets.
        caches: of the workloads whose contracts have one.
        count: told how each call of those came out.
        values: what stands behind tokens of conversations; by default none is kept.
        inner: makes the calls of models that are asked about untrusted text; None where no contract has one.
        now: Unix seconds.
    """

    def __init__(
        self,
        works: Mapping[str, CompiledWorkload],
        settlement: Settlement,
        planner: Planner,
        streams: StreamRelay,
        *,
        vault: Vault | None,
        held: HeldAnswers | None,
        loop: asyncio.AbstractEventLoop,
        secret: bytes,
        answer_bytes: int,
        policy: Policy,
        admissions: Admissions,
        caches: Mapping[str, CachedWorkload] | None = None,
        count: Count = lambda name, how, saved_pico: None,  # noqa: ARG005
        values: ConversationValues | None = None,
        inner: InnerCalls | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.names: Collection[str] = works.keys()
        self._works = works
        self._prefix_keys = {
            name: hash_key(secret, name) for name, work in works.items() if work.contract.retention.prefixes
        }
        held_calls = HeldCalls(held, settlement, loop)
        self.serve_held = held_calls.serve
        self.serve_approvals = held_calls.approvals
        self._shared = Shared(
            settlement,
            planner,
            streams,
            vault,
            values or ConversationValues(secret),
            held_calls,
            answer_bytes,
            policy,
            now,
        )
        self._admissions = admissions
        self._inner = inner
        self._secret = secret
        self._slices = Slices()
        self._cached = CachedCalls(caches or {}, settlement, loop, secret, count, now)

    def find(self, head: RequestHead, grant: Grant) -> CompiledWorkload | None:
        """The workload whose name stands for a model, or whose prompt is asked for."""
        work = self._works.get(head.model)
        if work is None and "prompt" in head.fields:
            work = self._works.get(prompt_reference(head.fields).id)
            if work is not None and not grant.may_use(work.name):
                return None  # who may not use it does not learn that it is there
            if work is not None and head.model:
                raise Refusal(
                    400,
                    "parameter_fixed",
                    f"The prompt `{work.name}` is a workload's, whose contract chooses the model: leave `model` out, "
                    "or send the workload's name.",
                    param="model",
                )
        return work

    def priority_of(self, head: RequestHead, grant: Grant) -> int:
        """The class of a call: its workload's, else its key's."""
        work = self.find(head, grant)
        return grant.priority if work is None or work.priority is None else work.priority

    def is_at(self, work: CompiledWorkload, provider: str) -> bool:
        """Whether a model of its chain is at this provider, through this pool."""
        return any(one.provider == provider for target in work.chain for one in (target, *target.pools))

    async def run(
        self,
        call: OpenCall,
        work: CompiledWorkload,
        head: RequestHead,
        admission: Admission,
        grant: Grant,
        reply: Reply,
        ending: Ending,
        *,
        home: str = "",
    ) -> None:
        """Make the call and answer it.

        Arguments:
            home: the provider, with its pool, that has what the call goes on from; "" where that is not known.

        Raises:
            Refusal: it is not to be made, or came to nothing good.
            StorageError: it cannot be recorded.
        """
        shared = self._shared
        own, wishes = None, None
        if admission.route.endpoint in TRANSLATED:
            call.requested_model = work.name
            if not grant.may_use(work.name):
                raise shared.planner.unknown(work.name, grant)  # before anything is said of what it takes
            own = head.fields
            head, admission, reply, wishes = in_responses(call, head, admission, reply, work.name, work.limit)
        try:
            asked = await compose_call(
                call, work, head, admission, grant, shared.planner, shared.values, self._secret, self._slices
            )
        except Refusal as refusal:
            if own is not None:
                name_it(refusal, own)
            raise
        if own is not None:
            asked = msgspec.structs.replace(asked, own=own, wishes=wishes)
        if work.contract.cache is None:
            await self._make(call, work, head, admission, grant, asked, home, ending, reply)
        else:
            make = partial(self._make, call, work, head, admission, grant, asked, home, ending)
            await self._cached.answer(call, asked, head.fields, admission, reply, make)

    async def _make(
        self,
        call: OpenCall,
        work: CompiledWorkload,
        head: RequestHead,
        admission: Admission,
        grant: Grant,
        asked: Composed,
        home: str,
        ending: Ending,
        reply: Reply,
    ) -> None:
        """Make the call, whatever was answered before. Raises as `run` does."""
        shared = self._shared
        kind = StreamedRun if call.is_streamed else WholeRun
        run = kind(shared, call, head, admission, asked, reply, ending)
        run.stay_at(home)
        if asked.work.first is not None and await run.answer_first():
            return
        if asked.injection is not None and asked.injection.to_check:
            assert self._inner is not None, "who puts the parts together gives it"
            await check_by_model(self._inner, call, work, asked, admission, grant)
        if self._prefix_keys and work.name in self._prefix_keys:
            assert call.work is not None, "it was made with the call"
            call.work.prefix = fingerprint(asked.fields, self._prefix_keys[work.name])
        if self._admissions.is_needed(grant, work.budget):
            longest_s = admission.due_s(work.contract.latency.total_s, is_streamed=call.is_streamed)
            if self._admissions.limiter.counts_tokens(grant):
                call.weight = weigh(head.fields, work.chain[0].model, call.request_bytes, is_whole=False)
            ask = Ask(
                call,
                work.chain[0].station,
                grant,
                work.name,
                longest_s,
                asked.fields,
                has_more=has_more(work, admission, head, home),
                priority=work.priority,
                budget=work.budget,
            )
            await self._admissions.wait(ask, ending)
        shared.settlement.open(call)
        try:
            await run.answer()
        except (Refusal, asyncio.CancelledError) as error:
            if isinstance(error, Refusal) and call.attempts > 1:
                error.headers += NO_RETRY
            run.keep_what_there_is()
            raise
