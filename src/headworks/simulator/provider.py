"""The simulated provider itself: its models, its memory, and what is common to all its endpoints."""

import datetime as dt
import re
from collections.abc import Callable

import msgspec

from headworks.calls import Endpoint
from headworks.exchange import Request
from headworks.simulator import rejection
from headworks.simulator.answers import Answer, Author
from headworks.simulator.asking import Ask, cacheable
from headworks.simulator.buckets import ModelLimits
from headworks.simulator.chance import digest
from headworks.simulator.faults import FaultBox
from headworks.simulator.plan import Failing, Fault, Model, ModelKind, Plan
from headworks.simulator.prefix_cache import PrefixMemory
from headworks.simulator.projects import Project
from headworks.simulator.rejection import Rejection, invalid_value
from headworks.simulator.rhythm import AT_ONCE, Rhythm, drawn
from headworks.simulator.rules import RuleBook
from headworks.simulator.script import Script
from headworks.simulator.stored import Shelf
from headworks.simulator.usage import Tally


class Visit:
    """One request on its way through the provider. `unique` tells it from every other; `headers` gather what the
    answer must carry, whatever it is; `failure` is set where the generation is planned to fail."""

    __slots__ = ("failure", "headers", "now", "request", "unique")

    def __init__(self, request: Request, now: float, unique: bytes) -> None:
        self.request = request
        self.now = now
        self.unique = unique
        self.headers: dict[bytes, bytes] = {}
        self.failure: Failing | None = None


class Provider:
    """A provider that follows a plan.

    State: what was planned (`plan`, replaced as a whole), the prompt cache, what projects keep, the buckets of the
    limits, the faults with their counters, and the number of visits.

    Attributes:
        project: of whoever is here just now.
        dispatch: has a request answered as if it came in by itself; set by whoever knows all endpoints.
    """

    dispatch: Callable[[Visit], Script]

    def __init__(self, plan: Plan, now: Callable[[], float]) -> None:
        self.now = now
        self.memory = PrefixMemory()
        self._projects: dict[bytes, Project] = {}
        self.project = Project(plan.stored_responses)
        self._visits = 0
        self.follow(plan)

    @property
    def shelf(self) -> Shelf:
        """The stored responses of the project."""
        return self.project.shelf

    def follow(self, plan: Plan) -> None:
        """Do as this plan says from now on: limits start full, faults and their windows start anew; the prompt
        cache and stored responses stay. Raises ValueError, and changes nothing, if a rule is impossible."""
        author = Author(RuleBook(plan.rules, plan.seed), plan.seed, plan.answer_tokens)
        now = self.now()
        faults = FaultBox(plan.seed)
        for fault in plan.faults:
            faults.add(fault, now)
        self.plan = plan
        self.author = author
        self.faults = faults
        self._names = {model.snapshot: name for name, model in plan.models.items() if model.snapshot}
        self._names |= {name: name for name in plan.models}
        self._limits = {
            name: ModelLimits(name, model.limits, plan.organization, now) for name, model in plan.models.items()
        }

    def add_fault(self, fault: Fault) -> None:
        """Put one more fault behind the planned ones; its window counts from now."""
        self.plan = msgspec.structs.replace(self.plan, faults=(*self.plan.faults, fault))
        self.faults.add(fault, self.now())

    def forget(self) -> None:
        """Empty the prompt cache, drop what projects keep, and number visits from the start."""
        self.memory.forget_all()
        self._projects.clear()
        self._visits = 0

    def visit(self, request: Request) -> Visit:
        """A new request."""
        self._visits += 1
        headers = request.headers
        key = headers.get(b"authorization") or headers.get(b"x-api-key") or headers.get(b"x-goog-api-key", b"")
        whose = b"%b\n%b" % (key, headers.get(b"openai-project", b""))
        project = self._projects.get(whose)
        if project is None:
            project = self._projects[whose] = Project(self.plan.stored_responses)
            if len(self._projects) > _MOST_PROJECTS:
                del self._projects[next(iter(self._projects))]
        self.project = project
        return Visit(request, self.now(), b"%d" % self._visits)

    def check_key(self, request: Request) -> None:
        """Any bearer key will do, unless the plan lists some; Anthropic's API has it in `x-api-key`, Google's in
        `x-goog-api-key`. Raises Rejection: the API's 401."""
        header = request.headers.get(b"authorization", b"")
        own = request.headers.get(b"x-api-key", b"")
        if own and request.path.startswith("/v1/messages"):
            if b"anthropic-version" not in request.headers:
                raise Rejection(400, "anthropic-version: header is required")
            header = b"Bearer " + own
        googles = request.headers.get(b"x-goog-api-key", b"")
        if googles and not header:
            header = b"Bearer " + googles
        scheme, _, key = header.partition(b" ")
        text = key.strip().decode("latin-1")
        if scheme.lower() != b"bearer" or not text:
            raise rejection.no_key()
        if self.plan.api_keys and text not in self.plan.api_keys:
            raise rejection.wrong_key(text)

    def base_model(self, name: str) -> str | None:
        """The id of the model of the plan that a name means; of a fine-tuned one, that of the model it comes from."""
        return self._names.get(name) or self.project.models.get(name)

    def names_of(self, model: str) -> tuple[str, ...]:
        """The name that was asked for, the model's id and its snapshot: what a fault may be planned for."""
        name = self._names.get(model, model)
        known = self.plan.models.get(name)
        return (model, name, known.snapshot) if known and known.snapshot else (model, name)

    def model(self, wanted: str, kind: ModelKind, endpoint: Endpoint, now: float) -> tuple[str, Model]:
        """The id and the plan of a model. Raises Rejection: unknown, retired, or of another kind."""
        name = self.base_model(wanted)
        if name is None:
            raise rejection.no_such_model(wanted)
        model = self.plan.models[name]
        if wanted in self.project.models:
            model = msgspec.structs.replace(model, snapshot=wanted)
        if model.shutdown_date is not None:
            today = dt.datetime.fromtimestamp(now, dt.UTC).date().isoformat()
            if today >= model.shutdown_date:
                raise rejection.retired_model(wanted)
        if model.kind != kind:
            raise rejection.wrong_model_kind(wanted, endpoint.value)
        return name, model

    def admit(self, visit: Visit, model_id: str, tokens: int) -> None:
        """Charge a request to the limits of its model. Raises Rejection: the API's 429."""
        visit.headers |= self._limits[model_id].admit(tokens, visit.now)

    def rhythm(self, visit: Visit, model: Model) -> Rhythm:
        """The timing of the answer: drawn from the seed and the bytes of the request."""
        if not self.plan.pace:
            return AT_ONCE
        request = visit.request
        return drawn(model.latency, self.plan.pace, digest(self.plan.seed, "pace", request.path, request.body))

    def read_prompt(self, visit: Visit, ask: Ask, *, may_truncate: bool = False) -> Tally:
        """Count the prompt, check it against the window and the limits, and use the prompt cache. The output of
        the tally is still empty. Raises Rejection."""
        model = ask.model
        text = cacheable(ask.segments, ask.cache)
        tokens = len(text.pieces)
        if tokens > model.context_tokens:
            if not may_truncate:
                raise _too_long(ask, tokens)
            tokens = model.context_tokens
        if ask.max_tokens is not None and ask.max_tokens > model.max_output_tokens:
            param = _LIMIT_NAMES.get(ask.endpoint, "max_completion_tokens")
            raise invalid_value(
                param,
                f"{param} is too large: {ask.max_tokens}. This model supports at most {model.max_output_tokens} "
                "completion tokens.",
            )
        self.admit(visit, ask.model_id, tokens + (ask.max_tokens or 0))
        ttl_s = ask.cache.ttl_s if ask.cache.ttl_s is not None else model.cache.ttl_s
        use = self.memory.use(f"{ask.model_id}\x00{ask.cache.key}\x00", text, model.cache, ttl_s, visit.now)
        return Tally(tokens, 0, cached_tokens=use.cached_tokens, write_tokens=use.write_tokens, write_ttl_s=ttl_s)

    def write(self, ask: Ask, choices: int = 1) -> tuple[Answer, ...]:
        """The answers to a request: as many as it wants, one that is empty for a mere warming of the cache."""
        if ask.cache.is_prewarm:
            return (Answer(),)
        return tuple(self.author.answer(ask, choice) for choice in range(choices))


_MOST_PROJECTS = 1000
"""Keys come from callers, so there must be a bound."""

_LIMIT_NAMES = {
    Endpoint.RESPONSES: "max_output_tokens",
    Endpoint.MESSAGES: "max_tokens",
    Endpoint.GENERATE_CONTENT: "maxOutputTokens",
    Endpoint.CONVERSE: "maxTokens",
}


def tallied(tally: Tally, answers: tuple[Answer, ...], *, is_prewarm: bool) -> Tally:
    """The tally with the output of the answers."""
    return msgspec.structs.replace(
        tally,
        output_tokens=0 if is_prewarm else sum(answer.output_tokens for answer in answers),
        reasoning_tokens=sum(answer.reasoning_tokens for answer in answers),
    )


def _too_long(ask: Ask, tokens: int) -> Rejection:
    if ask.endpoint is Endpoint.MESSAGES:
        return Rejection(400, f"prompt is too long: {tokens} tokens > {ask.model.context_tokens} maximum")
    if ask.endpoint is Endpoint.CONVERSE:
        return Rejection(400, "Input is too long for requested model.")
    if ask.endpoint is Endpoint.CHAT:
        return Rejection(
            400,
            f"This model's maximum context length is {ask.model.context_tokens} tokens. However, your messages "
            f"resulted in {tokens} tokens. Please reduce the length of the messages.",
            code="context_length_exceeded",
            param="messages",
        )
    return Rejection(
        400,
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        code="context_length_exceeded",
        param="input",
    )


class _Named(msgspec.Struct):
    model: str = ""


_FORM_MODEL = re.compile(rb'name="model"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]*)', re.IGNORECASE)


def model_named(request: Request) -> str:
    """The model that a body names, as far as that can be told without judging the rest; "" if it cannot."""
    if request.headers.get(b"content-type", b"").lower().startswith(b"multipart/"):
        found = _FORM_MODEL.search(request.body)
        return found[1].decode("utf-8", "replace") if found else ""
    try:
        return msgspec.json.decode(request.body, type=_Named).model
    except (msgspec.DecodeError, UnicodeDecodeError):  # the endpoint will say what is wrong with it
        return ""
