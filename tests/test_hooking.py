"""Hooks of an installed package, before and after calls: what they may change, and what happens when they fail."""

import asyncio
import json
import subprocess
import sys
import threading

import openai
import pytest

import headworks
from headworks.calls import AuditEvent
from headworks.cli import main
from headworks.config import parse
from headworks.errors import ConfigError
from headworks.extending import HOOKS
from headworks.hook_plans import plan_hooks
from headworks.records import Selection, open_store
from headworks.screening.privacy import NO_ENTITIES
from headworks.side_threads import SideThreads
from offering import forget, offer

SOURCE = '''
import asyncio
import threading

from headworks.extending import CallRefused, Changes

SEEN, ENDS = [], []
HELD = threading.Event()


class Hook:
    """Does what its settings say; keeps what it was told."""

    def __init__(self, settings):
        self.settings = settings

    def before(self, call):
        SEEN.append(call)
        does = self.settings["does"]
        if does == "refuse":
            raise CallRefused("not_on_sundays", "Come back on Monday.", status=429)
        if does == "fail":
            raise RuntimeError("the prompt was: zebra")
        if does == "hang":
            HELD.wait(20)
        return {
            "temperature": Changes(parameters={"temperature": 0.25}),
            "model": Changes(parameters={"model": "mini"}),
            "messages": Changes(parameters={"messages": []}),
            "limit": Changes(parameters={"max_output_tokens": 999_999}),
            "metadata": Changes(metadata={"trace_id": "trace-of-hook", "team": "blue"}),
            "target": Changes(target="mini"),
            "other-target": Changes(target="secret"),
            "last": Changes(target=call.targets[-1]),
            "nonsense": {"target": "mini"},
        }.get(does)


class Async:
    def __init__(self, settings):
        self.settings = settings

    async def before(self, call):
        await asyncio.sleep(3600 if self.settings["does"] == "hang" else 0)
        return Changes(parameters={"seed": 7})


class After:
    def __init__(self, settings):
        self.settings = settings

    def after(self, end):
        ENDS.append(end)
        if self.settings["does"] == "fail":
            raise RuntimeError("zebra")
        return {"checked": True, "cost": end.cost_pico, "grade": "good"} if end.status == 200 else {"refused": True}


class Nothing:
    def __init__(self, settings):
        pass


def fails(settings):
    raise RuntimeError(settings["token"])
'''

CONFIG = """
version: 1
providers:
  sim: {{kind: simulator, pace: 0}}
models:
  nano: sim/gpt-6-luna
  mini: sim/gpt-6-luna
  thinking: sim/gpt-6.1-sol
hooks:
{hooks}
"""


@pytest.fixture
def acme(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    names = {"hook": "Hook", "async": "Async", "after": "After", "nothing": "Nothing", "fails": "fails"}
    offer(folder, {HOOKS: names}, SOURCE)
    monkeypatch.syspath_prepend(folder)
    forget()
    import acme_offers

    yield acme_offers
    acme_offers.HELD.set()
    forget()


class Running:
    """Gateways of one project, each with the hooks that it is called with."""

    def __init__(self, folder):
        self.folder = folder
        self._opened = []

    def __call__(self, *hooks, more=""):
        timed = [hook if "timeout_s" in hook else f"{hook}, timeout_s: 30" for hook in hooks]  # slow machines, too
        lines = "".join(f"  h{number}: {{{hook}}}\n" for number, hook in enumerate(timed))
        (self.folder / "headworks.yaml").write_text(CONFIG.format(hooks=lines) + more)
        self._opened.append(headworks.connect(self.folder / "headworks.yaml"))
        return self._opened[-1].openai(max_retries=0)

    def close(self):
        for one in self._opened:
            one.close()

    def records(self):
        """The records, oldest first, each with its outcomes, after everything has been written."""
        self.close()
        store = open_store(self.folder / ".headworks", "")
        try:
            return [(one, store.outcomes_of(one.seq)) for one in store.select(Selection(is_newest_first=False))]
        finally:
            store.close()


@pytest.fixture
def gateway(acme, tmp_path):
    running = Running(tmp_path)
    yield running
    running.close()


def ask(client, model="nano", **fields):
    return client.responses.create(model=model, input="Hello there", store=False, **fields)


def test_a_hook_sees_who_asks_for_what_and_nothing_of_what_is_said(gateway, acme):
    client = gateway("use: hook, settings: {does: nothing}")
    ask(client, temperature=0.5, metadata={"ticket": "7"}, instructions="Be kind.")

    (seen,) = acme.SEEN
    assert (seen.endpoint, seen.model, seen.workload, seen.targets) == ("responses", "nano", "", ("nano",))
    assert seen.parameters == {"temperature": 0.5}
    assert seen.metadata == {"ticket": "7"}
    assert "Hello" not in repr(seen)
    assert "kind" not in repr(seen)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_parameters_that_a_hook_sets_go_up(gateway, is_streamed):
    client = gateway("use: hook, settings: {does: temperature}", "use: async, settings: {does: nothing}")
    if is_streamed:
        with client.responses.stream(model="nano", input="Hello there", store=False) as stream:
            response = stream.get_final_response()
    else:
        response = ask(client)

    assert response.temperature == 0.25
    ((record, _),) = gateway.records()
    assert record.course == "hook h0: temperature; hook h1: seed"


def test_metadata_of_a_hook_go_up_and_into_the_record(gateway):
    response = ask(gateway("use: hook, settings: {does: metadata}"), metadata={"ticket": "7"})

    assert response.metadata == {"ticket": "7", "trace_id": "trace-of-hook", "team": "blue"}
    assert gateway.records()[0][0].trace_id == "trace-of-hook"


def test_a_hook_sends_a_call_to_a_model_that_it_may_choose(gateway, acme):
    client = gateway("use: hook, targets: [mini], settings: {does: target}")
    ask(client, model="thinking")

    assert acme.SEEN[0].targets == ("thinking", "mini")
    ((record, _),) = gateway.records()
    assert (record.requested_model, record.model) == ("thinking", "gpt-6-luna")
    assert record.course == "hook h0: target mini"


@pytest.mark.parametrize("does", ["target", "other-target", "model", "messages", "nonsense"])
def test_what_a_hook_may_not_change_closes_the_door(gateway, does):
    with pytest.raises(openai.APIStatusError) as refused:
        ask(gateway(f"use: hook, settings: {{does: {does}}}"))

    assert (refused.value.status_code, refused.value.code) == (503, "hook_failed")


def test_a_hook_refuses_in_its_own_words_and_the_record_says_which(gateway):
    with pytest.raises(openai.RateLimitError, match=r"Come back on Monday\.") as refused:
        ask(gateway("use: hook, settings: {does: refuse}"))

    assert refused.value.code == "not_on_sundays"
    ((record, _),) = gateway.records()
    assert (record.outcome, record.error_code, record.course) == ("refused", "not_on_sundays", "hook h0: refused")
    assert record.requested_model == "nano"


@pytest.mark.parametrize("use", ["hook", "async"])
def test_a_hook_that_takes_too_long_is_not_waited_for(gateway, use):
    with pytest.raises(openai.APIStatusError, match="h0"):
        ask(gateway(f"use: {use}, timeout_s: 0.05, settings: {{does: hang}}"))


def test_an_open_hook_that_fails_lets_calls_through_and_is_audited(gateway, monkeypatch, capfd):
    told = []
    monkeypatch.setattr("headworks.hooking.TELL_EVERY_S", 1e9)
    monkeypatch.setattr("headworks.hooking.Hooks._write", lambda self, *entries: told.extend(entries))
    client = gateway("use: hook, on_failure: open, settings: {does: fail}")
    for _ in range(3):
        ask(client)

    assert {record.course for record, _ in gateway.records()} == {"hook h0: failed, gone on"}
    first, rest = (one for one in told if isinstance(one, AuditEvent))
    assert (first.action, first.actor, first.outcome) == ("hook.failed", "hook:h0", "failed")
    assert json.loads(first.detail) == {"calls": 1, "why": "RuntimeError", "on_failure": "open"}
    assert json.loads(rest.detail)["calls"] == 2
    assert "zebra" not in capfd.readouterr().err + first.detail


def test_a_hook_is_asked_only_about_the_calls_it_is_for(gateway, acme):
    client = gateway(
        "use: hook, models: ['th*'], settings: {does: refuse}", "use: hook, teams: [blue], settings: {does: refuse}"
    )
    ask(client)

    assert acme.SEEN == []


def test_a_form_has_no_place_for_changes_but_can_be_refused(gateway, acme):
    client = gateway("use: hook, settings: {does: temperature}")
    with pytest.raises(openai.APIStatusError) as refused:
        client.images.edit(model="nano", prompt="A hat", image=("a.png", b"x"))

    assert refused.value.code == "hook_failed"
    assert acme.SEEN[0].endpoint == "images"
    assert acme.SEEN[0].model == "nano"


def test_what_a_hook_finds_out_afterwards_joins_the_record(gateway, acme):
    client = gateway("use: after, settings: {does: note}")
    ask(client)
    with pytest.raises(openai.NotFoundError):
        ask(client, model="unknown")
    (good, notes), (bad, others) = gateway.records()

    assert {(one.name, one.value, one.source) for one in notes} == {
        ("checked", "true", "hook:h0"),
        ("cost", str(float(good.cost_pico)), "hook:h0"),
        ("grade", '"good"', "hook:h0"),
    }
    assert [one.name for one in others] == ["refused"]
    assert {end.call_id for end in acme.ENDS} == {good.call_id, bad.call_id}
    assert acme.ENDS[0].output_tokens == good.output_tokens


def test_a_hook_that_fails_afterwards_changes_nothing(gateway):
    ask(gateway("use: after, settings: {does: fail}"))

    ((record, notes),) = gateway.records()
    assert (record.outcome, notes) == ("answered", [])


WORKLOAD = """
version: 1
owner: support@example.org
description: Answers
ladder: [nano]
fallback: [thinking]
caller_may_set: [temperature]
output: {max_tokens: 200, temperature: 0.7}
"""


@pytest.fixture
def workload(tmp_path):
    folder = tmp_path / "workloads" / "desk"
    folder.mkdir(parents=True)
    (folder / "workload.yaml").write_text(WORKLOAD)


@pytest.mark.parametrize(
    ("does", "course"),
    [
        ("temperature", "hook h0: temperature; sim/gpt-6-luna"),
        ("last", "hook h0: target sim/gpt-6.1-sol; sim/gpt-6.1-sol"),
        ("nothing", "sim/gpt-6-luna"),
    ],
)
def test_a_hook_may_set_what_the_contract_frees_and_choose_among_its_models(gateway, workload, does, course):
    response = ask(gateway(f"use: hook, settings: {{does: {does}}}"), model="desk")
    ((record, _),) = gateway.records()

    assert record.course.startswith(course)
    assert record.workload == "desk"
    assert response.temperature == (0.25 if does == "temperature" else 0.7)


@pytest.mark.parametrize("does", ["limit", "target"])
def test_a_hook_may_not_set_what_the_contract_fixes(gateway, workload, does):
    with pytest.raises(openai.APIStatusError) as refused:
        ask(gateway(f"use: hook, targets: [mini], settings: {{does: {does}}}"), model="desk")

    assert refused.value.code == "hook_failed"


def test_a_hook_cannot_choose_its_way_around_the_screening(gateway):
    screened = "screening: {privacy: {}, unscreened: [mini]}\naccess: {secret: env:PLANTED}\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTED", "s" * 40)
        with pytest.raises(openai.APIStatusError, match="not screened"):
            ask(gateway("use: hook, targets: [mini], settings: {does: target}", more=screened))


def test_where_there_are_hooks_a_model_is_asked_for_names_as_well(gateway, monkeypatch):
    read = []

    class Pool:
        async def find(self, texts):
            read.extend(texts)
            return NO_ENTITIES

    monkeypatch.setattr("headworks.screening.privacy.policy.pool_of", lambda settings: Pool())
    monkeypatch.setattr("headworks.screening.privacy.policy.check_model", lambda *_: None)
    monkeypatch.setenv("PLANTED", "s" * 40)
    screened = "screening: {privacy: {names: {model: some}}}\naccess: {secret: env:PLANTED}\n"

    assert ask(gateway("use: hook, settings: {does: nothing}", more=screened)).output_text
    assert "Hello there" in read


@pytest.mark.parametrize(
    ("hook", "says"),
    [
        ("use: gone", "no installed package offers `gone`"),
        ("use: nothing", "makes something that is no hook"),
        ("use: fails, settings: {token: env:TOKEN}", "`fails` fails with RuntimeError"),
        ("use: hook, settings: {does: env:MISSING}", "settings.does: "),
        ("use: hook, settings: {does: 'vault:kv/x#y'}", "only references of this machine"),
    ],
)
def test_a_hook_that_cannot_be_had_is_a_problem_of_the_file(acme, tmp_path, hook, says):
    text = CONFIG.format(hooks=f"  own: {{{hook}}}\n")
    project = parse(text, file="headworks.yaml", base=tmp_path)
    with pytest.raises(ConfigError, match=r"headworks\.yaml:10:") as failed:
        plan_hooks(project, {"TOKEN": "sk-hidden"})

    assert says in str(failed.value)
    assert "sk-hidden" not in str(failed.value)


def test_a_target_that_is_not_configured_is_a_problem_of_the_file(tmp_path):
    with pytest.raises(ConfigError, match=r"hooks\.own\.targets\[0\]: `models` has no such name; did you mean `mini`"):
        parse(CONFIG.format(hooks="  own: {use: hook, targets: [minu]}\n"), file="headworks.yaml", base=tmp_path)


def test_checking_a_file_says_which_hook_is_not_installed_and_runs_nothing(acme, tmp_path, capsys):
    for use, code in (("nothing", 0), ("gone", 1)):
        (tmp_path / "headworks.yaml").write_text(CONFIG.format(hooks=f"  own: {{use: {use}}}\n"))
        assert main(["check", "--config", str(tmp_path / "headworks.yaml")]) == code

    assert "hooks.own.use: no installed package offers `gone`" in capsys.readouterr().err


def test_who_has_no_extensions_loads_nothing_of_them(tmp_path):
    (tmp_path / "headworks.yaml").write_text(CONFIG.partition("hooks:")[0].replace("{{", "{").replace("}}", "}"))
    code = (
        "import sys, headworks\n"
        "with headworks.connect('headworks.yaml') as gateway:\n"
        "    gateway.openai(max_retries=0).responses.create(model='nano', input='Hello', store=False)\n"
        "print([name for name in sys.modules if 'hook' in name and name.startswith('headworks')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_threads_give_results_and_errors_and_do_not_wait_for_what_hangs():
    threads, held = SideThreads("test", 2), threading.Event()

    async def run():
        loop = asyncio.get_running_loop()
        stuck = threads.run(loop, lambda: held.wait(20))
        assert await threads.run(loop, lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await threads.run(loop, lambda: 1 // 0)
        with pytest.raises(RuntimeError, match="SystemExit"):
            await threads.run(loop, lambda: (_ for _ in ()).throw(SystemExit))
        stuck.cancel()

    asyncio.run(run())
    held.set()
    threads.close()
