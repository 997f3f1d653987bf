import json

import pytest

from headworks.calls import Endpoint
from headworks.cli import main
from headworks.dialects.canonical import AnswerCall
from headworks.holding import HeldAnswers
from headworks.records.content import ContentVault

SECRET = b"0123456789abcdef0123456789abcdef"
ARGUMENTS = '{"order": 8731, "note": "so \\u001b[31m sorry"}'


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("DESK_SECRET", SECRET.decode())
    (tmp_path / "headworks.yaml").write_text(
        "providers: {sim: {kind: simulator}}\naccess: {secret: 'env:DESK_SECRET'}\n"
    )
    (tmp_path / ".headworks").mkdir()
    return tmp_path


@pytest.fixture
def hold(project):
    answers = HeldAnswers(project / ".headworks" / "approvals.db", ContentVault(SECRET))

    def hold(n=1, expires_s=3600.0):
        call = AnswerCall("function", "c1", "refund", ARGUMENTS)
        found = answers.hold(f"call_{n}", "triage", "key_1", Endpoint.RESPONSES, b"{}", [(call, expires_s)])
        return found.approvals[0].approval_id

    return hold


@pytest.fixture
def run(project, capsys):
    def run(*words):
        code = main(["approvals", *words, "--config", str(project / "headworks.yaml")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def objects(printed):
    return [json.loads(line) for line in printed[1].splitlines()]


def test_what_waits_is_listed_with_what_is_asked_for(run, hold):
    first, second = hold(1), hold(2)
    code, out, err = run()

    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["ID", first[:17], second[:17]]
    assert '{"order": 8731' in out
    assert "\x1b" not in out
    assert [one["arguments"]["order"] for one in objects(run("list", "--json"))] == [8731, 8731]


def test_the_beginning_of_an_id_decides_and_says_what_was_decided(run, hold):
    approval_id = hold()
    code, out, _ = run("approve", approval_id[:20], "--by", "ann", "--reason", "checked")

    assert code == 0
    assert f"id           {approval_id}" in out
    assert "state        approved" in out
    assert "by ann: checked" in out
    assert run()[2] == "headworks approvals: nothing waits for a decision\n"
    code, _, err = run("deny", approval_id)
    assert (code, "approved already, by ann" in err) == (1, True)


def test_who_decides_is_the_user_unless_it_is_said(run, hold, monkeypatch):
    monkeypatch.setenv("LOGNAME", "carla")
    (decided,) = objects(run("deny", hold(), "--json"))
    assert (decided["state"], decided["decided_by"]) == ("denied", "carla")


def test_what_has_been_done_is_shown_in_order(run, hold):
    approval_id = hold()
    run("approve", approval_id, "--by", "ann")
    run("deny", approval_id, "--by", "bob")
    _, out, _ = run("show", approval_id)
    (shown,) = objects(run("show", approval_id, "--json"))

    assert [(step["what"], step["by"]) for step in shown["steps"]] == [
        ("held", "key_1"),
        ("approved", "ann"),
        ("refused", "bob"),
    ]
    assert out.index("held by key_1") < out.index("approved by ann") < out.index("refused by bob")


def test_what_has_expired_is_only_in_the_list_of_all(run, hold):
    approval_id = hold(expires_s=0.0)
    assert "nothing waits" in run()[2]
    (one,) = objects(run("list", "--all", "--json"))
    assert (one["id"], one["state"]) == (approval_id, "expired")
    assert "expired" in run("--all")[1]
    assert "expired" in run("approve", approval_id)[2]


def test_another_secret_is_said(run, hold, monkeypatch):
    hold()
    monkeypatch.setenv("DESK_SECRET", "another-secret-which-is-long-enough-too")
    code, _, err = run()
    assert code == 1
    assert "cannot be opened" in err


def test_an_installation_that_has_held_nothing_has_nothing(run, project):
    assert run()[2] == "headworks approvals: nothing waits for a decision\n"
    assert run("--all")[2] == "headworks approvals: nothing has been held\n"
    assert run("show", "appr_1")[0] == 1
    assert list((project / ".headworks").iterdir()) == []
