"""The front of the simulated provider: which endpoint a request is for, who may call it, and what goes wrong."""

from collections.abc import Callable
from functools import partial

import msgspec

from headworks.calls import Endpoint
from headworks.exchange import Request
from headworks.simulator import (
    cloud_paths,
    converse_endpoints,
    file_endpoints,
    gemini_endpoints,
    job_endpoints,
    messages_endpoints,
    realtime_opening,
    rejection,
    text_endpoints,
)
from headworks.simulator import other_endpoints as other
from headworks.simulator.chance import identifier
from headworks.simulator.completions import create_completion
from headworks.simulator.converse_wire import converse_error
from headworks.simulator.faults import bent, refusal
from headworks.simulator.gemini_wire import gemini_error
from headworks.simulator.messages_wire import messages_error, messages_headers
from headworks.simulator.plan import Failing, Fault, Plan
from headworks.simulator.provider import Provider, Visit, model_named
from headworks.simulator.realtime_opening import Opened
from headworks.simulator.rejection import Rejection
from headworks.simulator.remembered import RememberedRequest, RequestMemory
from headworks.simulator.script import Script

_API_VERSION = b"2020-10-01"
"""What the real API sends as `openai-version`."""

_SWITCHED = 101

_Handler = Callable[[Provider, Visit], Script]
_ItemHandler = Callable[[Provider, Visit, str], Script]

_FIXED: dict[str, tuple[str, Endpoint, _Handler]] = {
    "/v1/responses": ("POST", Endpoint.RESPONSES, text_endpoints.create_response),
    "/v1/responses/input_tokens": ("POST", Endpoint.RESPONSES, text_endpoints.count_input_tokens),
    "/v1/chat/completions": ("POST", Endpoint.CHAT, text_endpoints.create_chat_completion),
    "/v1/completions": ("POST", Endpoint.COMPLETIONS, create_completion),
    "/v1/messages": ("POST", Endpoint.MESSAGES, messages_endpoints.create_message),
    "/v1/messages/count_tokens": ("POST", Endpoint.MESSAGES, messages_endpoints.count_message_tokens),
    "/v1/embeddings": ("POST", Endpoint.EMBEDDINGS, other.create_embeddings),
    "/v1/moderations": ("POST", Endpoint.MODERATIONS, other.create_moderation),
    "/v1/images/generations": ("POST", Endpoint.IMAGES, other.create_image),
    "/v1/audio/speech": ("POST", Endpoint.AUDIO, other.create_speech),
    "/v1/audio/transcriptions": ("POST", Endpoint.AUDIO, other.create_transcription),
    "/v1/models": ("GET", Endpoint.MODELS, other.list_models),
}

_OF_RESPONSE: dict[str, dict[str, _ItemHandler]] = {
    "": {"GET": text_endpoints.retrieve_response, "DELETE": text_endpoints.delete_response},
    "cancel": {"POST": text_endpoints.cancel_response},
    "input_items": {"GET": text_endpoints.list_input_items},
}
"""What can be done with a stored response, by the last part of the path."""


_KEPT: dict[str, tuple[Endpoint, dict[str, _Handler]]] = {
    "/v1/files": (Endpoint.FILES, {"POST": file_endpoints.create_file, "GET": file_endpoints.list_files}),
    "/v1/uploads": (Endpoint.FILES, {"POST": file_endpoints.create_upload}),
    "/v1/batches": (Endpoint.BATCHES, {"POST": job_endpoints.create_batch, "GET": job_endpoints.list_batches}),
    "/v1/conversations": (Endpoint.CONVERSATIONS, {"POST": job_endpoints.create_conversation}),
    "/v1/vector_stores": (
        Endpoint.VECTOR_STORES,
        {"POST": file_endpoints.create_store, "GET": file_endpoints.list_stores},
    ),
    "/v1/fine_tuning/jobs": (Endpoint.FINE_TUNING, {"POST": job_endpoints.create_job, "GET": job_endpoints.list_jobs}),
}
"""What a project keeps, and what can be done with all of a kind."""

_OF_KEPT: dict[str, dict[str, _ItemHandler]] = {
    "/v1/files": {
        "GET": file_endpoints.retrieve_file,
        "DELETE": file_endpoints.delete_file,
        "GET content": file_endpoints.read_file,
    },
    "/v1/uploads": {
        "POST parts": file_endpoints.add_part,
        "POST complete": file_endpoints.complete_upload,
        "POST cancel": file_endpoints.cancel_upload,
    },
    "/v1/batches": {"GET": job_endpoints.retrieve_batch, "POST cancel": job_endpoints.cancel_batch},
    "/v1/conversations": {
        "GET": job_endpoints.retrieve_conversation,
        "POST": job_endpoints.update_conversation,
        "DELETE": job_endpoints.delete_conversation,
        "GET items": job_endpoints.conversation_items,
        "POST items": job_endpoints.conversation_items,
    },
    "/v1/vector_stores": {
        "GET": file_endpoints.retrieve_store,
        "POST": file_endpoints.modify_store,
        "DELETE": file_endpoints.delete_store,
        "POST search": file_endpoints.search_store,
        "GET files": file_endpoints.store_files,
        "POST files": file_endpoints.store_files,
        "POST file_batches": file_endpoints.create_file_batch,
    },
    "/v1/fine_tuning/jobs": {
        "GET": job_endpoints.retrieve_job,
        "GET events": job_endpoints.job_events,
        "GET checkpoints": job_endpoints.job_checkpoints,
        **{
            f"POST {action}": partial(job_endpoints.change_job, action=action)
            for action in ("cancel", "pause", "resume")
        },
    },
}
"""What can be done with one of them: by method and the last part of the path."""

_OF_PART: dict[str, dict[str, Callable[[Provider, Visit, str, str], Script]]] = {
    "/v1/conversations": {
        "GET items": job_endpoints.conversation_item,
        "DELETE items": job_endpoints.conversation_item,
    },
    "/v1/vector_stores": {
        "GET files": file_endpoints.store_file,
        "POST files": file_endpoints.store_file,
        "DELETE files": file_endpoints.store_file,
        "GET files content": file_endpoints.store_file_content,
        "GET file_batches": partial(file_endpoints.file_batch, action=""),
        "POST file_batches cancel": partial(file_endpoints.file_batch, action="cancel"),
        "GET file_batches files": partial(file_endpoints.file_batch, action="files"),
    },
}
"""What can be done with something in one of them: by method, the part that names its kind, and the last part."""


class Simulator:
    """A faithful provider of the OpenAI API, of Anthropic's Messages, of Google's generateContent, also as Azure and
    Vertex AI serve them, and of AWS's Converse, without a network and without waiting.

        simulator = Simulator(Plan(pace=0), now=time.time)
        script = simulator.answer(Request("GET", "/v1/models", headers={b"authorization": b"Bearer any"}))

    An answer is a function of the request, the plan with its seed, the clock, and the state: prompt cache,
    limits, stored responses, counters. Not for several threads at once.

    Arguments:
        plan: what the provider is like.
        now: Unix time in seconds.
    """

    def __init__(self, plan: Plan | None = None, *, now: Callable[[], float]) -> None:
        self._first_plan = plan or Plan()
        self._provider = Provider(self._first_plan, now)
        self._provider.dispatch = self._dispatch
        self._requests = RequestMemory(self._first_plan.remembered_requests)

    @property
    def plan(self) -> Plan:
        """The plan that is followed now."""
        return self._provider.plan

    @property
    def requests(self) -> tuple[RememberedRequest, ...]:
        """The latest requests, the oldest first."""
        return self._requests.all()

    def replace_plan(self, plan: Plan) -> None:
        """Follow another plan from now on. Raises ValueError, and changes nothing, if it is impossible."""
        self._provider.follow(plan)

    def restore_plan(self) -> None:
        """Follow the plan of the start again."""
        self._provider.follow(self._first_plan)

    def add_fault(self, fault: Fault) -> None:
        """Plan one more fault; its window counts from now."""
        self._provider.add_fault(fault)

    def reset(self) -> None:
        """Be as at the start: the first plan, no memory."""
        self.restore_plan()
        self._provider.forget()
        self._requests.clear()

    def answer(self, request: Request) -> Script:
        """The script of the answer; nothing is sent or awaited here."""
        asked = request
        try:
            request = cloud_paths.plain_request(request)
        except Rejection as error:
            return error.script()
        visit = self._provider.visit(request)
        is_of_anthropic = request.path.startswith("/v1/messages")
        is_of_google = gemini_endpoints.is_of_gemini(request.path)
        is_of_aws = converse_endpoints.is_of_bedrock(request.path)
        try:
            script = self._answered(visit)
        except Rejection as error:
            script = _told(error, request.path)
        self._requests.add(asked, visit.now, script.status)
        if is_of_google:
            return script
        request_id = identifier("req_", self.plan.seed, "request", visit.unique).encode()
        if is_of_aws:
            return msgspec.structs.replace(script, headers={**script.headers, b"x-amzn-requestid": request_id})
        if is_of_anthropic:
            named = messages_headers({**script.headers, **visit.headers}, request_id, self.plan.organization)
            return msgspec.structs.replace(script, headers=named)
        headers = {
            **script.headers,
            **visit.headers,
            b"x-request-id": request_id,
            b"openai-organization": self.plan.organization.encode(),
            b"openai-version": _API_VERSION,
            b"openai-processing-ms": b"%d" % (script.head_delay_s * 1000),
        }
        if cloud_paths.is_azure(asked.path):
            headers[b"apim-request-id"] = headers.pop(b"x-request-id")
            script = cloud_paths.annotated(script, request.path)
        return msgspec.structs.replace(script, headers=headers)

    def open_session(self, request: Request) -> Opened | Script:
        """A session of the Realtime API; or the script of the answer that refuses it."""
        asked = request
        try:
            request = cloud_paths.plain_request(request)
            visit = self._provider.visit(request)
            self._provider.check_key(request)
            fault = None
            if len(self._provider.faults):
                model = realtime_opening.model_of(request)
                fault = self._provider.faults.strike(Endpoint.REALTIME, self._provider.names_of(model), visit.now)
                error = None if fault is None else refusal(fault, model, self.plan.organization)
                if error is not None:
                    raise error
            found = realtime_opening.opened(self._provider, visit, fault)
        except Rejection as error:
            script = error.script()
            self._requests.add(asked, self._provider.now(), script.status)
            return script
        self._requests.add(asked, visit.now, _SWITCHED)
        return found

    def _dispatch(self, visit: Visit) -> Script:
        """What a line of a batch asks for. Raises Rejection."""
        _, handle = _route(visit.request)
        return handle(self._provider, visit)

    def _answered(self, visit: Visit) -> Script:
        """Raises Rejection."""
        request = visit.request
        endpoint, handle = _route(request)
        is_of_aws = endpoint is Endpoint.CONVERSE
        self._provider.check_key(converse_endpoints.with_key(request, visit.now) if is_of_aws else request)
        fault = None
        if len(self._provider.faults):
            is_in_path = endpoint is Endpoint.GENERATE_CONTENT
            model = gemini_endpoints.model_in(request.path) if is_in_path else model_named(request)
            if is_of_aws:
                model = converse_endpoints.model_in(self._provider, request.path)
            fault = self._provider.faults.strike(endpoint, self._provider.names_of(model), visit.now)
        if fault is None:
            return handle(self._provider, visit)
        error = refusal(fault, model, self.plan.organization)
        if error is not None:
            raise error
        visit.failure = fault if isinstance(fault, Failing) else None
        return bent(handle(self._provider, visit), fault)


def _told(error: Rejection, path: str) -> Script:
    """A refusal in the words of the API that a path belongs to."""
    if path.startswith("/v1/messages"):
        return messages_error(error)
    if gemini_endpoints.is_of_gemini(path):
        return gemini_error(error)
    return converse_error(error) if converse_endpoints.is_of_bedrock(path) else error.script()


def _route(request: Request) -> tuple[Endpoint, _Handler]:
    """Raises Rejection: the API's 404 and 405."""
    path = request.path
    fixed = _FIXED.get(path)
    if fixed is not None:
        method, endpoint, handle = fixed
        if request.method != method:
            raise rejection.wrong_method(request.method, path, method)
        return endpoint, handle
    if gemini_endpoints.is_of_gemini(path):
        return Endpoint.GENERATE_CONTENT, gemini_endpoints.route(request)
    if converse_endpoints.is_of_bedrock(path):
        return Endpoint.CONVERSE, converse_endpoints.route(request)
    if path.startswith("/v1/responses/"):
        response_id, _, action = path.removeprefix("/v1/responses/").partition("/")
        return Endpoint.RESPONSES, _of_item(request, response_id, _OF_RESPONSE.get(action))
    if path.startswith("/v1/models/"):
        name = path.removeprefix("/v1/models/")
        models: dict[str, _ItemHandler] = {"GET": other.retrieve_model, "DELETE": job_endpoints.delete_model}
        return Endpoint.MODELS, _of_item(request, name, models)
    for beginning, (endpoint, handlers) in _KEPT.items():
        if path == beginning:
            found = handlers.get(request.method)
            if found is None:
                raise rejection.wrong_method(request.method, path, ", ".join(handlers))
            return endpoint, found
        if path.startswith(f"{beginning}/"):
            return endpoint, _of_kept(request, beginning, path.removeprefix(f"{beginning}/").split("/"))
    raise rejection.no_such_path(request.method, path)


def _of_kept(request: Request, beginning: str, parts: list[str]) -> _Handler:
    """Raises Rejection: the API's 404."""
    if len(parts) <= _TO_ACTION:
        handle = _OF_KEPT[beginning].get(" ".join([request.method, *parts[1:]]))
        if handle is not None:
            return lambda provider, visit: handle(provider, visit, parts[0])
    elif len(parts) <= _TO_ACTION + 2:
        inner = _OF_PART.get(beginning, {}).get(" ".join([request.method, parts[1], *parts[3:]]))
        if inner is not None:
            return lambda provider, visit: inner(provider, visit, parts[0], parts[2])
    raise rejection.no_such_path(request.method, request.path)


_TO_ACTION = 2
"""Parts of a path up to what is done with an object."""


def _of_item(request: Request, name: str, handlers: dict[str, _ItemHandler] | None) -> _Handler:
    if not name or handlers is None:
        raise rejection.no_such_path(request.method, request.path)
    handle = handlers.get(request.method)
    if handle is None:
        raise rejection.wrong_method(request.method, request.path, ", ".join(handlers))
    return lambda provider, visit: handle(provider, visit, name)
