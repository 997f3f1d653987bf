"""Batches, fine-tuning jobs and conversations (OpenAI API reference, 2026-11)."""

from typing import Literal

import msgspec
from msgspec import Raw

from headworks.exchange import Request
from headworks.simulator.chance import identifier
from headworks.simulator.decoding import ABSENT, decoded, given
from headworks.simulator.file_endpoints import add_file
from headworks.simulator.items import Item, read_item, shown
from headworks.simulator.projects import Batch, Conversation, Job, Value, answered, deleted, listed
from headworks.simulator.provider import Provider, Visit
from headworks.simulator.rejection import Rejection, no_such_model
from headworks.simulator.script import Script

_BATCH_S = 5.0
_JOB_S = 10.0
"""How long they take, times the pace."""

_DAY_S = 86_400
_TUNABLE = "text"


class _BatchBody(msgspec.Struct):
    input_file_id: str
    endpoint: Literal["/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/completions", "/v1/moderations"]
    completion_window: Literal["24h"]
    metadata: dict[str, str] | None = None


class _Line(msgspec.Struct):
    custom_id: str
    method: Literal["POST"]
    url: str
    body: Raw


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(msgspec.Struct):
    model: str = ""
    usage: _Usage | None = None


def create_batch(provider: Provider, visit: Visit) -> Script:
    """POST /v1/batches"""
    body = decoded(visit.request.body, _BatchBody)
    file = provider.project.files.get(body.input_file_id)
    if file.value["purpose"] != "batch":
        raise Rejection(400, "The input file must have the purpose 'batch'.", param="input_file_id")
    now = int(visit.now)
    value: Value = {
        "id": identifier("batch_", provider.plan.seed, "batch", visit.unique),
        "object": "batch",
        "endpoint": body.endpoint,
        "model": None,
        "errors": None,
        "input_file_id": body.input_file_id,
        "completion_window": body.completion_window,
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now,
        "in_progress_at": None,
        "expires_at": now + _DAY_S,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": None,
        "metadata": body.metadata,
    }
    provider.project.batches.add(str(value["id"]), Batch(value, visit.now + _BATCH_S * provider.plan.pace))
    return answered(value)


def list_batches(provider: Provider, visit: Visit) -> Script:
    """GET /v1/batches"""
    return listed([_now(provider, visit, batch) for batch in provider.project.batches.all()], visit.request.query)


def retrieve_batch(provider: Provider, visit: Visit, batch_id: str) -> Script:
    """GET /v1/batches/{id}"""
    return answered(_now(provider, visit, provider.project.batches.get(batch_id)))


def cancel_batch(provider: Provider, visit: Visit, batch_id: str) -> Script:
    """POST /v1/batches/{id}/cancel"""
    batch = provider.project.batches.get(batch_id)
    if batch.value["status"] not in ("validating", "in_progress", "finalizing"):
        raise Rejection(400, f"Cannot cancel a batch with status '{batch.value['status']}'.", param="batch_id")
    batch.value |= {"status": "cancelling", "cancelling_at": int(visit.now)}
    return answered(batch.value)


def _now(provider: Provider, visit: Visit, batch: Batch) -> Value:
    """The batch as it is now: what is due is done."""
    value = batch.value
    if value["status"] == "cancelling":
        value |= {"status": "cancelled", "cancelled_at": int(visit.now)}
    elif value["status"] in ("validating", "in_progress") and visit.now < batch.due_at:
        value |= {"status": "in_progress", "in_progress_at": value["in_progress_at"] or int(visit.now)}
    elif value["status"] in ("validating", "in_progress"):
        _run(provider, visit, batch)
    return value


def _run(provider: Provider, visit: Visit, batch: Batch) -> None:
    """Have each line answered, as the endpoint that it names would."""
    value = batch.value
    content = provider.project.files.get(str(value["input_file_id"])).content
    outputs: list[bytes] = []
    errors: list[bytes] = []
    used = [0, 0]
    for number, text in enumerate(line for line in content.splitlines() if line.strip()):
        line = decoded(text, _Line)
        request = Request("POST", line.url, "", visit.request.headers, bytes(line.body))
        inner = Visit(request, visit.now, visit.unique + b"/%d" % number)
        try:
            script = provider.dispatch(inner)
            status, body = script.status, b"".join(beat.data for beat in script.beats)
        except Rejection as error:
            status, body = error.status, msgspec.json.encode({"error": error.error_object()})
        is_good = status < 300
        if is_good:
            answer = msgspec.json.decode(body, type=_Answer)
            value["model"] = answer.model or value["model"]
            usage = answer.usage or _Usage()
            used[0] += usage.input_tokens or usage.prompt_tokens or 0
            used[1] += usage.output_tokens or usage.completion_tokens or 0
        line_id = identifier("batch_req_", provider.plan.seed, inner.unique)
        answered_line = {
            "id": line_id,
            "custom_id": line.custom_id,
            "response": {"status_code": status, "request_id": identifier("", 0, line_id), "body": Raw(body)},
            "error": None,
        }
        (outputs if is_good else errors).append(msgspec.json.encode(answered_line))
    now = int(visit.now)
    value |= {
        "status": "completed",
        "in_progress_at": value["in_progress_at"] or now,
        "finalizing_at": now,
        "completed_at": now,
        "request_counts": {"total": len(outputs) + len(errors), "completed": len(outputs), "failed": len(errors)},
        "usage": {
            "input_tokens": used[0],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": used[1],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(used),
        },
    }
    for name, lines in (("output", outputs), ("error", errors)):
        if lines:
            file_name = f"{value['id']}_{name}.jsonl"
            file = add_file(
                provider, visit, file_name, "batch_output", b"\n".join(lines) + b"\n", f"{value['id']} {name}".encode()
            )
            value[f"{name}_file_id"] = file.value["id"]


# -- fine-tuning -----------------------------------------------------------------------------------------------------


class _JobBody(msgspec.Struct):
    model: str
    training_file: str
    validation_file: str | None = None
    suffix: str | None = None
    seed: int | None = None
    metadata: dict[str, str] | None = None


def create_job(provider: Provider, visit: Visit) -> Script:
    """POST /v1/fine_tuning/jobs"""
    body = decoded(visit.request.body, _JobBody)
    base = provider.base_model(body.model)
    if base is None or provider.plan.models[base].kind != _TUNABLE:
        raise no_such_model(body.model)
    for file_id in (body.training_file, body.validation_file):
        if file_id is not None and provider.project.files.get(file_id).value["purpose"] != "fine-tune":
            raise Rejection(400, f"File '{file_id}' must have the purpose 'fine-tune'.", param="training_file")
    value: Value = {
        "id": identifier("ftjob-", provider.plan.seed, "job", visit.unique),
        "object": "fine_tuning.job",
        "created_at": int(visit.now),
        "finished_at": None,
        "model": body.model,
        "fine_tuned_model": None,
        "organization_id": provider.plan.organization,
        "status": "queued",
        "training_file": body.training_file,
        "validation_file": body.validation_file,
        "result_files": [],
        "trained_tokens": None,
        "error": None,
        "hyperparameters": {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"},
        "user_provided_suffix": body.suffix,
        "seed": body.seed if body.seed is not None else 0,
        "estimated_finish": None,
        "integrations": [],
        "metadata": body.metadata,
    }
    job = Job(value, visit.now + _JOB_S * provider.plan.pace, [], [])
    _tell(provider, visit, job, "Created fine-tuning job")
    provider.project.jobs.add(str(value["id"]), job)
    return answered(value)


def list_jobs(provider: Provider, visit: Visit) -> Script:
    """GET /v1/fine_tuning/jobs"""
    return listed([_job_now(provider, visit, job) for job in provider.project.jobs.all()], visit.request.query)


def retrieve_job(provider: Provider, visit: Visit, job_id: str) -> Script:
    """GET /v1/fine_tuning/jobs/{id}"""
    return answered(_job_now(provider, visit, provider.project.jobs.get(job_id)))


def change_job(provider: Provider, visit: Visit, job_id: str, action: str) -> Script:
    """POST /v1/fine_tuning/jobs/{id}/cancel, …/pause, …/resume"""
    job = provider.project.jobs.get(job_id)
    if job.value["status"] not in ("queued", "running", "paused"):
        raise Rejection(400, f"Job has already completed: {job_id}", code="invalid_job_state")
    job.value["status"] = {"cancel": "cancelled", "pause": "paused", "resume": "queued"}[action]
    _tell(provider, visit, job, f"Fine-tuning job {job.value['status']}")
    return answered(job.value)


def job_events(provider: Provider, visit: Visit, job_id: str) -> Script:
    """GET /v1/fine_tuning/jobs/{id}/events"""
    job = provider.project.jobs.get(job_id)
    _job_now(provider, visit, job)
    return listed(job.events, visit.request.query)


def job_checkpoints(provider: Provider, visit: Visit, job_id: str) -> Script:
    """GET /v1/fine_tuning/jobs/{id}/checkpoints"""
    job = provider.project.jobs.get(job_id)
    _job_now(provider, visit, job)
    return listed(job.checkpoints, visit.request.query)


def delete_model(provider: Provider, _: Visit, name: str) -> Script:
    """DELETE /v1/models/{id}, for models that the project has made"""
    if provider.project.models.pop(name, None) is None:
        raise no_such_model(name)
    return deleted(name, "model")


def _job_now(provider: Provider, visit: Visit, job: Job) -> Value:
    value = job.value
    if value["status"] in ("queued", "running"):
        if visit.now < job.due_at:
            value["status"] = "running"
        else:
            organization = provider.plan.organization.removeprefix("org-")
            mark = str(value["id"])[-8:]
            name = f"ft:{value['model']}:{organization}:{value['user_provided_suffix'] or ''}:{mark}"
            base = provider.base_model(str(value["model"]))
            assert base is not None, "it was there when the job was made"
            provider.project.models |= {name: base, f"{name}:ckpt-step-10": base}
            job.checkpoints.append(
                {
                    "id": identifier("ftckpt_", provider.plan.seed, str(value["id"])),
                    "object": "fine_tuning.job.checkpoint",
                    "created_at": int(visit.now),
                    "fine_tuned_model_checkpoint": f"{name}:ckpt-step-10",
                    "fine_tuning_job_id": value["id"],
                    "metrics": {"step": 10.0, "train_loss": 0.5},
                    "step_number": 10,
                }
            )
            value |= {"status": "succeeded", "fine_tuned_model": name, "finished_at": int(visit.now)}
            value["trained_tokens"] = 100
            _tell(provider, visit, job, "The job has successfully completed")
    return value


def _tell(provider: Provider, visit: Visit, job: Job, message: str) -> None:
    number = b"%d" % len(job.events)
    job.events.append(
        {
            "id": identifier("ftevent-", provider.plan.seed, str(job.value["id"]), number),
            "object": "fine_tuning.job.event",
            "created_at": int(visit.now),
            "level": "info",
            "message": message,
            "type": "message",
            "data": {},
        }
    )


# -- conversations ---------------------------------------------------------------------------------------------------


class _ConversationBody(msgspec.Struct):
    items: Raw = ABSENT
    metadata: dict[str, str] | None = None


def create_conversation(provider: Provider, visit: Visit) -> Script:
    """POST /v1/conversations"""
    body = decoded(visit.request.body or b"{}", _ConversationBody)
    value: Value = {
        "id": identifier("conv_", provider.plan.seed, "conversation", visit.unique),
        "object": "conversation",
        "created_at": int(visit.now),
        "metadata": body.metadata or {},
    }
    conversation = Conversation(value, [])
    add_items(provider, visit, conversation, _items(body))
    provider.project.conversations.add(str(value["id"]), conversation)
    return answered(value)


def retrieve_conversation(provider: Provider, _: Visit, conversation_id: str) -> Script:
    """GET /v1/conversations/{id}"""
    return answered(provider.project.conversations.get(conversation_id).value)


def update_conversation(provider: Provider, visit: Visit, conversation_id: str) -> Script:
    """POST /v1/conversations/{id}"""
    conversation = provider.project.conversations.get(conversation_id)
    conversation.value["metadata"] = decoded(visit.request.body, _ConversationBody).metadata or {}
    return answered(conversation.value)


def delete_conversation(provider: Provider, _: Visit, conversation_id: str) -> Script:
    """DELETE /v1/conversations/{id}"""
    provider.project.conversations.remove(conversation_id)
    return deleted(conversation_id, "conversation.deleted")


def conversation_items(provider: Provider, visit: Visit, conversation_id: str) -> Script:
    """GET and POST /v1/conversations/{id}/items"""
    conversation = provider.project.conversations.get(conversation_id)
    if visit.request.method == "GET":
        return listed([shown(item, item_id) for item_id, item in conversation.items], visit.request.query)
    added = add_items(provider, visit, conversation, _items(decoded(visit.request.body, _ConversationBody)))
    values = [shown(item, item_id) for item_id, item in added]
    first, last = (values[0]["id"], values[-1]["id"]) if values else (None, None)
    return answered({"object": "list", "data": values, "first_id": first, "last_id": last, "has_more": False})


def conversation_item(provider: Provider, visit: Visit, conversation_id: str, item_id: str) -> Script:
    """GET and DELETE /v1/conversations/{id}/items/{id}"""
    conversation = provider.project.conversations.get(conversation_id)
    found = next((item for known, item in conversation.items if known == item_id), None)
    if found is None:
        raise Rejection(404, f"Item with id '{item_id}' not found.", param="item_id")
    if visit.request.method == "DELETE":
        conversation.items = [(known, item) for known, item in conversation.items if known != item_id]
        return answered(conversation.value)
    return answered(shown(found, item_id))


def add_items(
    provider: Provider, visit: Visit, conversation: Conversation, items: tuple[Item, ...]
) -> list[tuple[str, Item]]:
    """Put items at the end of a conversation; each with its id."""
    start = len(conversation.items)
    seed, name = provider.plan.seed, str(conversation.value["id"])
    added = [
        (item.body.id or identifier("msg_", seed, name, visit.unique, b"%d" % (start + number)), item)
        for number, item in enumerate(items)
    ]
    conversation.items += added
    return added


def _items(body: _ConversationBody) -> tuple[Item, ...]:
    data = given(body.items)
    raws = decoded(data, list[Raw], "items") if data else []
    return tuple(read_item(bytes(raw), f"items[{number}]") for number, raw in enumerate(raws))
