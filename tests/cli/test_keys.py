import io
import json
import re
import sys

import pytest

from headworks.access import KEYS_FILE, KeyRing, KeyStore, is_well_formed, server_secret
from headworks.calls import Team
from headworks.cli import main

CONFIG = """
providers: {sim: {kind: simulator}, local: {kind: simulator, models: [small, large]}}
models: {fast: sim/gpt-6-luna}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "headworks.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def keys(project, capsys):
    """Runs `headworks keys`; returns exit code, standard output, standard error."""

    def run(action, *arguments):
        code = main(["keys", action, *arguments, "--config", str(project / "headworks.yaml")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def as_json(keys):
    def run(action, *arguments):
        code, out, _ = keys(action, *arguments, "--json")
        assert code == 0
        return [json.loads(line) for line in out.splitlines()]

    return run


def ring(project):
    store = KeyStore(project / ".headworks" / KEYS_FILE)
    try:
        return KeyRing(store, server_secret("file:.headworks/secret", project, {}), lambda: 1_795_500_000.0)
    finally:
        store.close()


def test_a_key_is_shown_once_and_opens_the_gateway(keys, project):
    code, out, err = keys("create", "app", "--owner", "ann", "--team", "search", "--models", "fast,sim/*")

    key = out.splitlines()[0]
    grant = ring(project).identify(f"Bearer {key}".encode())
    assert (code, err) == (0, "")
    assert is_well_formed(key)
    assert (grant.caller.owner, grant.caller.team) == ("ann", "search")
    assert not grant.may_use("local/small")
    for action in (("list",), ("show", "app"), ("list", "--json"), ("show", "app", "--json")):
        assert key not in keys(*action)[1]


def test_a_key_as_json_has_everything_that_a_script_needs(as_json):
    (made,) = as_json("create", "app", "--endpoints", "chat,responses", "--expires", "2099-01-01")

    assert is_well_formed(made.pop("key"))
    assert as_json("show", "app") == [made]
    assert as_json("list") == [made]
    assert made["endpoints"] == ["chat.completions", "responses"]
    assert (made["state"], made["expires_at"], made["revoked_at"]) == ("good", "2099-01-01T00:00:00.000Z", None)


def test_a_revoked_key_is_gone_from_the_list_but_not_from_the_history(keys, as_json):
    as_json("create", "app")

    code, out, _ = keys("revoke", "app")

    assert code == 0
    assert "is revoked" in out
    assert as_json("list") == []
    assert [one["state"] for one in as_json("list", "--all")] == ["revoked"]
    assert "1 more is not good any more" in keys("list")[2]


def test_rotating_shows_the_new_key_and_says_how_long_the_old_one_lasts(keys, as_json, project):
    (old,) = as_json("create", "app", "--owner", "ann")

    code, out, _ = keys("rotate", "app", "--overlap", "2h")

    new_key = out.splitlines()[0]
    assert code == 0
    assert re.search(rf"The old key, {old['key_id']}, is good until \d{{4}}-\d\d-\d\d \d\d:\d\d UTC", out)
    assert ring(project).identify(f"Bearer {new_key}".encode()).caller.owner == "ann"
    assert [one["replaces"] for one in as_json("list")] == ["", old["key_id"]]


def test_while_a_key_and_its_successor_are_good_the_name_means_the_newer_and_revokes_neither(keys, as_json):
    (old,) = as_json("create", "app")
    (new,) = as_json("rotate", "app")

    assert as_json("show", "app")[0]["key_id"] == new["key_id"]
    code, _, err = keys("revoke", "app")
    assert code == 1
    assert f"{new['key_id']}, and {old['key_id']}, which it replaces and is good until" in err
    assert len(as_json("list")) == 2

    assert keys("revoke", old["key_id"])[0] == 0
    assert keys("revoke", "app")[0] == 0
    assert as_json("list") == []


def test_without_overlap_the_old_key_is_useless_at_once(keys, as_json):
    as_json("create", "app")

    _, out, _ = keys("rotate", "app", "--overlap", "0s")

    assert "is no longer good" in out
    assert len(as_json("list")) == 1


def test_whose_a_key_is_can_be_asked_without_writing_it_on_the_command_line(keys, as_json, monkeypatch):
    (made,) = as_json("create", "app")
    monkeypatch.setattr("sys.stdin", io.StringIO(made["key"] + "\n"))

    (found,) = as_json("show", "-")

    assert found["key_id"] == made["key_id"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("show", "apq"), "there is no key 'apq'; did you mean 'app'?"),
        (("revoke", "nothing-like-it"), "`headworks keys list` shows them all"),
        (("rotate", "key_o"), "there is no key 'key_o'"),  # no id has an o, so none begins so
    ],
)
def test_an_unknown_key_is_exit_code_1_with_the_way_out(keys, arguments, problem):
    keys("create", "app")

    code, out, err = keys(*arguments)

    assert (code, out) == (1, "")
    assert problem in err


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--expires", "soon"), "'soon' is neither a duration"),
        (("--expires", "2001-01-01"), "has passed already"),
        (("--endpoints", "chats"), "'chats' is not an endpoint; there are responses, chat, completions, messages"),
        (("--models", "a,,b"), "is not a model name"),
        (("--owner", "an\x1bn"), "printable characters"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_makes_no_key(keys, as_json, capsys, flags, problem):
    with pytest.raises(SystemExit) as ended:
        keys("create", "app", *flags)

    assert ended.value.code == 2
    assert problem in capsys.readouterr().err
    assert as_json("list") == []


@pytest.mark.parametrize(
    ("models", "warning"),
    [
        ("fats", "no configured model is named fats; did you mean fast?"),
        ("local/smal", "no configured model is named local/smal; did you mean local/small?"),
        ("slim/*", "no configured model is named slim/*; did you mean sim/*?"),
        ("fast,local/*,local/large,sim/whatever,f*,*", ""),
    ],
)
def test_a_scope_that_fits_no_configured_model_is_warned_of(keys, models, warning):
    code, _, err = keys("create", "app", "--models", models)

    assert (code, err.strip().removeprefix("headworks keys: ")) == (0, warning)


def test_an_empty_list_says_how_to_make_a_key(keys):
    code, out, err = keys("list")

    assert (code, out) == (0, "")
    assert "headworks keys create" in err


def test_where_no_key_is_asked_for_creating_one_says_so(keys, project):
    (project / "headworks.yaml").write_text("access: {mode: open}\n" + CONFIG)

    assert "access.mode is `open`" in keys("create", "app")[2]


def test_keys_of_another_secret_are_shown_as_such(keys, as_json, project):
    as_json("create", "app")
    (project / ".headworks" / "secret").write_text("0" * 64 + "\n")

    assert [one["state"] for one in as_json("list", "--all")] == ["other secret"]


def test_a_missing_configuration_is_a_problem_with_its_place(capsys, tmp_path):
    assert main(["keys", "list", "--config", str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml: there is no such file" in capsys.readouterr().err


def test_a_key_can_be_revoked_while_the_rest_of_the_configuration_is_broken(keys, as_json, project):
    (project / "headworks.yaml").write_text(CONFIG + "storage: {path: state}\n")
    (made,) = as_json("create", "app")
    (project / "headworks.yaml").write_text(CONFIG + "storage: {path: state}\nmodelz: {}\n")

    code, out, err = keys("revoke", "app")

    assert (code, out.split()[0]) == (0, made["key_id"])
    assert err.startswith("headworks keys: warning: ")
    assert "headworks.yaml:5:1: `modelz` is not a field; did you mean `models`?" in err
    assert "going on in spite of this problem" in err


def test_a_key_is_made_without_guesses_about_names_that_could_not_be_read(keys, project):
    (project / "headworks.yaml").write_text(CONFIG + "modelz: {}\n")

    code, _, err = keys("create", "app", "--models", "fast")

    assert code == 0
    assert "no configured model" not in err


def test_the_list_fits_a_terminal_and_shows_ids_whole(keys, as_json, monkeypatch):
    (made,) = as_json("create", "a name that goes on and on", "--models", "fast,sim/*", "--endpoints", "chat,responses")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    lines = keys("list")[1].splitlines()

    assert max(map(len, lines)) <= 100
    assert lines[1].split()[0] == made["key_id"]
    assert "…" in lines[1]


def test_what_a_key_may_ask_for_is_set_changed_and_kept_by_a_rotation(keys, as_json, project):
    (made,) = as_json("create", "app", "--rpm", "60", "--tpm", "40_000")
    assert made["limits"]["requests_per_minute"] == 60
    assert ring(project).identify(f"Bearer {made['key']}".encode()).limits.tokens_per_minute == 40_000

    (changed,) = as_json("limit", "app", "--tpm", "none", "--rpd", "1000")
    assert changed["limits"] == {
        "requests_per_minute": 60, "tokens_per_minute": None, "requests_per_day": 1000, "tokens_per_day": None,
        "input_tokens_per_minute": None, "output_tokens_per_minute": None,
    }  # fmt: skip
    assert "60 requests per minute, 1,000 requests per day" in keys("show", "app")[1]

    (rotated,) = as_json("rotate", "app", "--overlap", "0s")
    assert rotated["limits"] == changed["limits"]


def test_the_priority_of_a_key_is_its_own_or_its_teams_or_the_usual_one(keys, as_json, project):
    (project / "headworks.yaml").write_text(CONFIG + "access: {teams: {payments: {priority: 0, weight: 3}}}\n")
    (own,) = as_json("create", "batch", "--team", "payments", "--priority", "3")
    (teams,) = as_json("create", "shop", "--team", "payments")
    (usual,) = as_json("create", "app")
    found = [(made["priority"], made["priority_of"]) for made in (own, teams, usual)]
    assert found == [(3, "key"), (0, "team"), (1, "default")]
    assert re.search(r"priority +0 \(its team's\)", keys("show", "shop")[1])
    assert [line.split()[6] for line in keys("list")[1].splitlines()] == ["PRIORITY", "3", "0", "1"]

    store = KeyStore(project / ".headworks" / KEYS_FILE)
    secret = server_secret("file:.headworks/secret", project, {})
    known = KeyRing(store, secret, lambda: 1.0, teams={"payments": Team(weight=3, priority=0)})
    grants = [known.identify(f"Bearer {made['key']}".encode()) for made in (own, teams, usual)]
    store.close()
    assert [(grant.priority, grant.weight) for grant in grants] == [(3, 3), (0, 3), (1, 1)]

    (rotated,) = as_json("rotate", "batch", "--overlap", "0s")
    assert rotated["priority"] == 3
    (changed,) = as_json("limit", "batch", "--priority", "none")
    assert (changed["priority"], changed["priority_of"]) == (0, "team")


@pytest.mark.parametrize("priority", ["4", "-1", "high", "none"])
def test_a_priority_that_is_none_is_refused(keys, capsys, priority):
    with pytest.raises(SystemExit):
        keys("create", "app", f"--priority={priority}")
    assert "expected a whole number from 0 to 3" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1e3", "9999999999999"])
def test_a_limit_that_is_none_is_refused(keys, capsys, limit):
    with pytest.raises(SystemExit):
        keys("create", "app", f"--rpm={limit}")
    assert "expected a whole number from 1 to" in capsys.readouterr().err


def test_networks_of_a_key_are_given_changed_and_lifted(keys, as_json):
    (made,) = as_json("create", "here", "--networks", "10.0.0.0/8, 192.0.2.7")
    assert made["networks"] == ["10.0.0.0/8", "192.0.2.7/32"]
    assert "networks   10.0.0.0/8, 192.0.2.7/32" in keys("show", "here")[1]
    assert as_json("limit", "here", "--rpm", "5")[0]["networks"] == made["networks"]
    assert as_json("limit", "here", "--networks", "none")[0]["networks"] == []


def test_a_network_that_is_none_is_refused(keys, capsys):
    with pytest.raises(SystemExit):
        keys("create", "here", "--networks", "10.1.0.0/8")
    assert "write 10.0.0.0/8" in capsys.readouterr().err


def test_where_a_key_goes_depends_on_its_role(keys):
    assert "It goes where a provider's key went: api_key=..." in keys("create", "shop")[1]
    assert "It goes to the admin API" in keys("create", "ops", "--role", "operator")[1]
