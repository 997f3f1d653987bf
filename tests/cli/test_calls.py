import json
import sys
import time

import msgspec
import pytest

from headworks.access import KEYS_FILE, KeyStore
from headworks.calls import Opened, OutcomeReport, Settled
from headworks.cli import main
from headworks.cli.calls import follow
from headworks.records import JOURNAL_FOLDER, drain_lock
from headworks.records.content import ContentVault
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment

NOW_US = int(time.time() * 1e6)


def settled(n: int, **fields: object) -> Settled:
    of_opened = {name: fields[name] for name in fields if name in Opened.__struct_fields__}
    fields = {name: value for name, value in fields.items() if name not in of_opened or name == "workload"}
    opened = Opened(
        f"call_{n:04d}",
        NOW_US - (100 - n) * 1_000_000,
        "responses",
        "fast",
        "key_a",
        "ann",
        "search",
        "u-1",
        "sim",
        "luna",
    )
    call = Settled(
        msgspec.structs.replace(opened, **of_opened),
        "answered",
        200,
        1_240_000,
        312_000,
        input_tokens=12_345,
        cached_tokens=9_000,
        output_tokens=250,
        usage_source="provider",
        attempts=1,
        response_id=f"resp_{n}",
    )
    return msgspec.structs.replace(call, **fields)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\n")
    return tmp_path


@pytest.fixture
def write(project):
    """Leaves entries in a journal, as a worker does that has ended."""
    count = 0

    def write(*entries):
        nonlocal count
        count += 1
        folder = project / ".headworks" / JOURNAL_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / Segment("worker-1", 1, count).name).write_bytes(MAGIC + b"".join(map(frame, entries)))

    return write


@pytest.fixture
def calls(project, capsys):
    """Runs `headworks calls`; returns exit code, standard output, standard error."""

    def run(*arguments):
        code = main(["calls", *arguments, "--config", str(project / "headworks.yaml")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def ids(calls):
    def run(*arguments):
        code, out, _ = calls(*arguments, "--json")
        assert code == 0
        return [json.loads(line)["call_id"][-1] for line in out.splitlines()]

    return run


def test_what_lies_in_the_journal_is_drained_first_and_listed_the_newest_first(write, calls, ids, project):
    write(settled(1), settled(2, outcome="failed", status=503, error_code="upstream_overloaded"))
    write(Opened("call_0003", NOW_US, "responses", "fast"))

    code, out, err = calls()

    head, *lines = out.splitlines()
    assert (code, err) == (0, "")
    assert head.split() == [
        "TIME",
        "RESULT",
        "ENDPOINT",
        "MODEL",
        "WHO",
        "IN",
        "CACHED",
        "OUT",
        "COST",
        "FIRST",
        "TOTAL",
        "CALL",
    ]
    assert [line.split()[-1] for line in lines] == ["call_0003", "call_0002", "call_0001"]
    assert "lost" in lines[0]
    assert "503 upstream_overloaded" in lines[1]
    assert lines[2].split()[-10:] == [
        "responses",
        "sim/luna",
        "ann",
        "12.3k",
        "9,000",
        "250",
        "-",
        "312ms",
        "1.24s",
        "call_0001",
    ]
    assert "\x1b" not in out
    assert list((project / ".headworks" / JOURNAL_FOLDER).iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), ["5", "4", "3", "2", "1"]),
        (("list",), ["5", "4", "3", "2", "1"]),
        (("--order", "oldest", "--limit", "2"), ["1", "2"]),
        (("--team", "sales"), ["2"]),
        (("--user", "u-2"), ["2"]),
        (("--owner", "ann", "--status", "5xx"), ["3"]),
        (("--status", "400-499"), ["4"]),
        (("--status", "503"), ["3"]),
        (("--outcome", "failed,cancelled"), ["4", "3"]),
        (("--errors",), ["3"]),
        (("--errors", "--outcome", "cancelled"), ["4", "3"]),
        (("--error", "upstream_overloaded"), ["3"]),
        (("--endpoint", "chat"), ["5"]),
        (("--model", "lun*"), ["4", "3", "2", "1"]),
        (("--provider", "other"), ["5"]),
        (("--response", "resp_1"), ["1"]),
        (("--min-tokens", "20000"), ["5"]),
        (("--since", "98s"), ["5", "4", "3", "2"]),
        (("--until", "98s"), ["1"]),
        (("--since", "2099-01-01"), []),
        (("list", "--limit", "1"), ["5"]),
    ],
)
def test_every_filter_works_with_and_without_the_word_list(write, ids, flags, expected, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW_US / 1e6 - 0.5)
    write(
        settled(1),
        settled(2, team="sales", user="u-2"),
        settled(3, outcome="failed", status=503, error_code="upstream_overloaded"),
        settled(4, outcome="cancelled", status=499),
        settled(5, endpoint="chat.completions", provider="other", model="big", input_tokens=30_000),
    )

    assert ids(*flags) == expected


def test_calls_of_a_key_are_found_by_the_keys_name(write, ids, project, calls):
    (project / ".headworks").mkdir()
    store = KeyStore(project / ".headworks" / KEYS_FILE)
    record, _ = store.create(secret=b"s", now=1.0, name="app")
    store.close()
    write(settled(1, key_id=record.key_id), settled(2))

    assert ids("--key", "app") == ["1"]
    assert ids("--key", record.key_id) == ["1"]
    code, _, err = calls("--key", "apq")
    assert (code, "did you mean 'app'?" in err) == (1, True)


def test_json_has_every_field_of_the_record(write, calls):
    write(settled(1, is_streamed=True))

    (line,) = calls("--json")[1].splitlines()

    shown = json.loads(line)
    assert shown["opened_at"].endswith("Z")
    for name, value in {
        "call_id": "call_0001",
        "outcome": "answered",
        "status": 200,
        "is_streamed": True,
        "requested_model": "fast",
        "input_tokens": 12_345,
        "usage_source": "provider",
        "key_id": "key_a",
    }.items():
        assert shown[name] == value


def test_one_call_is_shown_whole(write, calls):
    write(settled(1, finish_reason="stop", response_body=b'{"ok": 1}', request_body=b"\x1b[2J{}"))

    code, out, _ = calls("show", "call_00", "--bodies")

    assert code == 0
    for line in (
        "call                 call_0001",
        "took                 1.24s, first token after 312ms",
        "finish reason",
    ):
        assert line in out
    assert '{"ok": 1}' in out
    assert "\\x1b[2J{}" in out


def test_bodies_that_are_not_stored_are_explained(write, calls):
    write(settled(1))

    assert "`records.bodies` in headworks.yaml" in calls("show", "call_0001", "--bodies")[2]


def test_an_unknown_call_is_answered_with_the_nearest(write, calls):
    write(settled(1))

    code, out, err = calls("show", "call_0009")

    assert (code, out) == (1, "")
    assert "there is no call 'call_0009'; the nearest: call_0001" in err


def test_what_callers_chose_cannot_steer_the_terminal(write, calls):
    write(settled(1, requested_model="\x1b]0;owned\x07\n", provider="", model=""))

    out = calls()[1]

    assert "\x1b" not in out
    assert len(out.splitlines()) == 2


def test_totals_sum_up_by_group(write, calls):
    write(settled(1), settled(2), settled(3, model="big", outcome="failed"))

    code, out, _ = calls("totals", "--by", "model,outcome")
    lines = [json.loads(line) for line in calls("totals", "--by", "model", "--json")[1].splitlines()]

    assert code == 0
    assert [line.split()[:4] for line in out.splitlines()] == [
        ["MODEL", "OUTCOME", "CALLS", "FAILED"],
        ["luna", "answered", "2", "-"],
        ["big", "failed", "1", "1"],
    ]
    assert [(line["model"], line["calls"], line["input_tokens"]) for line in lines] == [
        ("luna", 2, 24_690),
        ("big", 1, 12_345),
    ]


def test_totals_have_exact_costs_and_say_of_how_many_calls_none_is_known(write, calls):
    write(
        settled(1, cost_pico=3 * 10**12 + 1),
        settled(2, cost_pico=10**12, model="big", usage_source="estimated"),
        settled(3, model="big"),
        settled(4, model="new"),
    )

    code, out, err = calls("totals", "--by", "model")
    lines = [json.loads(line) for line in calls("totals", "--by", "model", "--json")[1].splitlines()]

    head, *rows = (line.split() for line in out.splitlines())
    assert code == 0
    assert head[-5:] == ["COST", "SHARE", "UNKNOWN", "FIRST", "TOTAL"]
    assert {row[0]: row[-5:-2] for row in rows} == {
        "luna": ["$3.00", "75.0%", "-"],
        "big": ["~$1.00", "25.0%", "1"],
        "new": ["-", "0.0%", "1"],
    }
    assert "what 2 of 4 calls cost is not known" in err
    found = {line["model"]: [line[name] for name in ("cost_usd", "cost_share", "unknown_costs")] for line in lines}
    assert found == {
        "luna": ["3.000000000001", "0.750000", 0],
        "big": ["1", "0.250000", 1],
        "new": [None, None, 1],
    }
    assert all("cost_pico" not in line for line in lines)


def test_totals_say_that_what_is_kept_at_a_provider_is_in_no_sum(write, calls):
    write(settled(1, cost_pico=1))
    assert "no call tells" not in calls("totals")[2]

    write(settled(2, cost_pico=0, endpoint="vector_stores"))
    told = "what providers charge for keeping vector stores, day by day, no call tells: it is in no sum"
    assert told in calls("totals")[2]


def test_totals_by_hour_name_the_hour(write, calls):
    write(settled(1))

    (line,) = calls("totals", "--by", "hour", "--json")[1].splitlines()

    assert json.loads(line)["hour"].endswith(":00:00.000Z")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--status", "bad"), "'bad' is not a status such as 429, 5xx or 400-499"),
        (("--outcome", "answerd"), "'answerd' is not an outcome; there are answered, refused"),
        (("--endpoint", "chats"), "'chats' is not an endpoint"),
        (("--since", "yesterday"), "'yesterday' is neither a duration"),
        (("--verdict", "good"), "'good' is not a verdict; there are valid, repaired"),
        (("--limit", "-1"), "is not a whole number"),
        (("totals", "--by", "colour"), "'colour' is not something to sum up by"),
    ],
)
def test_wrong_usage_is_exit_code_2(calls, capsys, flags, problem):
    with pytest.raises(SystemExit) as ended:
        calls(*flags)

    assert ended.value.code == 2
    assert problem in capsys.readouterr().err


WORK = {"workload": "triage", "prompt_version": "1.2.0", "prompt_hash": "sha256:aa"}


def test_calls_are_filtered_by_what_their_workload_made_of_them(write, ids):
    write(
        settled(1, **WORK, verdict="valid"),
        settled(2, **(WORK | {"prompt_version": "1.3.0"}), verdict="repaired"),
        settled(3),
    )

    assert ids("--workload", "triage") == ["2", "1"]
    assert ids("--prompt-version", "1.3.0") == ["2"]
    assert ids("list", "--verdict", "valid,repaired") == ["2", "1"]


def test_totals_are_by_workload_and_prompt_version(write, calls):
    write(settled(1, **WORK), settled(2))

    (first, second) = map(json.loads, calls("totals", "--by", "workload,prompt-version", "--json")[1].splitlines())

    assert {(one["workload"], one["prompt-version"]) for one in (first, second)} == {("triage", "1.2.0"), ("", "")}


@pytest.fixture
def kept(project):
    """A call whose content is sealed with the server secret of the project."""
    (project / ".headworks").mkdir()
    (project / ".headworks" / "secret").write_text("s" * 64)
    vault = ContentVault(b"s" * 64)

    def kept(n, **pieces):
        sealed = {kind: vault.seal(f"call_{n:04d}", "triage", kind, data) for kind, data in pieces.items()}
        return settled(
            n,
            **WORK,
            verdict="repaired",
            repairs=2,
            content_expires_us=NOW_US * 2,
            request_body=sealed.get("request", b""),
            response_body=sealed.get("response", b""),
            template_values=sealed.get("values", b""),
        )

    return kept


def test_a_call_of_a_workload_is_put_together_again(write, calls, kept):
    write(
        kept(
            1,
            request=b'{"tools": [{"name": "look_up", "type": "function"}]}',
            response=b'{"output": []}',
            values=b'{"ticket": "It \x1b[2J"}',
        ),
        OutcomeReport("out_1", 5, "accepted", "boolean", "true", call_id="call_0001", source="api"),
    )

    code, out, err = calls("show", "call_0001", "--bodies")
    shown = json.loads(calls("show", "call_0001", "--json")[1])

    assert (code, err) == (0, "")
    for line in (
        "workload             triage",
        "prompt version       1.2.0",
        "prompt hash          sha256:aa",
        "tools offered        look_up",
        "judged               repaired, 2 repair turns",
        "outcome accepted     true (api)",
        '{"output": []}',
    ):
        assert line in out
    assert "\x1b" not in out
    assert shown["tools"] == ["look_up"]
    assert shown["outcomes"] == [{"name": "accepted", "kind": "boolean", "value": True, "source": "api"}]
    assert "request_body" not in shown


@pytest.mark.parametrize(
    ("secret", "problem"), [("t" * 64, "call_0001 cannot be opened: the server secret"), (None, "there is no file:")]
)
def test_content_that_cannot_be_opened_is_said_and_the_rest_is_shown(write, calls, kept, project, secret, problem):
    write(kept(1, request=b"{}"))
    path = project / ".headworks" / "secret"
    path.unlink()
    if secret:
        path.write_text(secret)

    code, out, err = calls("show", "call_0001", "--bodies")

    assert code == 1
    assert problem in err
    assert "prompt version       1.2.0" in out
    assert path.exists() == bool(secret)


def test_the_output_economy_of_a_workload_is_printed(write, calls):
    write(
        *(settled(n, **WORK, output_tokens=100, cost_pico=10**10) for n in range(120)),
        *(settled(n, **(WORK | {"prompt_version": "1.10.0"}), output_tokens=150) for n in range(120, 240)),
        settled(300, **(WORK | {"prompt_version": "1.10.0"}), output_tokens=10_000, finish_reason="length"),
        settled(301, **WORK, outcome="cancelled", status=499, output_tokens=7),
        settled(302, output_tokens=5),
    )

    code, out, err = calls("economy", "--workload", "triage")
    (found,) = map(json.loads, calls("economy", "--workload", "triage", "--json")[1].splitlines())

    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["workload", "triage"]
    assert rows[1] == ["cost:", "$1.20", "in", "120", "calls;", "what", "122", "more", "cost", "is", "not", "known"]
    assert (found["cost_usd"], found["unknown_costs"]) == ("1.2", 122)
    assert [row[:2] for row in rows[2:5]] == [["PROMPT", "VERSION"], ["1.2.0", "120"], ["1.10.0", "121"]]
    assert "thrown away, cut by maximum: 10.0k tokens in 1 call" in out
    assert "thrown away, cancelled by the client: 7 tokens in 1 call (0.0% of the output)" in out
    assert "ALARM: answers of 1.10.0 are" in out
    assert "a maximum of 150 tokens (p99) would save 24.6% of the output and cut 1 of 241 answers" in out
    assert found["growth"][0]["before"] == "1.2.0"
    assert [one["calls"] for one in found["versions"]] == [120, 121]
    assert len(calls("economy", "--json")[1].splitlines()) == 2
    assert "workload - (plain calls)" in calls("economy")[1]


def test_what_a_stop_sequence_would_save_is_said_from_kept_answers(write, calls, kept):
    def chat(text):
        return json.dumps({"choices": [{"message": {"content": text}}]}).encode()

    write(kept(1, response=chat("yes\nas one can see")), kept(2, response=chat("no")), settled(3, **WORK))

    code, out, err = calls("economy", "--workload", "triage", "--stop", r"\n", "--stop", "END")
    (found,) = map(json.loads, calls("economy", "--workload", "triage", "--stop", r"\n", "--json")[1].splitlines())

    assert (code, err) == (0, "")
    assert r'a stop at "\n" would save ~33.3% of the output and cut 1 of 2 answers' in out
    assert 'a stop at "END" would save ~0.0% of the output and cut 0 of 2 answers' in out
    (stop,) = found["stops"]
    assert (stop["sequence"], stop["cut_calls"], stop["calls"]) == ("\n", 1, 2)


def test_where_no_content_is_kept_a_stop_sequence_is_said_to_be_unknown(write, calls):
    write(settled(1, **WORK), settled(2))

    code, out, _ = calls("economy", "--stop", "END")

    assert code == 0
    assert 'a stop at "END": nobody can tell what it would save, for no content is kept of these answers' in out
    assert out.count("a stop at") == 1


def test_a_maximum_of_ones_own_is_judged_too(write, calls):
    write(*(settled(n, **WORK, output_tokens=100) for n in range(3)), settled(4, **WORK, output_tokens=200))

    out = calls("economy", "--max-tokens", "150")[1]

    assert "a maximum of 150 tokens would save 10.0% of the output and cut 1 of 4 answers" in out


def test_an_economy_of_nothing_says_so(write, calls):
    write(settled(1))

    assert "no output is recorded in that time of workload triage" in calls("economy", "--workload", "triage")[2]


def test_before_anything_is_recorded_it_says_so(calls, project):
    assert "nothing is recorded yet" in calls()[2]
    (project / ".headworks").mkdir()
    assert "no call is recorded yet" in calls()[2]
    assert "no call is recorded" in calls("totals")[2]


def test_when_the_control_plane_is_behind_it_says_so(write, calls, project, monkeypatch):
    monkeypatch.setattr("headworks.records.storage._WAIT_STEP_S", 1.5)
    monkeypatch.setattr("headworks.records.storage.catch_up.__kwdefaults__", {"wait_s": 2.0, "rest": lambda _: None})
    write(settled(1))

    with drain_lock(project / ".headworks"):
        code, out, err = calls()

    assert (code, out) == (0, "")
    assert "control plane is behind" in err


def test_following_shows_what_comes_and_rests_when_nothing_does():
    batches = iter([[], ["a", "b"], [], ["c"]])
    shown, rests = [], []

    def more():
        try:
            return next(batches)
        except StopIteration:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt):
        follow(more, shown.append, rest=rests.append)

    assert shown == [["a", "b"], ["c"]]
    assert len(rests) == 2


def test_follow_lists_the_last_calls_oldest_first_and_then_new_ones_once(write, calls, monkeypatch):
    write(settled(1), settled(2))
    turns = iter([lambda: write(settled(3), settled(4, outcome="lost", status=0)), lambda: None])

    def rest(_seconds):
        try:
            next(turns)()
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(time, "sleep", rest)
    code, out, _ = calls("--follow", "--json")

    assert code == 130
    assert [json.loads(line)["call_id"][-1] for line in out.splitlines()] == ["1", "2", "3", "4"]


@pytest.fixture
def followed(write, calls, monkeypatch):
    """What is printed when some calls are there and others come while they are followed."""

    def followed(first, later):
        write(*first)
        turns = iter([lambda: write(*later), lambda: None])

        def rest(_seconds):
            try:
                next(turns)()
            except StopIteration:
                raise KeyboardInterrupt from None

        monkeypatch.setattr(time, "sleep", rest)
        return calls("--follow")[1].splitlines()

    return followed


LONG = {
    "endpoint": "chat.completions",
    "is_streamed": True,
    "outcome": "failed",
    "status": 503,
    "error_code": "upstream_overloaded",
    "model": "gpt-6-luna",
    "owner": "support-team",
    "usage_source": "estimated",
}


def test_calls_that_are_followed_line_up_with_those_that_were_there(followed):
    head, first, later = followed([settled(1)], [settled(2, **LONG)])

    for title, short, long in (
        ("ENDPOINT", "responses", "chat.completions (stream)"),
        ("MODEL", "sim/luna", "sim/gpt-6-luna"),
        ("WHO", "ann", "support-team"),
        ("CALL", "call_0001", "call_0002"),
    ):
        assert head.index(title) == first.index(short) == later.index(long)
    assert first.index("12.3k") == later.index("12.3k")


def test_in_a_terminal_what_is_too_long_to_line_up_is_cut(followed, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("NO_COLOR", "1")

    head, _, later = followed([settled(1)], [settled(2, **(LONG | {"model": "a-model-with-a-very-long-name"}))])

    assert head.index("CALL") == later.index("call_0002")
    assert "sim/a-model" in later
    assert "…" in later


def test_the_help_names_every_flag_of_the_default_action(calls, capsys):
    helps = []
    for command in (("--help",), ("list", "--help")):
        with pytest.raises(SystemExit):
            calls(*command)
        helps.append(capsys.readouterr().out)
    own, listing = ({line.split()[0] for line in text.splitlines() if line.startswith("  --")} for text in helps)

    assert listing <= own
    assert {"--since", "--team", "--follow", "--json"} <= own


def test_calls_are_listed_while_the_rest_of_the_file_is_broken(write, calls, project):
    write(settled(1))
    (project / "headworks.yaml").write_text("providers: {sim: {kind: simulater}}\n")

    code, out, err = calls()

    assert code == 0
    assert "call_0001" in out
    assert "headworks calls: warning: " in err
    assert "did you mean `simulator`?" in err
