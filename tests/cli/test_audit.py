"""`headworks audit`, as an operator uses it."""

import asyncio
import getpass
import json
import shutil
import socket

import pytest

from headworks.audit.archive import segment_files
from headworks.calls import Opened, Settled
from headworks.cli import main
from headworks.records import JOURNAL_FOLDER, open_store
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment
from headworks.response_cache import CACHE_FILE, SqliteStore, stats_of_file

CONFIG = """
providers: {sim: {kind: simulator}}
audit: {anchors: [{file: anchors.log}]}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "headworks.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def run(project, capsys):
    """Runs a command; returns exit code, standard output, standard error."""

    def run(*words):
        code = main([*words, "--config", str(project / "headworks.yaml")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def found(run):
    def found(*flags):
        code, out, _ = run("audit", "search", "--json", *flags)
        assert code == 0
        return [json.loads(line) for line in out.splitlines()]

    return found


def write_calls(project, *users):
    folder = project / ".headworks" / JOURNAL_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    calls = [
        Settled(
            Opened(f"call_{number}", 1_795_435_200_000_000 + number, "responses", "fast", "key_1", user=user),
            "answered", 200, 5, request_body=b"asked by " + user.encode(), response_body=b"{}",
        )
        for number, user in enumerate(users)
    ]  # fmt: skip
    (folder / Segment("worker_1", 1, 0).name).write_bytes(MAGIC + b"".join(map(frame, calls)))


def archive_of(project):
    return segment_files(project / ".headworks" / "audit" / "archive")


def test_keys_are_in_the_log_with_who_made_them_and_from_where(run, found):
    run("keys", "create", "app", "--owner", "ann")
    run("keys", "limit", "app", "--rpm", "10")
    run("keys", "rotate", "app")
    run("keys", "revoke", found("--what", "key.created")[0]["target"])

    entries = found("--what", "key")

    assert [entry["what"] for entry in entries] == ["key.revoked", "key.rotated", "key.limited", "key.created"]
    assert {entry["who"] for entry in entries} == {getpass.getuser()}
    assert "command line" in entries[0]["source"]
    assert entries[1]["detail"]["owner"] == "ann"


def test_looking_is_entered_and_a_persons_name_is_not(found):
    found("--user", "ada@example.org", "--outcome", "answered")
    asked = found("--what", "audit")[1]
    assert asked["detail"] == {"asked_outcome": "answered", "asked_user": "a person"}


def test_a_log_is_good_until_somebody_touches_it(run, project):
    write_calls(project, "ann", "bob")
    code, out, err = run("audit", "verify")
    assert (code, err) == (0, "")
    assert "as it was written" in out
    (path,) = archive_of(project).values()
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"id":"call_1"', b'"id":"call_7"'))

    code, out, _ = run("audit", "verify")
    assert code == 1
    assert "00000001.audit:3: entry 1 was changed" in out
    code, out, _ = run("audit", "verify", "--json")
    assert json.loads(out)["findings"][0]["line"] == 3


def test_an_end_that_was_cut_off_is_found_from_the_anchors(run, project, tmp_path):
    write_calls(project, "ann")
    run("audit", "search")
    copy = tmp_path / "copy"
    copy.mkdir()
    (path,) = archive_of(project).values()
    lines = path.read_bytes().splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.startswith(b'{"checkpoint"'))
    (copy / path.name).write_bytes(b"".join(lines[: first + 1]))
    _, key, _ = run("audit", "public-key")
    run("audit", "search")
    anchors = str(project / "anchors.log")

    apart = ("audit", "verify", "--archive", str(copy), "--public-key", key.strip())
    assert run(*apart)[0] == 0
    code, out, _ = run(*apart, "--anchors", anchors)
    assert code == 1
    assert "cut off" in out


def test_a_proof_is_verified_with_the_public_key_alone(run, project, tmp_path):
    write_calls(project, "ann", "bob")
    _, key, _ = run("audit", "public-key")
    _, proof, _ = run("audit", "proof", "call_1")
    file = tmp_path / "proof.json"
    file.write_text(proof)

    code, out, _ = run("audit", "verify", "--proof", str(file), "--public-key", key.strip())
    assert (code, out) == (0, "the proof holds: the entry is in the log\n")
    file.write_text(proof.replace("call_1", "call_2"))
    assert run("audit", "verify", "--proof", str(file), "--public-key", key.strip())[0] == 1
    file.write_text("no proof")
    assert "is no proof" in run("audit", "verify", "--proof", str(file), "--public-key", key.strip())[2]
    assert "needs --public-key" in run("audit", "verify", "--proof", str(file))[2]
    assert "is no public key" in run("audit", "verify", "--proof", str(file), "--public-key", "AAAA")[2]


async def cached(project):
    """An answer lies in the cache: whose it is, nobody can say."""
    store = SqliteStore(project / ".headworks" / CACHE_FILE, 1 << 20)
    await store.put(b"k" * 32, "faq", b"sealed", 60)
    await store.close()


def test_a_person_is_erased_from_log_store_and_sealed_exports(run, found, project):
    write_calls(project, "ann", "bob")
    _, sealed, _ = run("audit", "export", "--format", "sealed", "--what", "call")
    assert len(sealed.splitlines()) == 2

    asyncio.run(cached(project))
    assert "say --yes" in run("audit", "erase", "--user", "ann")[2]
    code, out, err = run("audit", "erase", "--user", "ann", "--yes")

    assert code == 0
    assert "1 keys are destroyed, and 1 pieces" in out
    assert stats_of_file(project / ".headworks" / CACHE_FILE) == []
    assert "not reached" in err
    bob, ann = found("--what", "call")
    assert (bob["user"], ann["id"], ann["is_erased"]) == ("bob", "call_0", True)
    assert found("--user", "ann") == []
    assert run("audit", "verify")[0] == 0
    store = open_store(project / ".headworks")
    assert [store.bodies(record) is None for record in (1, 2)] == [True, False]
    store.close()
    for path in (project / ".headworks").rglob("*"):
        assert not path.is_file() or b"asked by ann" not in path.read_bytes(), path
    _, shown, _ = run("audit", "show", "call_0")
    assert "is_erased" in shown
    assert "ann" not in shown


def test_where_values_behind_tokens_cannot_be_removed_it_is_told_and_the_rest_is_done(run, found, project):
    write_calls(project, "ann")
    vault = project / ".headworks" / "privacy.db"
    vault.mkdir()

    code, out, err = run("audit", "erase", "--user", "ann", "--yes")

    assert code == 1
    assert "1 keys are destroyed, and 1 pieces" in out
    assert "what stands behind tokens of theirs may be there still" in err
    assert found("--user", "ann") == []
    vault.rmdir()
    assert run("audit", "erase", "--user", "ann", "--yes")[0] == 0


def test_a_hold_keeps_a_person_from_being_erased_until_it_ends(run):
    assert "say what is held" in run("audit", "hold", "add", "--reason", "a case")[2]
    _, out, _ = run("audit", "hold", "add", "--user", "ann", "--reason", "a case")
    hold = out.split()[0]
    assert hold in run("audit", "hold", "list")[1]
    assert json.loads(run("audit", "hold", "list", "--json")[1])["reason"] == "a case"
    code, _, err = run("audit", "erase", "--user", "ann", "--yes")
    assert code == 1
    assert hold in err
    assert '"audit.holds_listed"' in run("audit", "search", "--json")[1]
    assert run("audit", "hold", "remove", hold)[0] == 0
    assert run("audit", "erase", "--user", "ann", "--yes")[0] == 0


@pytest.mark.parametrize("form", ["json", "ocsf", "cef"])
def test_entries_are_exported_line_by_line(run, project, form):
    write_calls(project, "ann")
    code, out, _ = run("audit", "export", "--format", form, "--what", "call")
    assert (code, len(out.splitlines())) == (0, 1)
    assert "call_0" in out


def test_sealed_entries_are_selected_by_what_is_not_sealed(run):
    assert "not opened" in run("audit", "export", "--format", "sealed", "--user", "ann")[2]


def test_a_table_and_an_entry_are_shown(run, project):
    write_calls(project, "ann")
    _, out, _ = run("audit", "search", "--what", "call")
    assert out.splitlines()[0].split() == ["#", "TIME", "WHAT", "OUTCOME", "WHO", "FROM", "TARGET", "WORKLOAD", "ID"]
    assert "call_0" in out
    assert "nothing is found" in run("audit", "search", "--what", "none")[2]
    _, out, _ = run("audit", "show", "call_0")
    assert "endpoint" in out
    assert "no audit entry" in run("audit", "show", "call_9")[2]


def test_without_an_audit_log_there_is_nothing_to_look_at(run, project):
    (project / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\naudit: {enabled: false}\n")
    assert run("keys", "create", "app")[0] == 0
    assert "there is no audit log" in run("audit", "search")[2]
    assert not (project / ".headworks" / "journal").exists()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("audit: {key: 'env:HW_NONE'}", "audit.key: env:HW_NONE is not set"),
        ("audit: {key: 'file:short'}", "too short to protect anything"),
        ("audit: {anchors: [{}]}", "needs either `file` or `url`"),
        ("audit: {anchors: [{file: a, token: 'env:X'}]}", "has a meaning only beside `url`"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(run, project, line, complaint):
    (project / "short").write_text("short")
    (project / "headworks.yaml").write_text(f"providers: {{sim: {{kind: simulator}}}}\n{line}\n")
    code, _, err = run("audit", "search")
    assert code == 1
    assert complaint in err


@pytest.fixture
def other(tmp_path_factory, run, project, capsys):
    """The log of another machine with the same server secret: a copy of its `audit` folder."""
    mine, other = project / ".headworks", tmp_path_factory.mktemp("logs") / "gw-2"
    other.mkdir()
    (other / "headworks.yaml").write_text(CONFIG)
    assert run("keys", "create", "app")[0] == 0
    shutil.copytree(mine, other / ".headworks", ignore=shutil.ignore_patterns("audit", "journal"))
    write_calls(other, "bob", "ann", "bob")
    assert main(["audit", "search", "--config", str(other / "headworks.yaml")]) == 0
    capsys.readouterr()
    folder = other.parent / "copies" / "gw-2" / "audit"
    shutil.copytree(other / ".headworks" / "audit", folder)
    return folder


def test_the_logs_of_several_machines_are_searched_by_time_and_say_which_one_it_was(run, project, other):
    write_calls(project, "ann", "bob")
    _, out, _ = run("audit", "search", "--json", "--what", "call", "--log", str(other))

    entries = [json.loads(line) for line in out.splitlines()]

    assert len(entries) == 5
    assert [entry["time"] for entry in entries] == sorted((entry["time"] for entry in entries), reverse=True)
    assert [entry["id"] for entry in entries if entry["log"] == "gw-2"] == ["call_2", "call_1", "call_0"]
    assert {entry["log"] for entry in entries} == {"gw-2", socket.gethostname()}
    _, out, _ = run("audit", "search", "--what", "call", "--log", str(other), "--limit", "1")
    assert out.splitlines()[0].split()[-1] == "LOG"
    assert len(out.splitlines()) == 2
    (looked, *_) = [json.loads(line) for line in run("audit", "search", "--json", "--what", "audit")[1].splitlines()][
        1:
    ]
    assert looked["detail"]["logs"] == 2


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("json", '"log":"gw-2"'),
        ("ocsf", '"log_name":"gw-2"'),
        ("cef", "dvchost=gw-2"),
        ("sealed", '"sealed":'),
    ],
)
def test_the_logs_of_several_machines_are_exported_together(run, project, other, form, names):
    write_calls(project, "ann", "bob")
    code, out, _ = run("audit", "export", "--what", "call", "--format", form, "--log", str(other))
    assert (code, len(out.splitlines())) == (0, 5)
    assert names in out


def test_each_of_several_logs_is_verified_by_itself_with_its_own_anchors(run, project, other):
    write_calls(project, "ann", "bob")
    anchors = other.parents[2] / "gw-2" / "anchors.log"
    asked = ("audit", "verify", "--log", str(other), "--anchors", str(anchors))
    code, out, _ = run(*asked)
    assert code == 0
    assert out.count("The log is as it was written") == 2

    (path,) = segment_files(other / "archive").values()
    path.write_bytes(path.read_bytes().replace(b'"id":"call_1"', b'"id":"call_7"'))
    code, out, _ = run(*asked, "--json")
    mine, theirs = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert (mine["is_good"], theirs["is_good"], theirs["log"]) == (True, False, "gw-2")

    code, out, _ = run("audit", "verify", "--anchors", str(anchors))  # nobody gave the log that they are of
    assert code == 1
    assert "lacks this checkpoint" in out


def test_what_is_no_log_or_the_same_one_is_refused(run, project, other, tmp_path):
    assert "has no audit log" in run("audit", "search", "--log", str(tmp_path / "nothing"))[2]
    own = str(project / ".headworks" / "audit")
    run("audit", "search")
    assert "are the same log" in run("audit", "search", "--log", own)[2]
    assert "give either --log" in run("audit", "verify", "--archive", own, "--log", str(other))[2]
