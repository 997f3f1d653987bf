import io
import json
import sys

import pytest

from headworks.config import LOCK_FILE, Locked, lock_text, read_lock
from headworks.config.lock import Lock
from headworks.prompts import PROMPTS_FILE, PromptRegistry

NAME = "ticket-triage"
LONG = "Tickets are read slowly and with care, for each of them was written by a person. " * 80


@pytest.fixture
def prompts(desk):
    """Runs `headworks prompts`."""
    return lambda *words: desk.run("prompts", *words)


@pytest.fixture
def release(desk, prompts):
    """Publishes the folder's prompt, after a change if one is given: every call with another raises the version."""

    def do(old="", new=""):
        if old:
            desk.edit("prompt.md", old, new)
            assert prompts("bump", NAME)[0] == 0
        code, out, err = prompts("publish", NAME)
        assert (code, err) == (0, "")
        return out

    return do


def locked(desk):
    return read_lock(desk.folder / LOCK_FILE).workloads[NAME]


def active(desk):
    registry = PromptRegistry(desk.folder / ".headworks" / PROMPTS_FILE)
    try:
        return registry.active(NAME).version
    finally:
        registry.close()


# -- list, show, log --------------------------------------------------------------------------------------------------


def test_the_log_of_what_was_never_there_says_so(desk):
    assert desk.run("prompts", "log", "nothing")[0::2] == (
        1,
        "headworks prompts: no workload is called `nothing`, and none was\n",
    )


def test_prompts_are_listed_with_what_is_in_the_folder_active_and_published(prompts, release):
    release()
    release("twelve words", "ten words")

    _, out, _ = prompts("list")
    _, lines, _ = prompts("list", "--json")

    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["WORKLOAD", "FOLDER", "ACTIVE", "PUBLISHED", "STATIC"]
    assert rows[1] == ["assistant", "1.0.0", "-", "-", "185"]
    assert rows[3][:5] == [NAME, "1.1.0", "1.1.0", "1.0.0,", "1.1.0"]
    shown = json.loads(lines.splitlines()[2])
    assert (shown["workload"], shown["active"], shown["published"]) == (NAME, "1.1.0", ["1.0.0", "1.1.0"])


def test_a_prompt_that_is_broken_does_not_hide_the_others(desk, prompts):
    desk.edit("prompt.md", "{{ plan }}", "{{ plann }}")

    code, out, err = prompts("list")

    assert code == 1
    assert [line.split()[1] for line in out.splitlines()[1:]] == ["1.0.0", "1.0.0", "broken"]
    assert f"{desk.triage}/prompt.md:32:10: " in err


def test_to_look_makes_no_registry(desk, prompts):
    for words in (["list"], ["show", NAME], ["log", NAME], ["lint"], ["bump", NAME], ["rollback", NAME]):
        prompts(*words)

    assert not (desk.folder / ".headworks").exists()


def test_a_prompt_is_shown_with_its_variables_and_sections(prompts, release):
    assert "version        1.0.0 (not published)" in prompts("show", NAME)[1].splitlines()
    release()

    _, out, _ = prompts("show", NAME)
    _, text, _ = prompts("show", NAME, "--json")

    assert "version        1.0.0 (active)" in out.splitlines()
    assert "static prefix  218 tokens, behind 110 of schema" in out.splitlines()
    assert [line.split()[:2] for line in out.splitlines() if line.startswith(("plan ", "   9", "  35"))] == [
        ["plan", "enum"], ["9", "developer"], ["35", "(input)"],
    ]  # fmt: skip
    shown = json.loads(text)
    assert (shown["state"], shown["static_tokens"], shown["input_at"]) == ("active", 218, 2)
    assert shown["variables"]["plan"]["values"] == ["free", "pro", "enterprise"]


def test_a_published_version_can_be_had_back_byte_by_byte(desk, prompts, release, monkeypatch):
    before = (desk.triage / "prompt.md").read_bytes()
    release()
    release("twelve words", "ten words")
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", out)

    prompts("show", NAME, "--version", "1.0.0", "--source")

    assert out.buffer.getvalue() == before


def test_a_version_that_is_not_published_is_told_which_are(prompts, release):
    assert "no prompt of `ticket-triage` is published" in prompts("show", NAME, "--version", "1")[2]
    release()

    code, _, err = prompts("show", NAME, "--version", "2")

    assert (code, err) == (1, "headworks prompts: ticket-triage 2 is not published; published: 1.0.0\n")


def test_the_log_tells_what_was_published_and_activated(prompts, release):
    release()
    release("twelve words", "ten words")
    prompts("rollback", NAME)

    _, out, _ = prompts("log", NAME)
    _, lines, _ = prompts("log", NAME, "--json")

    assert [line.split()[2:-1] for line in out.splitlines()[1:]] == [
        ["published", "1.0.0"],
        ["activated", "1.0.0"],
        ["published", "1.1.0"],
        ["activated", "1.1.0"],
        ["activated", "(in", "use)", "1.0.0"],
    ]
    assert [json.loads(line)["what"] for line in lines.splitlines()][-2:] == ["activated", "activated"]


# -- diff -------------------------------------------------------------------------------------------------------------


def test_the_active_version_is_compared_with_the_folders(desk, prompts, release):
    release()
    desk.edit("prompt.md", "twelve words", "ten words")

    _, out, _ = prompts("diff", NAME)

    assert out.splitlines()[:2] == ["--- ticket-triage 1.0.0 (active)", "+++ ticket-triage 1.0.0 (folder)"]
    assert out.splitlines()[-3:] == [
        "This is a minor step:",
        "- golden case 1 is rendered otherwise (50 of 50 are)",
        "The folder's version, 1.0.0, is too low: headworks prompts bump ticket-triage",
    ]


def test_schema_and_parameters_count_as_the_text_does(desk, prompts, release):
    release()
    desk.edit("workload.yaml", "temperature: 0", "temperature: 0.5")
    assert json.loads(prompts("diff", NAME, "--json")[1])["reasons"] == ["the parameter `temperature` changes"]
    desk.edit("schema.json", '"billing", ', "")
    assert json.loads(prompts("diff", NAME, "--json")[1])["reasons"][0] == "the output's schema changes"
    desk.edit("schema.json", '"access", ', '"access", "fraud", ')

    shown = json.loads(prompts("diff", NAME, "--json")[1])

    assert shown["reasons"][0] == "the output's contract breaks: `category` may have further values"
    assert (shown["required"], shown["diff"]) == ("major", "")
    assert shown["problem"].startswith("version 1.0.0 must be at least 2.0.0, a major step")


def test_any_two_versions_can_be_compared(prompts, release):
    release()
    release("twelve words", "ten words")

    forth, back = prompts("diff", NAME, "1.0.0", "1.1.0")[1], prompts("diff", NAME, "1.1", "1.0")[1]

    assert "at most ten words." in next(line for line in forth.splitlines() if line.startswith("+Name"))
    assert "at most ten words." in next(line for line in back.splitlines() if line.startswith("-Name"))
    assert "too low" not in back
    assert "is the same" in prompts("diff", NAME)[1]


def test_a_diff_has_colours_on_a_terminal_only(desk, prompts, release, monkeypatch):
    release()
    desk.edit("prompt.md", "twelve words", "ten words")
    plain = prompts("diff", NAME)[1]
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert "\x1b" not in plain
    assert "\x1b[32m+Name the order" in prompts("diff", NAME)[1]


def test_without_an_active_version_there_is_nothing_to_compare_with(prompts):
    code, _, err = prompts("diff", NAME)

    assert code == 1
    assert "no prompt of `ticket-triage` is active yet; `headworks prompts publish ticket-triage`" in err


# -- render -----------------------------------------------------------------------------------------------------------


def test_a_golden_case_is_rendered_as_the_model_gets_it(prompts):
    _, out, _ = prompts("render", NAME, "--case", "ticket-01")
    _, text, _ = prompts("render", NAME, "--case", "ticket-01", "--json")

    assert [line for line in out.splitlines() if line.startswith("--- ")] == [
        "--- developer", "--- user", "--- here the caller's own messages stand",
    ]  # fmt: skip
    messages = json.loads(text)["messages"]
    assert [message["role"] for message in messages] == ["developer", "user"]
    assert "\nLedgerly\n</data-" in messages[1]["content"]


def test_values_come_from_flags_over_a_file_over_a_case(prompts, tmp_path):
    values = tmp_path / "values.json"
    values.write_text('{"product": "Farm", "plan": "free"}')

    _, out, _ = prompts("render", NAME, "--case", "ticket-01", "--vars", str(values), "--var", "plan=enterprise")

    assert "Plan: enterprise" in out
    assert "Farm" in out
    assert "Ledgerly" not in out


def test_a_values_type_is_that_of_its_variable(desk, prompts):
    desk.edit("prompt.md", "variables:", "variables:\n  count: integer\n  tags: list")
    desk.edit("prompt.md", "Plan: {{ plan }}", "Plan: {{ plan }} {{ count }} {{ tags | join('+') }}")
    words = ["render", NAME, "--case", "ticket-01", "--var", "ticket=12", "--var", 'tags=["a","b"]', "--var"]

    assert "Plan: pro 7 a+b" in prompts(*words, "count=7")[1]
    assert "`count` is of type integer; give its value as JSON" in prompts(*words, "count=seven")[2]


def test_the_messages_of_a_case_stand_where_the_callers_do(desk, prompts):
    case = {"id": "c", "variables": {"product": "p", "plan": "pro", "ticket": "t"}, "input": "And now?", "expected": 1}
    (desk.triage / "golden.jsonl").write_text(json.dumps(case) + "\n")

    _, out, _ = prompts("render", NAME, "--case", "c")

    assert out.splitlines()[-2:] == ["--- user (the caller's)", "And now?"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "`product` is missing"),
        (["--case", "ticket-1"], "no golden case of `ticket-triage` has the id `ticket-1`; did you mean `ticket-"),
        (["--vars", "missing.json"], "missing.json cannot be read: No such file"),
        (["--case", "ticket-01", "--var", "shade=red"], "`shade` is not a variable of it"),
    ],
)
def test_what_cannot_be_rendered_says_why(prompts, words, reason):
    code, out, err = prompts("render", NAME, *words)

    assert (code, out) == (1, "")
    assert reason in err


def test_a_value_without_a_name_is_wrong_usage(prompts):
    with pytest.raises(SystemExit) as ended:
        prompts("render", NAME, "--var", "ticket")

    assert ended.value.code == 2


# -- lint -------------------------------------------------------------------------------------------------------------


def test_remarks_are_counted_in_tokens_and_are_no_failure(desk, prompts):
    code, out, err = prompts("lint", NAME)

    assert code == 0
    assert out.splitlines()[0].startswith(f"{desk.triage}/prompt.md:9:1: remark: ")
    assert out.splitlines()[0].endswith("(prefix-too-short, 118M tokens a month, $10.63 a month)")
    assert err == ""


def test_what_a_finding_costs_is_what_this_project_pays(desk, prompts):
    (desk.folder / "headworks.yaml").write_text(
        (desk.folder / "headworks.yaml").read_text() + "prices: {providers: {simulator: {discount_percent: 50}}}\n"
    )
    found = [json.loads(line) for line in prompts("lint", NAME, "--json")[1].splitlines()]
    (one,) = [each for each in found if each["rule"] == "prefix-too-short"]
    assert 5_310_000 < one["monthly_cost_micro_usd"] < 5_320_000


def test_a_model_without_a_price_is_named(desk, prompts):
    text = (desk.folder / "headworks.yaml").read_text()
    cellar = "  cellar: {kind: openai-compatible, base_url: 'http://127.0.0.1:9/v1', models: [small],"
    cellar += " regions: [eu], agreements: [no-training]}\n\n# Contracts"
    (desk.folder / "headworks.yaml").write_text(
        text.replace("\n# Contracts", cellar).replace("simulator/gpt-6-luna", "cellar/small")
    )
    code, out, err = prompts("lint", NAME)

    assert code == 0
    assert out.splitlines()[0].endswith("tokens a month)")
    assert "no price is known of cellar/small" in err


def test_a_finding_of_weight_is_a_failure(desk, prompts):
    desk.edit("prompt.md", "{% user %}\n", "{% user %}\n{{ ticket }}\n" + LONG + "\n")

    code, out, _ = prompts("lint", "--json")

    found = [json.loads(line) for line in out.splitlines()]
    (one,) = [each for each in found if each["rule"] == "variable-before-static"
              and each["workload"] == NAME]  # fmt: skip
    assert (code, one["weighs"], one["line"]) == (1, True, 31)
    assert one["tokens_a_month"] == one["tokens"] * 12_000 * 30


def test_findings_in_tools_and_schema_name_those_files(desk, prompts):
    (desk.triage / "tools.json").write_text('[{"type": "function", "name": "b"},\n {"type": "function", "name": "a"}]')
    (desk.triage / "schema.json").write_text('{"type": "object",\n "type": "object"}')

    code, out, _ = prompts("lint", NAME)

    assert code == 1
    assert f"{desk.triage}/tools.json:2:2: problem: the tools are not sorted by name" in out
    assert f"{desk.triage}/schema.json:2:2: problem: this key stands here a second time" in out


def test_a_published_version_can_be_linted_and_a_broken_prompt_is_a_failure(desk, prompts, release):
    release()
    desk.edit("prompt.md", "{{ plan }}", "{{ plann }}")

    assert prompts("lint", NAME, "--version", "1.0.0")[1].startswith("ticket-triage 1.0.0:9:1: remark: ")
    code, _, err = prompts("lint")
    assert code == 1
    assert f"{desk.triage}/prompt.md:32:10: " in err
    assert "--version needs a workload" in prompts("lint", "--version", "1")[2]


def test_a_prompt_with_nothing_to_mend_is_said_to_be_so(desk, prompts):
    (desk.triage / "prompt.md").write_text(
        f"---\nversion: 1.0.0\nvariables: {{ticket: string}}\n---\n{LONG}\n{{% user %}}\n{{{{ ticket | fence }}}}\n"
    )

    assert prompts("lint", NAME)[:2] == (0, "nothing to mend\n")


# -- bump -------------------------------------------------------------------------------------------------------------


def test_the_version_is_raised_to_what_the_change_needs_and_no_further(desk, prompts, release):
    release()
    desk.edit("prompt.md", "variables:", "# kept\nvariables:")
    desk.edit("prompt.md", "twelve words", "ten words")
    before = (desk.triage / "prompt.md").read_text()

    first, second = prompts("bump", NAME), prompts("bump", NAME)

    assert first[:2] == (
        0,
        "ticket-triage 1.0.0 -> 1.1.0: a minor step from 1.0.0\n- golden case 1 is rendered otherwise (50 of 50 are)\n",
    )
    assert second[1].startswith("ticket-triage stays 1.1.0: that is a minor step from 1.0.0 already\n")
    assert (desk.triage / "prompt.md").read_text() == before.replace("version: 1.0.0", "version: 1.1.0")


@pytest.mark.parametrize(
    ("old", "new", "version"),
    [
        ("Category:", "Category{# seven #}:", "1.0.1"),
        ("max_length: 80", "max_length: 90", "1.1.0"),
        ("max_length: 8000", "max_length: 800", "2.0.0"),
    ],
)
def test_the_level_is_the_machines_to_tell(desk, prompts, release, old, new, version):
    release()
    desk.edit("prompt.md", old, new)

    assert json.loads(prompts("bump", NAME, "--json")[1])["version"] == version


def test_a_higher_level_can_be_asked_for_and_a_lower_one_is_refused(desk, prompts, release):
    release()
    desk.edit("prompt.md", "twelve words", "ten words")
    before = (desk.triage / "prompt.md").read_text()

    code, _, err = prompts("bump", NAME, "--level", "patch")
    assert (code, (desk.triage / "prompt.md").read_text()) == (1, before)
    assert "a patch step from 1.0.0 is too low: a minor one is needed, for golden case 1" in err

    assert prompts("bump", NAME, "--level", "major")[1].startswith("ticket-triage 1.0.0 -> 2.0.0: a major step")


def test_before_anything_is_published_a_version_is_raised_on_request_only(prompts):
    assert "stays 1.0.0: nothing is published yet" in prompts("bump", NAME)[1]
    assert "1.0.0 -> 2.0.0: a major step, as asked" in prompts("bump", NAME, "--level", "major")[1]


def test_a_version_below_what_is_published_is_brought_up_to_it(desk, prompts, release):
    release()
    desk.edit("prompt.md", "version: 1.0.0", "version: 0.9.0")

    assert "0.9.0 -> 1.0.0: this is what is published under that version" in prompts("bump", NAME)[1]


# -- publish ----------------------------------------------------------------------------------------------------------


def test_publishing_makes_active_and_writes_the_lock(desk, release):
    out = release()

    assert out.splitlines() == [
        "ticket-triage 1.0.0 is published and active",
        f"Wrote {desk.folder / LOCK_FILE}: commit it with the prompt.",
        "There is no evidence for this version yet: `headworks select ticket-triage` finds it.",
        "Running gateways take it over when they reload: kill -HUP the process of `headworks serve`.",
    ]
    assert active(desk) == "1.0.0"
    entry = locked(desk)
    assert (entry.prompt_version, entry.model, entry.prompt_hash[:7]) == ("1.0.0", "nano", "sha256:")
    assert entry.served_model == "gpt-6-luna"
    assert entry.schema_hash.startswith("sha256:")


def test_evidence_and_the_model_in_use_stay_in_the_lock(desk, release):
    known = Locked(prompt_version="0.1.0", model="mini", served_model="gpt-6.1-terra-2026", evidence={"score": 0.93})
    other = Locked(prompt_version="3.0.0")
    (desk.folder / LOCK_FILE).write_text(lock_text(Lock(workloads={NAME: known, "other": other})))

    release()

    entry = locked(desk)
    assert (entry.prompt_version, entry.model, entry.served_model) == ("1.0.0", "mini", "gpt-6.1-terra-2026")
    assert entry.evidence == {"score": 0.93}
    assert read_lock(desk.folder / LOCK_FILE).workloads["other"] == other


def test_a_version_that_is_too_low_is_refused_and_nothing_changes(desk, prompts, release):
    release()
    lock = (desk.folder / LOCK_FILE).read_bytes()
    desk.edit("prompt.md", "twelve words", "ten words")
    desk.edit("prompt.md", "version: 1.0.0", "version: 1.0.1")

    code, out, err = prompts("publish", NAME)

    assert (code, out, active(desk), (desk.folder / LOCK_FILE).read_bytes()) == (1, "", "1.0.0", lock)
    assert "version 1.0.1 must be at least 1.1.0, a minor step from 1.0.0: golden case 1" in err
    assert "`headworks prompts bump ticket-triage` raises it" in err


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("prompt.md", "twelve", "ten"),
        ("schema.json", '"billing", ', ""),
        ("workload.yaml", "max_tokens: 600", "max_tokens: 90"),
    ],
)
def test_a_published_version_never_changes(desk, prompts, release, file, old, new):
    release()
    desk.edit(file, old, new)

    code, _, err = prompts("publish", NAME)

    assert code == 1
    assert "version 1.0.0 must be at least 1.1.0" in err


def test_publishing_twice_is_harmless(desk, prompts, release):
    release()
    lock = (desk.folder / LOCK_FILE).read_bytes()

    code, out, _ = prompts("publish", NAME)
    assert (code, out.splitlines()[0]) == (0, "ticket-triage 1.0.0 is published and active already")
    assert (desk.folder / LOCK_FILE).read_bytes() == lock


def test_a_broken_lock_stops_it_before_anything_is_done(desk, prompts):
    (desk.folder / LOCK_FILE).write_text("<<<<<<< ours\n")

    code, _, err = prompts("publish", NAME)

    assert code == 1
    assert "a merge was left unfinished here" in err
    assert prompts("log", NAME)[1] == ""


def test_a_lock_that_cannot_be_written_is_told_with_what_is_done_already(desk, prompts):
    (desk.folder / LOCK_FILE).symlink_to(desk.folder / "nowhere" / LOCK_FILE)

    code, _, err = prompts("publish", NAME)

    assert (code, active(desk)) == (1, "1.0.0")
    assert "ticket-triage 1.0.0 is active, but the lock does not say so: " in err
    assert f"{LOCK_FILE} cannot be written: No such file or directory" in err


def test_programs_are_told_the_same(desk, prompts):
    first = json.loads(prompts("publish", NAME, "--json")[1])
    desk.edit("prompt.md", "twelve", "ten")
    prompts("bump", NAME)
    second = json.loads(prompts("publish", NAME, "--json")[1])
    back = json.loads(prompts("rollback", NAME, "--json")[1])

    assert (first["version"], first["is_new"], first["was_active"], first["locked"]) == ("1.0.0", True, None, True)
    assert (second["was_active"], second["reasons"]) == (
        "1.0.0",
        ["golden case 1 is rendered otherwise (50 of 50 are)"],
    )
    assert (back["version"], back["was_active"], back["hash"]) == ("1.0.0", "1.1.0", first["hash"])


def test_publishing_an_earlier_version_of_the_folder_makes_that_active(desk, prompts, release):
    before = (desk.triage / "prompt.md").read_text()
    release()
    release("twelve words", "ten words")
    (desk.triage / "prompt.md").write_text(before)

    assert "1.0.0 was published already; it is active, in place of 1.1.0" in prompts("publish", NAME)[1]
    assert active(desk) == "1.0.0"


def test_a_broken_prompt_is_told_with_its_place(desk, prompts):
    desk.edit("prompt.md", "{{ plan }}", "{{ plann }}")

    code, _, err = prompts("publish", NAME)

    assert code == 1
    assert f"{desk.triage}/prompt.md:32:10: " in err


def test_a_workload_without_a_prompt_is_told_so(desk, prompts):
    (desk.triage / "prompt.md").unlink()

    assert "`ticket-triage` has no prompt.md" in prompts("publish", NAME)[2]


# -- rollback ---------------------------------------------------------------------------------------------------------


def test_going_back_makes_the_version_before_active_and_the_lock_says_so(desk, prompts, release):
    release()
    release("twelve words", "ten words")
    release("ten words", "nine words")

    code, out, _ = prompts("rollback", NAME)
    assert (code, out.splitlines()[0]) == (0, "ticket-triage 1.1.0 is active, in place of 1.2.0")
    assert locked(desk).prompt_version == "1.1.0"

    assert "1.0.0 is active, in place of 1.1.0" in prompts("rollback", NAME)[1]
    assert "has no version before it to go back to; published: 1.0.0, 1.1.0, 1.2.0" in prompts("rollback", NAME)[2]
    assert "1.2.0 is active, in place of 1.0.0" in prompts("rollback", NAME, "1.2.0")[1]
    assert (active(desk), locked(desk).prompt_version) == ("1.2.0", "1.2.0")


def test_going_back_works_while_the_workloads_files_do_not(desk, prompts, release):
    release()
    release("twelve words", "ten words")
    (desk.triage / "workload.yaml").write_text("nonsense: true\n")
    (desk.triage / "prompt.md").write_text("nonsense")
    (desk.folder / LOCK_FILE).write_text("<<<<<<< ours\n")

    code, out, err = prompts("rollback", NAME)

    assert (code, active(desk)) == (0, "1.0.0")
    assert "a merge was left unfinished here" in err
    assert "Wrote" not in out


def test_what_was_never_published_cannot_be_gone_back_to(prompts, release):
    assert "no prompt of `ticket-triage` is published" in prompts("rollback", NAME)[2]
    release()

    assert "ticket-triage 3 is not published; published: 1.0.0" in prompts("rollback", NAME, "3")[2]
    assert "active already" in prompts("rollback", NAME, "1.0.0")[1]
