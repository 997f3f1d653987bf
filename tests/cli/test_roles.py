import io
import json
import sys

import pytest

from headworks.cli import main, roles

TEXT = """
providers: {sim: {kind: simulator}}
access:
  organisations: {acme: {teams: [search]}}
  users: [{subject: ann, roles: [admin, auditor]}]
  roles: [{claim: groups, value: ops, role: operator, organisation: acme, issuer: "https://id.example"}]
"""


@pytest.fixture
def run(tmp_path, capsys):
    (tmp_path / "headworks.yaml").write_text(TEXT)

    def run(*words):
        code = main([*words, "--config", str(tmp_path / "headworks.yaml")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_the_table_of_roles_is_shown(run):
    code, out, _ = run("roles")

    assert code == 0
    assert out.splitlines()[0].split() == ["RIGHT", "ADMIN", "OPERATOR", "ANALYST", "AUDITOR", "CALLER", "MEANING"]
    of_audit = next(line for line in out.splitlines() if line.startswith("audit.read"))
    assert of_audit.split()[1:6] == ["-", "-", "-", "yes", "-"]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_table_of_roles_fits_the_terminal(run, monkeypatch, columns):
    whole = run("roles")[1].splitlines()
    monkeypatch.setattr(roles, "terminal_width", lambda: columns)
    shown = run("roles")[1].splitlines()

    assert len(shown) == len(whole)
    assert max(map(len, shown)) <= columns
    assert all(name in shown[0] for name in ("RIGHT", "ADMIN", "OPERATOR", "ANALYST", "AUDITOR"))


def test_who_has_a_role_is_listed(run):
    run("keys", "create", "boss", "--role", "admin", "--team", "search")
    run("keys", "create", "app")
    code, out, _ = run("roles", "who", "--json")
    found = [json.loads(line) for line in out.splitlines()]

    assert code == 0
    assert [(one["role"], one["organisation"], one["how"]) for one in found] == [
        ("admin", "acme", "key"),
        ("admin", None, "user"),
        ("auditor", None, "user"),
        ("operator", "acme", "claim"),
    ]
    assert found[0]["who"].endswith(" boss")


def test_which_roles_follow_from_claims_is_said_before_anybody_signs_in(run, tmp_path, monkeypatch):
    file = tmp_path / "claims.json"
    file.write_text('{"iss": "https://id.example", "sub": "bob", "groups": ["staff", "ops"]}')

    assert run("roles", "of", str(file))[:2] == (0, "operator acme\n")
    assert run("roles", "of", str(file), "--issuer", "https://other.example")[0] == 1
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"sub": "ann"}')))
    assert run("roles", "of", "-")[1].splitlines() == ["admin everywhere", "auditor everywhere"]


def test_whose_claims_must_be_said(run):
    with pytest.raises(SystemExit) as ended:
        run("roles", "of")

    assert ended.value.code == 2


@pytest.mark.parametrize("text", ["eyJhbGciOi.x.y", "[]"])
def test_what_is_no_claims_is_refused(run, tmp_path, text):
    (tmp_path / "claims.json").write_text(text)

    code, _, err = run("roles", "of", str(tmp_path / "claims.json"))
    assert (code, "decoded" in err) == (1, True)
