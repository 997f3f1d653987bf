"""Ten thousand tokens that another tenant or another conversation was given: a running gateway turns none of them back.

What is searched is all that the caller gets. That the search can find a value is seen where it is said by the one whose
it is.
"""

import json
import re
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import openai
import pytest
from e2e_processes import Gateway, Process
from e2e_tap import Tap

PLAN = """
pace: 0
rules:
  - when: { matches: "(?s)^Repeat: (?P<what>.*)" }
    say: "{{what}}"
"""
CONFIG = """
version: 1
server: {{workers: 1}}
screening: {{privacy: {{}}}}
providers: {{tap: {{kind: openai, base_url: "{tap}/v1", api_key: env:TAP_KEY}}}}
models: {{plain: tap/gpt-6-luna}}
"""
CONTRACT = (
    "owner: desk\ndescription: Answers.\nladder: [plain]\nstate: provider\nscreening: {privacy: {}}\n"
    "output: {max_tokens: 100000}\n"
)
TOKEN = re.compile(rb"PII_EMAIL_[a-z0-9]{7}")
AT_ONCE, CALLS = 250, 5


class Tenant:
    """A caller of a gateway, by key."""

    def __init__(self, gateway: Gateway, team: str) -> None:
        self._address = gateway.process.address.removeprefix("http://")
        key = gateway.new_key(team, team=team)
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        self.client = openai.OpenAI(base_url=gateway.base_url, api_key=key, max_retries=0)

    def told(self, model: str, said: str, *, is_streamed: bool) -> bytes:
        """All the bytes of the answer to a text."""
        body: Any = {"model": model, "stream": is_streamed, "input": f"Repeat: {said}", "max_output_tokens": 100_000}
        if model != "plain":
            del body["max_output_tokens"]
        connection = HTTPConnection(self._address, timeout=60)
        connection.request("POST", "/v1/responses", json.dumps(body), self._headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        assert answer.status == 200, data
        return data


@pytest.fixture(scope="module")
def tap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tap]:
    folder = tmp_path_factory.mktemp("echo")
    (folder / "plan.yaml").write_text(PLAN)
    simulator = Process(
        *("simulate", "--port", "0", "--plan", "plan.yaml"), ready="headworks simulator ready on ", cwd=folder
    )
    made = Tap(simulator.address)
    yield made
    made.close()
    assert simulator.stop() == 0


@pytest.fixture(scope="module")
def gateway(tap: Tap, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("isolation")
    contract = folder / "workloads" / "desk" / "workload.yaml"
    contract.parent.mkdir(parents=True)
    contract.write_text(CONTRACT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAP_KEY", "sk-simulated")
        running = Gateway(folder, CONFIG.format(tap=tap.address))
    yield running
    assert running.process.stop() == 0, running.process.said


@pytest.mark.parametrize("model", ["plain", "desk"])
def test_of_ten_thousand_tokens_of_others_none_gives_a_value(gateway: Gateway, tap: Tap, model: str) -> None:
    ours, theirs = Tenant(gateway, f"ours-{model}"), Tenant(gateway, f"theirs-{model}")
    tried = 0
    for number in range(CALLS):
        mails = [f"person{number}x{at}@example.org" for at in range(AT_ONCE)]
        tap.forget()
        told = ours.told(model, " ".join(mails), is_streamed=number % 2 == 1)
        tokens = sorted({token.decode() for token in TOKEN.findall(bytes(tap.up))})
        assert len(tokens) == AT_ONCE
        assert mails[0].encode() in told  # to those who have said it, it comes back

        for tenant in (theirs, ours):
            for is_streamed in (False, True):
                told = tenant.told(model, " ".join(tokens), is_streamed=is_streamed)
                assert b"@example.org" not in told
                assert all(token.encode() in told for token in tokens) or is_streamed
                tried += AT_ONCE

    assert tried * 2 == 10_000
    ours.client.close()
    theirs.client.close()


def test_nobody_goes_on_from_anothers_conversation(gateway: Gateway, tap: Tap) -> None:
    ours, theirs = Tenant(gateway, "first"), Tenant(gateway, "second")
    tap.forget()
    first = ours.client.responses.create(model="desk", input="Repeat: I am ada@example.org.", store=True)
    (token,) = {token.decode() for token in TOKEN.findall(bytes(tap.up))}
    asked = f"Repeat: Who is {token}?"

    again = ours.client.responses.create(model="desk", input=asked, previous_response_id=first.id)
    with pytest.raises(openai.APIStatusError) as refused:
        theirs.client.responses.create(model="desk", input=asked, previous_response_id=first.id)

    assert "ada@example.org" not in str(refused.value)
    assert refused.value.code == "previous_response_not_found"
    # Who types a token of the own conversation gets it as it was typed.
    assert again.output_text == f"Who is {token}?"
    ours.client.close()
    theirs.client.close()
