"""Two machines on one database: what one of them has answered, the other knows of; and what happens without it."""

import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from e2e_processes import Gateway, Process

from headworks.config import load, store_url
from headworks.records import Selection, open_store
from postgres_process import PASSWORD, PostgresProcess

CONFIG = """
version: 1
providers:
  sim: {{kind: openai-compatible, base_url: '{simulator}/v1', api_key: file:key, speaks: [responses, chat]}}
models: {{nano: sim/gpt-6-luna}}
access: {{secret: 'file:{secret}'}}
records: {{store: '{store}', store_password: file:password}}
"""


@pytest.fixture
def machines(tmp_path: Path, simulator: Process, own_postgresql: PostgresProcess) -> Iterator[list[Gateway]]:
    made: list[Gateway] = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        for file, text in (("key", "sk-test"), ("password", PASSWORD)):
            (folder / file).write_text(text + "\n")
            (folder / file).chmod(0o600)
        config = CONFIG.format(simulator=simulator.address, secret=tmp_path / "secret", store=own_postgresql.url())
        made.append(Gateway(folder, config, "--workers", "2"))
    yield made
    for gateway in made:
        assert gateway.process.stop() == 0, gateway.process.said
        assert PASSWORD not in "".join(gateway.process.said)
    assert PASSWORD not in own_postgresql.said()


def client_of(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0)


def test_a_response_of_one_machine_belongs_to_its_key_on_the_other(machines: list[Gateway]) -> None:
    one, two = machines
    with client_of(one) as first, client_of(two) as second:
        made = first.responses.with_raw_response.create(model="nano", input="Keep this.")
        one.record(made.headers["x-headworks-call-id"])
        response_id = made.parse().id

        # Its key is another machine's: keys are each machine's own, so the response is a stranger's here.
        with pytest.raises(openai.NotFoundError):
            second.responses.retrieve(response_id)
        assert first.responses.retrieve(response_id).id == response_id


def test_without_the_database_calls_are_answered_and_what_must_be_looked_up_is_told_to_wait(
    machines: list[Gateway], own_postgresql: PostgresProcess
) -> None:
    one, two = machines
    with client_of(one) as first, client_of(two) as second:
        own_postgresql.stop()
        ids = []
        for client in (first, second) * 5:
            answer = client.responses.with_raw_response.create(model="nano", input="Say something.")
            ids.append(answer.headers["x-headworks-call-id"])
        with pytest.raises(openai.InternalServerError) as refused:
            first.responses.retrieve("resp_of_another_worker")
        assert refused.value.status_code == 503
        assert refused.value.code == "records_unavailable"
        assert refused.value.response.headers["retry-after"] == "5"
        due_s = time.monotonic() + 60
        while "records stay in the journal for now: PostgreSQL 127.0.0.1:" not in "".join(one.process.said):
            assert time.monotonic() < due_s, one.process.said
            time.sleep(0.05)
        own_postgresql.start()
        for number, call_id in enumerate(ids):
            assert machines[number % 2].record(call_id).outcome == "answered"
        patient = first.with_options(max_retries=10)  # the store is asked again after a second
        with pytest.raises(openai.NotFoundError):
            patient.responses.retrieve("resp_of_another_worker")
    said = "".join(one.process.said)
    assert "records are drained again" in said
    project = load(two.folder)
    store = open_store(project.storage, store_url(project))
    try:
        found = [record.call_id for record in store.select(Selection(endpoint="responses", limit=1000))]
    finally:
        store.close()
    assert sorted(found) == sorted(set(found))
    assert set(ids) <= set(found)
