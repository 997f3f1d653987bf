"""The words of a hook: what a package is told of a call, and what it may answer. No I/O.

    class Policy:
        def __init__(self, settings):          # the `settings` of headworks.yaml, as text
            self._most = int(settings.get("most_tokens", "2000"))

        def before(self, call):
            if call.parameters.get("max_output_tokens", 0) > self._most:
                raise CallRefused("too_long", f"Ask for at most {self._most} tokens.")
            return Changes(parameters={"temperature": 0})

        def after(self, end):
            return {"slow": end.total_us > 5_000_000}

A hook sees no prompt and no answer. What it changes is judged as if the caller had sent it: by the caller's scope, the
contract, the screening, the residency, the quotas and the budgets, all of which come behind it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Protocol

import msgspec

Manner = Literal["call", "count", "batch", "run", "session"]
"""In what a model is asked: a call; a count of the tokens that one would take; a line of a batch; a run of a provider's
own evals; a Realtime session, at its beginning and whenever its settings or a response are asked for.

A hook may change calls. All else goes as it is: it can be refused, and where a hook wants it otherwise, that is a
refusal, too. Of counts, what a hook wants otherwise is ignored, since nothing is answered.
"""

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]

PARAMETERS = frozenset(
    {
        "dimensions",
        "frequency_penalty",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "reasoning_effort",
        "seed",
        "service_tier",
        "temperature",
        "top_k",
        "top_p",
        "verbosity",
    }
)
"""Fields of a request that a hook is shown and may set: how an answer is made, and nothing of what is said, where it
goes or what is kept. They are those of the API that the caller speaks; what it has no such field for is refused there.
"""


class CallFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A call before it is made. Empty text means that there is none.

    Attributes:
        call_id: by which its record is found.
        endpoint: which API, as records have it (`responses`, `chat.completions`).
        model: what the caller asks for; a workload's name where it is one.
        workload: that name again; "" where the call belongs to none.
        key_id, owner, team: who calls.
        is_streamed: whether the answer is.
        request_bytes: of the body.
        metadata: what the caller says of the call.
        parameters: those of `PARAMETERS` that the caller sets.
        targets: what `Changes.target` may be, the usual one first.
        manner: in what the model is asked. Of a batch's lines, those that are alike in all this are asked about once,
            with the size of the longest.
    """

    call_id: str
    endpoint: str
    model: str
    workload: str
    key_id: str
    owner: str
    team: str
    is_streamed: bool
    request_bytes: int
    metadata: Mapping[str, str]
    parameters: Mapping[str, JsonValue]
    targets: tuple[str, ...]
    manner: Manner = "call"


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What a hook wants to be otherwise. What is left out stays.

    Attributes:
        metadata: further entries, or other values; only where the API has such a field (Responses and Chat).
        parameters: fields of `PARAMETERS`, set to these values.
        target: one of `CallFacts.targets`, where the call goes first; "" for the usual one.
    """

    metadata: Mapping[str, str] = {}
    parameters: Mapping[str, JsonValue] = {}
    target: str = ""


class CallRefused(Exception):
    """Raised by a hook: the call must not be made. This is no failure of the hook.

    Arguments:
        code: for the caller's program: 1 to 64 small letters, digits and `_`.
        message: for its reader: what is wrong and what to do. It goes to the caller and into no log.
        status: the HTTP status, from 400 to 499.
    """

    def __init__(self, code: str, message: str, *, status: int = 403) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.status = status


class CallEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A call after it has ended, as its record has it; fields as in `calls.Settled`. `cost_pico` is -1 where the cost
    is not known."""

    call_id: str
    endpoint: str
    requested_model: str
    workload: str
    key_id: str
    owner: str
    team: str
    provider: str
    model: str
    served_model: str
    outcome: str
    status: int
    error_code: str
    finish_reason: str
    verdict: str
    attempts: int
    total_us: int
    first_token_us: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_pico: int


Notes = Mapping[str, bool | int | float | str]
"""What a hook finds out about a call, by name: it is joined to the call's record as an outcome, with the hook as its
source. Names are 1 to 64 of a-z, 0-9, `_`, `.` and `-`, the first a letter; text has at most 256 characters."""


class BeforeHook(Protocol):
    """Asked before a call is made. Plain functions run in a thread, `async` ones on the loop that serves all calls:
    they must not block it."""

    def before(self, call: CallFacts) -> Changes | Awaitable[Changes | None] | None:
        """What is to be otherwise; None if nothing. Raises CallRefused."""
        ...


class AfterHook(Protocol):
    """Told after a call has ended; its caller does not wait for it. In a thread or on the loop, as before."""

    def after(self, end: CallEnd) -> Notes | Awaitable[Notes | None] | None:
        """What its record is to be joined with; None for nothing."""
        ...


HookFactory = Callable[[Mapping[str, str]], BeforeHook | AfterHook]
"""What an entry point of the group `headworks.hooks` names: called with the settings, once when configuration is read
and once in each process that asks it. Calls share what it makes, several at once."""
