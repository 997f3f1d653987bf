"""The templates for CI do what they are there for: their own commands are run on a Git repository."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from doc_samples import read_page

ROOT = Path(__file__).parents[2]
PROMPT = Path("workloads") / "ticket-triage" / "prompt.md"
WORSE, BETTER = "Answer at once.", "Read the ticket twice."


def sample(name):
    page = read_page((ROOT / "docs" / "how-to" / "evals.md").read_text("utf-8"))
    return next(one.text for one in page.samples if one.file == name)


class Repository:
    """A copy of the support desk under Git, with what a runner's shell has."""

    def __init__(self, folder):
        self.folder = folder / "desk"
        shutil.copytree(ROOT / "examples" / "support-desk", self.folder, ignore=shutil.ignore_patterns(".headworks"))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "OPENAI_"))},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            **{
                f"GIT_{who}_{what}": "team@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
            },
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "BASE": "main",
        }
        self.summary = folder / "summary.md"
        self.sh("git init --quiet --initial-branch main && git add --all && git commit --quiet --message Begin")

    def sh(self, script):
        return subprocess.run(
            ["bash", "-e", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def change(self, sentence):
        path = self.folder / PROMPT
        path.write_text(path.read_text().replace("{{ ticket | fence }}", f"{{{{ ticket | fence }}}}\n{sentence}"))

    def branch(self, sentence=""):
        self.sh("git switch --quiet --create change")
        if sentence:
            self.change(sentence)
        self.sh("git add --all && git commit --quiet --allow-empty --message Change")


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


@pytest.fixture
def workflow(repository):
    """Runs the steps of the workflow, but for those that fetch; its exit code and what it printed."""
    steps = yaml.safe_load(sample(".github/workflows/evals.yml"))["jobs"]["evals"]["steps"]
    scripts = {step["name"]: step["run"] for step in steps if "run" in step}
    assert scripts.pop("Install").startswith("pip install headworks")

    def do():
        printed = ""
        for script in scripts.values():
            done = repository.sh(script)
            printed += done.stdout + done.stderr
            if done.returncode:
                return done.returncode, printed
        return 0, printed

    return do


def test_the_workflow_stops_a_change_for_the_worse_and_names_what_it_breaks(repository, workflow):
    repository.branch(WORSE)
    code, printed = workflow()

    assert code == 1
    assert "worse: ticket-triage worse" in printed
    assert "\nticket-01 " in printed
    assert "\nticket-01 " in repository.summary.read_text()
    assert (repository.folder / "eval-report" / "ticket-triage" / "junit.xml").exists()


def test_the_workflow_lets_a_change_for_the_better_through(repository, workflow):
    repository.branch(BETTER)
    code, printed = workflow()

    assert code == 0
    assert "not worse: better" in printed


def test_the_workflow_runs_nothing_where_nothing_has_changed(repository, workflow):
    repository.branch()
    code, printed = workflow()

    assert code == 0
    assert "nothing was run" in printed
    assert not (repository.folder / ".headworks" / "evals").exists()


def test_the_workflow_warns_where_the_evidence_is_too_thin(repository, workflow):
    golden = repository.folder / "workloads" / "ticket-triage" / "golden.jsonl"
    golden.write_text("".join(golden.read_text().splitlines(keepends=True)[:10]))
    repository.sh("git add --all && git commit --quiet --message Small")
    repository.branch("Think.")
    code, printed = workflow()

    assert code == 0
    assert "::warning::The evidence is too thin" in printed


def hook(repository, name, *more):
    found = {one["id"]: one for one in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}[name]
    command = [*shlex.split(found["entry"]), *more]
    return subprocess.run(command, cwd=repository.folder, env=repository.environment, capture_output=True, text=True)


def test_the_hooks_of_the_page_are_there():
    (used,) = yaml.safe_load(sample(".pre-commit-config.yaml"))["repos"]
    there = {one["id"] for one in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert {one["id"] for one in used["hooks"]} == there


@pytest.mark.parametrize(("sentence", "code"), [(WORSE, 1), (BETTER, 0), ("", 0)])
def test_the_hook_stops_a_commit_that_makes_a_workload_worse(repository, sentence, code):
    if sentence:
        repository.change(sentence)
    repository.sh("git add --all")

    assert hook(repository, "headworks-check").returncode == 0
    assert hook(repository, "headworks-eval-changed").returncode == code


def test_the_hook_takes_another_base_for_a_push(repository):
    repository.branch(WORSE)

    assert hook(repository, "headworks-eval-changed").returncode == 0  # against HEAD nothing has changed
    assert hook(repository, "headworks-eval-changed", "--base", "main").returncode == 1


def test_the_hook_lets_evidence_that_is_too_thin_pass(repository):
    path = repository.folder / "workloads" / "assistant" / "prompt.md"
    path.write_text(path.read_text().replace("{% developer %}", "{% developer %}\nBe kind."))

    done = hook(repository, "headworks-eval-changed")
    assert done.returncode == 0
    assert "too thin" in done.stdout
