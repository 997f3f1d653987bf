"""Files, batches, conversations, vector stores and fine-tuned models through two projects of one provider, with the
official SDK. The simulator shows each key what it has made, and nothing else: what answers came the right way."""

import io
import json
import time

import httpx2
import openai
import pytest
from e2e_processes import Gateway

from headworks.records import Selection, open_store

CONFIG = """
version: 1
server: {workers: WORKERS}
providers:
  openai:
    kind: openai
    base_url: SIMULATOR/v1
    pools:
      one: {api_key: "file:one.key"}
      two: {api_key: "file:two.key"}
prices:
  providers:
    openai: {catalogue: openai}
access:
  teams:
    red: {}
"""

ONE, TWO = {"x-headworks-provider": "openai:one"}, {"x-headworks-provider": "openai:two"}
MODEL = "gpt-6-luna"


class Site:
    """A gateway over two projects, and clients of a team, of one of its mates and of a stranger."""

    def __init__(self, folder, simulator, workers=1):
        (folder / "one.key").write_text("sk-project-one")
        (folder / "two.key").write_text("sk-project-two")
        config = CONFIG.replace("SIMULATOR", simulator.address).replace("WORKERS", str(workers))
        self.gateway = Gateway(folder, config)
        self.anna = self.client("anna", team="red")
        self.bert = self.client("bert", team="red")
        self.carl = self.client("carl")

    def client(self, name, **grant):
        return openai.OpenAI(base_url=self.gateway.base_url, api_key=self.gateway.new_key(name, **grant), max_retries=0)


@pytest.fixture(scope="module")
def site(tmp_path_factory, simulator):
    made = Site(tmp_path_factory.mktemp("stored"), simulator)
    yield made
    assert made.gateway.process.stop() == 0, made.gateway.process.said


def lines(*models, url="/v1/responses"):
    made = [
        {"custom_id": str(n), "method": "POST", "url": url, "body": {"model": model, "input": f"Say {n}."}}
        for n, model in enumerate(models)
    ]
    return "\n".join(map(json.dumps, made)).encode()


def put(client, content=b"Bridges of Basel.", purpose="user_data", name="a.txt", **headers):
    return client.files.create(file=(name, content), purpose=purpose, extra_headers=headers or ONE)


def ask(client, *parts, **more):
    content = [{"type": "input_text", "text": "What is this?"}, *parts]
    return client.responses.with_raw_response.create(model=MODEL, input=[{"role": "user", "content": content}], **more)


def part(file):
    return {"type": "input_file", "file_id": file.id}


def refused(status, code, call, *arguments, **fields):
    with pytest.raises(openai.APIStatusError) as caught:
        call(*arguments, **fields)
    assert (caught.value.status_code, caught.value.code) == (status, code), caught.value.body
    return caught.value.message


def in_store(site, look):
    """What is found in the store, as soon as it is there."""
    due_s = time.monotonic() + 60
    store = open_store(site.gateway.folder / ".headworks")
    try:
        while not (found := look(store)):
            assert time.monotonic() < due_s, "it does not come"
            time.sleep(0.05)
    finally:
        store.close()
    return found


def test_files_of_two_projects_are_each_reached_through_their_own(site):
    first, second = put(site.anna, b"one", **ONE), put(site.anna, b"two", **TWO)

    for file, content in ((first, b"one"), (second, b"two")):
        assert site.bert.files.content(file.id).read() == content
        assert site.anna.files.retrieve(file.id).filename == "a.txt"
        for _ in range(4):  # wherever the load would have it
            assert ask(site.bert, part(file)).status_code == 200
    message = refused(400, "objects_in_different_pools", ask, site.anna, part(first), part(second))
    assert "openai:one" in message
    assert site.anna.files.delete(first.id).deleted
    refused(404, "file_not_found", site.anna.files.retrieve, first.id)


def test_what_is_somebody_elses_is_not_there(site):
    file = put(site.anna)

    refused(404, "file_not_found", site.carl.files.retrieve, file.id)
    refused(404, "file_not_found", site.carl.files.content, file.id)
    refused(404, "file_not_found", site.carl.files.delete, file.id)
    refused(404, "file_not_found", ask, site.carl, part(file))
    hidden = json.dumps({"model": MODEL, "input": [{"role": "user", "content": [part(file)]}]})
    hidden = hidden.replace('"file_id"', r'"file\u005fid"')
    answer = httpx2.post(
        f"{site.gateway.base_url}/responses",
        content=hidden,
        headers={"authorization": f"Bearer {site.carl.api_key}", "content-type": "application/json"},
    )
    assert answer.status_code == 404
    assert not [one for one in site.carl.files.list() if one.id == file.id]


def test_lists_hold_ones_own_of_all_projects_page_by_page(site):
    client = site.client("dora")
    made = [put(client, name=f"{n}.txt", **(ONE if n % 2 else TWO)) for n in range(5)]
    batch = put(client, lines(MODEL), "batch", "b.jsonl", **TWO)
    made_ids = [file.id for file in made]

    assert [file.id for file in client.files.list(limit=2)] == [batch.id, *reversed(made_ids)]
    assert [file.id for file in client.files.list(limit=4, order="asc", purpose="user_data")] == made_ids
    page = client.files.list(limit=2, order="asc")
    assert page.has_more
    client.files.delete(made_ids[2])
    assert [file.id for file in client.files.list(after=made_ids[1], order="asc")] == [*made_ids[3:], batch.id]
    other = put(site.anna)
    refused(404, "file_not_found", client.files.list, after=other.id)


def test_a_large_file_goes_through_piece_by_piece(site):
    def form():
        yield b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        yield b'--b\r\ncontent-disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'
        for _ in range(150):
            yield b"\x00\r\n--\xff" * 20_000
        yield b"\r\n--b--\r\n"

    headers = {"authorization": f"Bearer {site.anna.api_key}", "content-type": "multipart/form-data; boundary=b"}
    made = httpx2.post(f"{site.gateway.base_url}/files", content=form(), headers=headers, timeout=30)

    assert made.status_code == 200, made.text
    assert made.json()["bytes"] == 18_000_000
    assert site.anna.files.content(made.json()["id"]).read() == b"\x00\r\n--\xff" * 3_000_000
    record = site.gateway.record(made.headers["x-headworks-call-id"])
    assert (record.endpoint, record.outcome, record.cost_pico) == ("files", "answered", 0)
    assert record.request_bytes > 18_000_000


def test_an_upload_in_parts_becomes_a_file_of_its_owner(site):
    upload = site.anna.uploads.create(bytes=6, filename="c.txt", mime_type="text/plain", purpose="user_data")
    parts = [site.anna.uploads.parts.create(upload.id, data=data).id for data in (b"abc", b"def")]
    done = site.bert.uploads.complete(upload.id, part_ids=parts)

    assert site.bert.files.content(done.file.id).read() == b"abcdef"
    refused(404, "file_not_found", site.carl.files.retrieve, done.file.id)
    refused(404, "upload_not_found", site.carl.uploads.cancel, upload.id)


def test_a_batch_is_charged_once_to_who_made_it_and_its_output_is_theirs(site):
    file = put(site.anna, lines(MODEL, MODEL), "batch", "b.jsonl", **TWO)
    batch = site.anna.batches.create(
        input_file_id=file.id, endpoint="/v1/responses", completion_window="24h", metadata={"for": "test"}
    )
    assert batch.status == "validating"
    refused(404, "batch_not_found", site.carl.batches.retrieve, batch.id)
    done = site.bert.batches.retrieve(batch.id)
    site.anna.batches.retrieve(batch.id)

    assert (done.status, done.request_counts.completed) == ("completed", 2)
    output = site.anna.files.content(done.output_file_id).read()
    assert len(output.splitlines()) == 2
    refused(404, "file_not_found", site.carl.files.content, done.output_file_id)
    assert [one.id for one in site.anna.batches.list()] == [batch.id]

    charged = in_store(
        site, lambda store: [one for one in store.select(Selection(endpoint="batches")) if one.service_tier == "batch"]
    )
    assert [(one.input_tokens, one.output_tokens) for one in charged] == [
        (done.usage.input_tokens, done.usage.output_tokens)
    ]
    assert (charged[0].team, charged[0].provider, charged[0].model) == ("red", "openai:two", "gpt-6-luna-2026-08-20")
    assert charged[0].cost_pico > 0


def test_a_batch_can_be_cancelled(site):
    file = put(site.anna, lines(MODEL), "batch", "b.jsonl", **ONE)
    batch = site.anna.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")

    assert site.bert.batches.cancel(batch.id).status == "cancelling"
    assert site.bert.batches.retrieve(batch.id).status == "cancelled"


def test_a_key_of_some_models_has_no_others_asked_by_a_batch(site):
    client = site.client("emil", models=[MODEL])
    create = {"endpoint": "/v1/responses", "completion_window": "24h"}
    good, bad = put(client, lines(MODEL), "batch"), put(client, lines(MODEL, "gpt-6.1-sol"), "batch")
    other = put(site.anna, lines(MODEL), "batch")

    assert client.batches.create(input_file_id=good.id, **create).id
    refused(404, "model_not_found", client.batches.create, input_file_id=bad.id, **create)
    refused(404, "file_not_found", client.batches.create, input_file_id=other.id, **create)
    unknown = put(client, b"{}", "batch")
    refused(403, "batch_models_unknown", client.batches.create, input_file_id=unknown.id, **create)


def test_a_conversation_goes_on_where_it_began(site):
    conversation = site.anna.conversations.create(
        items=[{"type": "message", "role": "user", "content": "I am Ada."}], extra_headers=TWO
    )
    for _ in range(4):
        answered = site.bert.responses.with_raw_response.create(
            model=MODEL, input="Go on.", conversation=conversation.id
        )
        assert answered.headers["x-headworks-provider"] == "openai:two"
    site.anna.responses.create(model=MODEL, input="And on.", conversation={"id": conversation.id}, stream=False)

    items = list(site.bert.conversations.items.list(conversation.id, limit=3))
    assert len(items) == 1 + 2 * 5
    assert site.anna.conversations.items.retrieve(items[0].id, conversation_id=conversation.id).id == items[0].id
    added = site.anna.conversations.items.create(
        conversation.id, items=[{"type": "message", "role": "user", "content": "Bye."}]
    )
    site.anna.conversations.items.delete(added.data[0].id, conversation_id=conversation.id)
    assert site.anna.conversations.update(conversation.id, metadata={"a": "b"}).metadata == {"a": "b"}
    refused(404, "conversation_not_found", site.carl.conversations.retrieve, conversation.id)
    refused(
        404, "conversation_not_found", site.carl.responses.create, model=MODEL, input="x", conversation=conversation.id
    )
    assert site.bert.conversations.delete(conversation.id).deleted


def test_a_vector_store_lies_beside_its_files_and_is_searched_there(site):
    file, elsewhere = put(site.anna, b"The mill by the river.", **TWO), put(site.anna, **ONE)
    store = site.anna.vector_stores.create(name="mills", file_ids=[file.id])

    assert site.bert.vector_stores.search(store.id, query="river mill").data[0].file_id == file.id
    tool = {"type": "file_search", "vector_store_ids": [store.id]}
    answered = ask(site.bert, tools=[tool])
    assert answered.headers["x-headworks-provider"] == "openai:two"
    refused(404, "vector_store_not_found", ask, site.carl, tools=[tool])
    refused(400, "objects_in_different_pools", site.anna.vector_stores.files.create, store.id, file_id=elsewhere.id)
    more = put(site.anna, b"More mills.", **TWO)
    batch = site.anna.vector_stores.file_batches.create(store.id, file_ids=[more.id])
    assert site.bert.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id).status == "completed"
    assert {one.id for one in site.bert.vector_stores.files.list(store.id, limit=1)} == {file.id, more.id}
    site.anna.vector_stores.files.delete(more.id, vector_store_id=store.id)
    assert site.anna.vector_stores.update(store.id, name="m").name == "m"
    assert [one.id for one in site.bert.vector_stores.list()] == [store.id]
    assert not list(site.carl.vector_stores.list())
    assert site.anna.vector_stores.delete(store.id).deleted


def test_a_fine_tuned_model_is_asked_where_it_was_made_and_only_by_its_team(site):
    training = put(site.anna, b'{"messages":[]}', "fine-tune", **TWO)
    job = site.anna.fine_tuning.jobs.create(model=MODEL, training_file=training.id, suffix="desk")
    done = site.bert.fine_tuning.jobs.retrieve(job.id)

    assert done.status == "succeeded"
    assert [one.message for one in site.anna.fine_tuning.jobs.list_events(job.id, limit=1)][-1].startswith("Created")
    assert len(list(site.anna.fine_tuning.jobs.checkpoints.list(job.id))) == 1
    for name in (done.fine_tuned_model, f"openai/{done.fine_tuned_model}"):
        for _ in range(3):
            answered = site.bert.chat.completions.with_raw_response.create(
                model=name, messages=[{"role": "user", "content": "Hi"}]
            )
            assert answered.headers["x-headworks-provider"] == "openai:two"
    refused(404, "model_not_found", site.carl.responses.create, model=done.fine_tuned_model, input="Hi")
    assert [one.id for one in site.anna.fine_tuning.jobs.list()] == [job.id]
    refused(404, "job_not_found", site.carl.fine_tuning.jobs.cancel, job.id)
    refused(404, "model_not_found", site.carl.models.delete, done.fine_tuned_model)
    assert site.anna.models.delete(done.fine_tuned_model).deleted


@pytest.mark.parametrize("is_streamed", [False, True])
def test_legacy_completions_are_served_and_their_usage_recorded(site, is_streamed):
    create = site.anna.completions.with_raw_response.create
    answered = create(model="gpt-3.5-turbo-instruct", prompt="Once upon a time", max_tokens=9, stream=is_streamed)
    parsed = answered.parse()
    text = "".join(chunk.choices[0].text for chunk in parsed) if is_streamed else parsed.choices[0].text

    assert text
    record = site.gateway.record(answered.headers["x-headworks-call-id"])
    assert (record.endpoint, record.outcome, record.usage_source) == ("completions", "answered", "provider")
    assert record.output_tokens > 0


def test_what_was_made_is_known_to_every_worker_and_after_a_restart(tmp_path, simulator):
    first = Site(tmp_path, simulator, workers=2)
    file = put(first.anna, b"still here", **TWO)
    in_store(first, lambda store: store.object_note(file.id))
    for _ in range(6):  # each on a connection of its own, to whichever worker
        fresh = openai.OpenAI(base_url=first.gateway.base_url, api_key=first.bert.api_key, max_retries=0)
        assert fresh.files.content(file.id).read() == b"still here"
        assert ask(fresh, part(file)).headers["x-headworks-provider"] == "openai:two"
        fresh.close()
    assert first.gateway.process.stop() == 0, first.gateway.process.said

    config = (tmp_path / "headworks.yaml").read_text().replace("workers: 2", "workers: 1")
    config = config.replace('      two: {api_key: "file:two.key"}\n', "")
    again = Gateway(tmp_path, config)
    try:
        client = openai.OpenAI(base_url=again.base_url, api_key=first.anna.api_key, max_retries=0)
        refused(503, "pool_not_configured", client.files.retrieve, file.id)
        refused(503, "pool_not_configured", ask, client, part(file))
        mate = openai.OpenAI(base_url=again.base_url, api_key=first.carl.api_key, max_retries=0)
        refused(404, "file_not_found", mate.files.retrieve, file.id)
    finally:
        assert again.process.stop() == 0, again.process.said


def test_an_upload_that_the_provider_refuses_is_answered_with_its_words(site):
    message = refused(400, "invalid_value", put, site.anna, purpose="nonsense")
    assert "nonsense" in message
    with pytest.raises(openai.BadRequestError):
        site.anna.files.create(file=io.BytesIO(b"x"), purpose="user_data", extra_headers={"x-headworks-provider": "no"})
