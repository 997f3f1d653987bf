"""Records in PostgreSQL, looked at by every command that reads them; and what is said when they cannot be."""

import json
import shutil
import sys
import time
from pathlib import Path

import pytest

import headworks
from headworks.calls import Opened, Settled
from headworks.cli import main
from headworks.records import JOURNAL_FOLDER, STORE_FILE
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment
from postgres_process import PASSWORD

DESK = Path(__file__).parents[2] / "examples" / "support-desk"
NOW_US = int(time.time() * 1e6)


def settled(n: int) -> Settled:
    opened = Opened(f"call_{n:027d}", NOW_US - (100 - n) * 1_000_000, "responses", "fast", "key_a", "ann")
    return Settled(opened, "answered", 200, 1_240_000, 312_000, input_tokens=12_345, output_tokens=250)


class Machine:
    """A folder with a configuration, and the command line in front of it."""

    def __init__(self, folder, server, capsys, database="postgres"):
        self.folder = folder
        self._capsys = capsys
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "password").write_text(PASSWORD + "\n")
        (folder / "password").chmod(0o600)
        with (folder / "headworks.yaml").open("a") as file:
            file.write(f"records: {{store: '{server.url(database)}', store_password: 'file:password'}}\n")
        (folder / "headworks.yaml").chmod(0o600)

    def write(self, *entries, worker="worker-1"):
        """Leave entries in a journal, as a worker does that has ended."""
        journal = self.folder / ".headworks" / JOURNAL_FOLDER
        journal.mkdir(parents=True, exist_ok=True)
        (journal / Segment(worker, 1, 0).name).write_bytes(MAGIC + b"".join(map(frame, entries)))

    def run(self, *words):
        """A command's exit code, output and errors, in neither of which the password is."""
        code = main([*words, "--config", str(self.folder / "headworks.yaml")])
        printed = self._capsys.readouterr()
        assert PASSWORD not in printed.out + printed.err
        return code, printed.out, printed.err


@pytest.fixture
def machine(tmp_path, postgresql, capsys):
    """Makes machines that share one database."""
    database = postgresql.new_database()

    def make(name):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "headworks.yaml").write_text(
            "server: {port: 0}\nproviders: {sim: {kind: simulator}}\nmodels: {fast: sim/gpt-6-luna}\n"
        )
        return Machine(folder, postgresql, capsys, database)

    return make


def ids(printed: str) -> list[str]:
    return sorted(json.loads(line)["call_id"].replace("0", "") for line in printed.splitlines())


def test_calls_of_all_machines_are_listed_on_each_and_on_one_that_has_none_of_its_own(machine):
    first, second, third = machine("first"), machine("second"), machine("third")
    first.write(settled(1))
    second.write(settled(2))

    assert ids(first.run("calls", "--json")[1]) == ["call_1"]
    assert ids(second.run("calls", "--json")[1]) == ["call_1", "call_2"]
    code, out, err = third.run("calls", "--json")

    assert (code, ids(out), err) == (0, ["call_1", "call_2"], "")
    assert not (first.folder / ".headworks" / STORE_FILE).exists()
    assert first.run("calls", "show", settled(2).opened.call_id)[0] == 0
    assert first.run("calls", "totals", "--json")[0] == 0
    assert first.run("calls", "economy")[0] == 0


def test_outcomes_are_reported_on_one_machine_and_read_on_another(machine):
    first, second = machine("first"), machine("second")
    first.write(settled(1))
    assert first.run("calls")[0] == 0

    code, _, err = second.run("outcomes", "report", settled(1).opened.call_id, "accepted=true")

    assert code == 0, err
    assert "accepted" in first.run("outcomes", "list")[1]


def test_a_golden_set_has_candidates_from_calls_in_the_database(tmp_path, postgresql, capsys):
    shutil.copytree(DESK, tmp_path / "desk", ignore=shutil.ignore_patterns(".headworks"))
    desk = Machine(tmp_path / "desk", postgresql, capsys, postgresql.new_database())

    variables = {"product": "Ledgerly", "plan": "pro", "ticket": "I was charged twice."}
    with headworks.connect(desk.folder) as gateway, gateway.openai() as client:
        answer = client.responses.with_raw_response.create(
            model="ticket-triage", prompt={"id": "ticket-triage", "variables": variables}
        )
    call_id = answer.headers["x-headworks-call-id"]
    assert desk.run("outcomes", "report", call_id, "accepted=true")[0] == 0

    code, out, err = desk.run("golden", "import", "ticket-triage", "--from", "calls", "--outcome", "accepted")

    assert (code, err) == (0, "")
    assert out.startswith("1 candidate")
    assert answer.parse().id in desk.run("replay", call_id, "--recorded")[1]


def test_check_and_doctor_are_content(machine):
    first = machine("first")
    first.write(settled(1))
    assert first.run("calls")[0] == 0

    assert "  records in  postgresql://headworks@127.0.0.1:" in first.run("check")[1]
    code, out, _ = first.run("doctor")

    assert code == 0
    assert "is of version" in out
    assert first.run("limits")[0] == 0
    assert "journals" in first.run("status")[1] or first.run("status")[0] == 1


def test_with_the_database_away_commands_say_so_and_leave_the_journal_as_it_is(tmp_path, own_postgresql, capsys):
    folder = tmp_path / "alone"
    folder.mkdir()
    (folder / "headworks.yaml").write_text("server: {port: 0}\nproviders: {sim: {kind: simulator}}\n")
    alone = Machine(folder, own_postgresql, capsys)
    alone.write(settled(1))
    own_postgresql.stop()

    for words in (("calls",), ("outcomes", "list"), ("doctor",), ("status",)):
        code, out, err = alone.run(*words)
        assert code == 1, words
        assert f"PostgreSQL 127.0.0.1:{own_postgresql.port}/postgres" in out + err, words
    assert alone.run("check")[0] == 0  # opens no connection

    own_postgresql.start()
    assert ids(alone.run("calls", "--json")[1]) == ["call_1"]


def test_without_the_extra_every_command_says_what_to_install(machine, monkeypatch):
    first = machine("first")
    for module in ("examine", "stored"):
        monkeypatch.setattr(sys.modules[f"headworks.config.{module}"], "find_spec", lambda name: None)

    for words in (("check",), ("calls",), ("serve",), ("doctor",), ("outcomes", "list")):
        code, out, err = first.run(*words)
        assert code != 0, words
        assert "pip install 'headworks[postgres]'" in out + err, words


def test_a_password_in_the_url_is_refused_and_not_shown(tmp_path, capsys):
    file = tmp_path / "headworks.yaml"
    for url in ("postgresql://u:hunter2@127.0.0.1/db", "postgresql://127.0.0.1/db?user=u&password=hunter2"):
        file.write_text(f"providers: {{sim: {{kind: simulator}}}}\nrecords: {{store: '{url}'}}\n")

        code = main(["check", "--config", str(file)])

        printed = capsys.readouterr()
        assert code != 0
        assert "store_password" in printed.out + printed.err
        assert "hunter2" not in printed.out + printed.err
