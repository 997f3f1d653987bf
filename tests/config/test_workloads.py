from collections.abc import Callable
from pathlib import Path

import pytest

from headworks.config import Examination, Workload, examine_workloads, load, load_workloads
from headworks.errors import ConfigError, Problem

PROJECT = """\
providers: {sim: {kind: simulator}, other: {kind: simulator, models: [bare]}}
models: {fast: sim/gpt-6-luna}
tiers: {nano: fast, mini: sim/gpt-6.1-terra, flagship: sim/gpt-6.1-sol}
"""
MINIMAL = "owner: support\ndescription: Sort tickets.\n"


@pytest.fixture
def write(tmp_path) -> Callable[..., Path]:
    """Writes a workload's contract, and further files beside it."""

    def do(text=MINIMAL, name="triage", files=(), project=PROJECT) -> Path:
        (tmp_path / "headworks.yaml").write_text(project)
        folder = tmp_path / "workloads" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "workload.yaml").write_text(text)
        for file in files:
            (folder / file).write_text("")
        return folder

    return do


@pytest.fixture
def loaded(tmp_path) -> Callable[[], tuple[Workload, ...]]:
    return lambda: load_workloads(load(tmp_path))


@pytest.fixture
def problems(tmp_path, loaded) -> Callable[[], list[str]]:
    """What is wrong, as `workload/file:line:column: message`."""

    def find() -> list[str]:
        with pytest.raises(ConfigError) as raised:
            loaded()
        return [str(problem).removeprefix(f"{tmp_path}/workloads/") for problem in raised.value.problems]

    return find


def test_a_project_without_the_folder_has_no_workloads(tmp_path, loaded):
    (tmp_path / "headworks.yaml").write_text(PROJECT)

    assert loaded() == ()


def test_a_minimal_contract_has_a_default_for_everything_else(write, loaded):
    folder = write()

    (workload,) = loaded()

    assert (workload.name, workload.folder) == ("triage", folder)
    assert workload.contract.ladder == ("nano", "mini", "flagship")
    assert workload.contract.latency.total_s == 60.0
    assert set(workload.files.__struct_fields__) == {
        "prompt",
        "schema",
        "rules",
        "tools",
        "golden",
        "fallback",
        "fallback_code",
        "first_code",
    }
    assert all(getattr(workload.files, name) is None for name in workload.files.__struct_fields__)


def test_files_of_the_usual_names_are_found_and_named_ones_go_before_them(write, loaded):
    folder = write(
        MINIMAL + "schema: other.json\n",
        files=["prompt.md", "schema.json", "other.json", "rules.py", "tools.json", "golden.jsonl", "fallback.json"],
    )

    files = loaded()[0].files

    assert files.schema == folder / "other.json"
    assert (files.prompt, files.rules, files.tools) == (
        folder / "prompt.md",
        folder / "rules.py",
        folder / "tools.json",
    )
    assert (files.golden, files.fallback) == (folder / "golden.jsonl", folder / "fallback.json")


def test_workloads_come_by_name_and_other_folders_are_left_alone(write, loaded, tmp_path):
    write(name="b-two")
    write(name="a-one")
    (tmp_path / "workloads" / "Shared Things").mkdir()
    (tmp_path / "workloads" / "README.md").touch()

    assert [workload.name for workload in loaded()] == ["a-one", "b-two"]


def test_the_folder_can_have_another_name(write, tmp_path, loaded):
    write(project=PROJECT + "workloads: jobs\n")
    (tmp_path / "workloads").rename(tmp_path / "jobs")

    assert [workload.file for workload in loaded()] == [tmp_path / "jobs" / "triage" / "workload.yaml"]


def test_a_file_in_the_place_of_the_folder_is_a_problem_of_the_project(tmp_path):
    (tmp_path / "headworks.yaml").write_text(PROJECT + "workloads: headworks.yaml\n")

    with pytest.raises(ConfigError, match=r"headworks.yaml:4:12: workloads: .* cannot be read: Not a directory"):
        load_workloads(load(tmp_path))


def test_every_problem_of_every_contract_is_found_at_once(write, problems):
    write("owner: a\ndescription: b\nurgncy: deferred\nvolume: {calls_per_day: x}\n", name="one")
    write("description: b\n", name="two")

    assert problems() == [
        "one/workload.yaml:3:1: `urgncy` is not a field; did you mean `urgency`?",
        "one/workload.yaml:4:25: volume.calls_per_day: expected a whole number, got text",
        "two/workload.yaml:1:1: owner: is missing",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("ladder: [nano, fst]", ("3:16: ladder[1]: names no model: expected a tier's role, a public name or "
         "`provider/model`; did you mean `fast`?")),
        ("ladder: [other/wrong]", ("3:10: ladder[0]: names no model: expected a tier's role, a public name or "
         "`provider/model`; choices: `fast`, `flagship`, `mini`, `nano`")),
        ("model: fast", "3:8: model: is not among `ladder`; choices: `flagship`, `mini`, `nano`"),
        ("fallback: [gone/x]", ("3:12: fallback[0]: names no model: expected a tier's role, a public name or "
         "`provider/model`; choices: `fast`, `flagship`, `mini`, `nano`")),
        ("fallback: [deterministic]", ("3:12: fallback[0]: `deterministic` needs a file `fallback.json`, `fallback.md` "
             "or `fallback.py` with the answer, beside this one")),
            ("fallback: [deterministic, mini]", "3:12: fallback[0]: `deterministic` must stand last: it never fails"),
        ("ladder: [nano, deterministic]", ("3:16: ladder[1]: names no model: expected a tier's role, a public name or "
         "`provider/model`; choices: `fast`, `flagship`, `mini`, `nano`")),
        ("prompt: gone.md", "3:9: prompt: there is no such file beside this one"),
        ("canary: {version: 1.1.0}", "3:1: canary: needs a prompt: a file `prompt.md`, or one named by `prompt`"),
        ("actions: {refund: {}}", "3:1: actions: needs tools: a file `tools.json`, or one named by `tools`"),
        ("cache: {store: valkey}", ("3:16: cache.store: needs a server: name it under `quotas.valkey` in "
         "headworks.yaml, or use `sqlite`")),
        ("cache: {semantic: {}}", ("3:9: cache.semantic: needs a golden set to be measured on: a file `golden.jsonl`")),
        ("cache: {}\nscreening: {injection: {}}", ("3:1: cache: cannot be with `screening.injection`: its marks are "
         "other ones in each call; leave one of them out")),
        ("output: {stop: [a, b, c, d, e]}", "3:16: output.stop: expected at most 4 sequences"),
        ("latency: {total_s: 2, first_token_s: 3}", "3:38: latency.first_token_s: must not be above `total_s`"),
        ("output: {max_tokens: 0}", "3:22: output.max_tokens: expected at least 1"),
    ],
)  # fmt: skip
def test_what_does_not_hold_together_is_named_where_it_stands(write, problems, line, problem):
    write(MINIMAL + line + "\n")

    assert problems() == [f"triage/workload.yaml:{problem}"]


def test_what_acts_is_not_answered_from_a_cache(tmp_path, write, problems):
    write(MINIMAL + "actions: {refund: {}}\ncache: {}\n")
    (tmp_path / "workloads" / "triage" / "tools.json").write_text("[]")

    assert problems() == [
        (
            "triage/workload.yaml:4:1: cache: cannot be with `actions`: what has side effects must not be answered "
            "twice; leave it out"
        )
    ]


def test_a_stream_that_is_held_to_a_schema_cannot_be_gone_on_with(tmp_path, write, problems):
    write(MINIMAL + "streaming: {on_break: continue}\n")
    (tmp_path / "workloads" / "triage" / "schema.json").write_text("{}")

    assert problems() == [
        (
            "triage/workload.yaml:3:23: streaming.on_break: `continue` is for text: an answer that is held to a schema "
            "can only be written whole; use `end`"
        )
    ]


def test_a_role_that_nobody_plays_is_a_problem_of_the_workload_that_uses_it(write, problems):
    partly = "providers: {sim: {kind: simulator}}\ntiers: {nano: sim/a}\n"
    write(name="default", project=partly)
    write(MINIMAL + "ladder: [nano, mini]\n", name="named", project=partly)

    assert problems() == [
        (
            "default/workload.yaml:1:1: ladder: left out, it includes `mini`, `flagship`, bound to no model: "
            "bind roles under `tiers` in headworks.yaml, or name the rungs here"
        ),
        "named/workload.yaml:3:16: ladder[1]: no model has the role `mini`: bind roles under `tiers` in headworks.yaml",
    ]


def test_a_public_model_called_as_a_role_plays_it(write, loaded):
    write(MINIMAL + "ladder: [nano]\n", project="providers: {sim: {kind: simulator}}\nmodels: {nano: sim/a}\n")

    assert loaded()[0].contract.ladder == ("nano",)


@pytest.mark.parametrize("name", ["fallback.md", "fallback.py"])
def test_a_chain_may_end_in_a_template_or_a_function(write, loaded, name):
    folder = write(MINIMAL + "fallback: [deterministic]\n", files=[name])
    files = loaded()[0].files

    assert (files.fallback or files.fallback_code) == folder / name


def test_one_template_is_enough(write, problems):
    write(MINIMAL + "fallback: [deterministic]\n", files=["fallback.json", "fallback.md"])

    (problem,) = problems()
    assert "there are `fallback.json` and `fallback.md`: keep one of them" in problem


def test_a_chain_may_end_in_the_static_answer(write, loaded):
    write(MINIMAL + "fallback: [mini, deterministic]\n", files=["fallback.json"])

    assert loaded()[0].contract.fallback == ("mini", "deterministic")


@pytest.mark.parametrize("name", ["fast", "bare", "nano", "deterministic"])
def test_a_workload_cannot_have_a_name_that_means_a_model(write, problems, name):
    write(name=name)

    assert problems() == [
        (
            f"{name}/workload.yaml:1:1: the name `{name}` means a model already: callers could not tell them apart; "
            "rename the folder"
        )
    ]


@pytest.mark.parametrize("name", ["Triage", "1st", "a_b", "a" * 64])
def test_a_folder_whose_name_is_no_workloads_is_refused(write, problems, name):
    write(name=name)

    assert "its folder's name is no workload's" in problems()[0]


@pytest.mark.parametrize("text", ["owner: [", "owner: \x07", "\ufeffa: b\n---\nb: c"])
def test_a_contract_that_is_not_yaml_does_not_hide_the_others(write, problems, text):
    write(text, name="broken")
    write("ownr: x\n", name="other")

    assert len({problem.partition("/")[0] for problem in problems()}) == 2


def test_a_contract_that_is_not_utf8_says_from_where(write, problems):
    folder = write()
    (folder / "workload.yaml").write_bytes(b"owner: a\ndescription: \xff\n")

    assert problems() == ["triage/workload.yaml:2:14: is not UTF-8 from here on"]


def test_checks_of_other_rooms_see_each_workload_and_can_point_into_its_contract(write, loaded):
    write(MINIMAL + "latency:\n  total_s: 3\n", name="one")
    write(name="two")

    def points(workload):
        return [workload.problem(("latency", "total_s"), "is short")] if workload.name == "one" else []

    def raises(workload):
        raise ConfigError(Problem(workload.name, 0, 0, "is bad"))

    found = examine_workloads(loaded(), [points, raises])

    assert [(problem.line, problem.column, problem.message) for problem in found.problems] == [
        (4, 12, "latency.total_s: is short"),
        (0, 0, "is bad"),
        (0, 0, "is bad"),
    ]


def test_a_check_may_warn(write, loaded):
    write(MINIMAL)
    warning = Problem("prompt.md", 1, 1, "could be better")

    found = examine_workloads(loaded(), [lambda _: Examination(warnings=(warning,)), lambda _: ()])

    assert found == Examination(warnings=(warning,))


REAL = """\
providers:
  sim: {kind: simulator}
  home: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", regions: [eu], agreements: [no-training]}
  away: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", regions: [eu, us]}
  silent: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1"}
tiers: {nano: home/a, mini: away/b, flagship: silent/c}
"""


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ("ladder: [mini]", "data.residency: does not allow us, where `providers.away` processes data"),
        (
            "ladder: [nano]\nfallback: [mini]",
            "data.residency: does not allow us, where `providers.away` processes data",
        ),
        (
            "ladder: [nano, flagship]\nmodel: nano",
            "`providers.silent` of headworks.yaml does not say where it processes",
        ),
        ("ladder: [silent/x]", "`providers.silent` of headworks.yaml does not say where it processes data"),
    ],
)
def test_no_rung_and_no_fallback_is_where_the_data_may_not_be(write, problems, chain, message):
    write(f"{MINIMAL}{chain}\ndata: {{residency: [eu]}}\n", project=REAL)

    (problem,) = problems()

    assert problem.startswith("triage/workload.yaml:")
    assert message in problem


def test_what_must_be_agreed_is_agreed_with_every_provider_of_the_chain(write, problems):
    write(f"{MINIMAL}ladder: [nano]\nfallback: [mini]\ndata: {{agreements: [no-training]}}\n", project=REAL)

    (problem,) = problems()

    assert "data.agreements: no-training: not among `agreements` of `providers.away` in headworks.yaml" in problem


def test_where_everything_is_as_the_contract_demands_it_is_served(write, loaded):
    write(f"{MINIMAL}ladder: [nano, sim/a]\ndata: {{residency: [eu, ch], agreements: [no-training]}}\n", project=REAL)

    assert loaded()[0].contract.data.residency == ("eu", "ch")


def test_every_target_that_a_name_of_the_chain_stands_for_is_bound(write, problems):
    project = REAL + "models: {both: {targets: [home/a, away/b]}}\n"
    write(f"{MINIMAL}ladder: [nano]\nfallback: [both]\ndata: {{residency: [eu]}}\n", project=project)

    (problem,) = problems()

    assert "data.residency: does not allow us, where `providers.away` processes data" in problem


def test_restricted_data_goes_to_no_provider_that_is_not_said_to_be_allowed_it(write, problems):
    project = REAL.replace("regions: [eu], agr", "sensitivity: restricted, regions: [eu], agr")
    write(f"{MINIMAL}ladder: [nano]\nfallback: [mini]\ndata: {{sensitivity: restricted}}\n", project=project)

    (problem,) = problems()

    assert "data.sensitivity: `providers.away` of headworks.yaml may see data up to `confidential`" in problem
