"""Runs the tests of OpenAI's and of Anthropic's Python SDK that exercise the wire against Headworks over the simulator.

They come from the SDKs' own source archives, by the hashes that requirements/sdk.txt has of them; nothing of them is
kept here. Each test that does not pass must have one of the reasons below, else this fails. With --write, what came of
them is written into docs/explanation/sdk-tests.md.

    make test-sdk                        a minute
    make test-sdk ARGS=--write
"""

import argparse
import os
import re
import subprocess
import sys
import tarfile
import textwrap
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "sdk-tests.md"
OPENAI_TESTS = (
    "audio/test_speech.py", "audio/test_transcriptions.py", "audio/test_translations.py", "chat", "conversations",
    "fine_tuning", "responses", "uploads", "vector_stores", "test_batches.py", "test_completions.py",
    "test_conversations.py", "test_embeddings.py", "test_files.py", "test_images.py", "test_models.py",
    "test_moderations.py", "test_responses.py", "test_uploads.py", "test_vector_stores.py",
)  # fmt: skip

ANTHROPIC_TESTS = ("test_messages.py", "test_models.py", "beta/test_messages.py", "beta/test_models.py")

ALIASES = {
    **dict.fromkeys(("gpt-4o", "gpt-4.1", "gpt-4o-mini", "gpt-5", "gpt-6-astra", "model", "auto"), "gpt-6-luna"),
    **dict.fromkeys(("gpt-4o-transcribe", "whisper-1"), "gpt-4o-mini-transcribe"),
    **dict.fromkeys(("gpt-image-1.5", "gpt-image-2.5-flare", "dall-e-2"), "gpt-image-1"),
    "tts-1": "gpt-4o-mini-tts",
    "omni-moderation-2024-09-26": "omni-moderation-latest",
}
CLAUDES = ("claude-opus-5-5", "claude-opus-4-5", "claude-mythos-preview", "model_id")
"""The models that the tests name, and what of the simulator's stands for each."""

REASONS = {
    r"Unknown request URL|is not allowed here": "Headworks does not serve this path",
    r"Invalid URL \(|Invalid method for URL": "the simulator does not serve this path; Headworks passes it on",
    r"not found|No such |does not exist|found with id": "it names a thing that is not there, which is refused",
    r"Missing required parameter|Missing required argument": "it leaves out what the API asks for (`model`, `input`)",
    r"Invalid '|Invalid value|Invalid type|must be|expected|Mutually": "it sends a value that the API does not take",
    r"Extra inputs are not permitted": "the simulator does not take a new field; Headworks passes it on",
    r"test_embeddings.*APIResponseValidationError": "the SDK judges base64 before it decodes it",
}
"""By what stands in a failure: why that is right. The first that fits counts."""


class Sdk(NamedTuple):
    """One of them.

    Attributes:
        base: the path below a gateway's address that its base URL has.
        plugins: of pytest.
    """

    package: str
    title: str
    tests: tuple[str, ...]
    base: str = ""
    plugins: tuple[str, ...] = ()


SDKS = (
    Sdk("openai", "OpenAI", OPENAI_TESTS, "/v1", ("-p", "made_objects")),
    Sdk("anthropic", "Anthropic", ANTHROPIC_TESTS),
)

_INTRODUCTION = (
    "The source archives of the Python SDKs of OpenAI and Anthropic carry tests of every method, written for a server "
    "that answers whatever it is asked. `make test-sdk` runs those of the parts that Headworks serves against a "
    "gateway over the simulator. Ids that OpenAI's tests make up (`batch_id`) become those of things that were made "
    "for them. Answers are judged by the SDKs' types, in half of the tests strictly. The command writes this page; "
    "nothing of the archives is kept here. The tests of Google's SDK are written for Google's own servers, or play "
    "answers and files that its archive does not have: they are not run."
)


def main() -> int:
    """Run them; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-sdk", help="with sdk.txt")
    parser.add_argument("--work", type=Path, default=ROOT / ".venv-sdk" / "source", help="a folder")
    parser.add_argument("--write", action="store_true", help="write the page of the documentation")
    options = parser.parse_args()
    lines = ["# The SDKs' own tests", "", *textwrap.wrap(_INTRODUCTION, 116)]
    unexplained: list[str] = []
    for sdk in SDKS:
        rows, others, version = run(sdk, options.venv, options.work)
        lines += section(sdk, rows, version)
        unexplained += others or ([] if rows else [f"{sdk.package}: there are no tests"])
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        PAGE.write_text(text, "utf-8")
    for one in unexplained:
        print(f"unexplained: {one}", file=sys.stderr)
    return 1 if unexplained else 0


def run(sdk: Sdk, venv: Path, work: Path) -> tuple[dict[str, Counter[str]], list[str], str]:
    """Run the tests of one SDK: what came of them, as `judged` has it, and its version."""
    source = fetched(sdk.package, venv / "bin" / "python", work)
    results = work / f"{sdk.package}.xml"
    with Gateway(work / "gateway") as address:
        command = [
            str(venv.absolute() / "bin" / "python"), "-m", "pytest", "-q", "--tb=no", "--no-summary",
            "-o", "addopts=", "-p", "no:cacheprovider", *sdk.plugins, "-k", "not aiohttp",
            "--junitxml", str(results.absolute()), *(f"tests/api_resources/{name}" for name in sdk.tests),
        ]  # fmt: skip
        base = f"{address}{sdk.base}"
        environment = {**os.environ, "TEST_API_BASE_URL": base, "PYTHONPATH": str(Path(__file__).parent)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        subprocess.run(command, cwd=source, env=environment, check=False, stdout=subprocess.DEVNULL)
    rows, unexplained = judged(results)
    return rows, unexplained, source.name


def fetched(package: str, python: Path, work: Path) -> Path:
    """The unpacked source archive of an SDK, of the version and hash that the requirements pin."""
    pins = (ROOT / "requirements" / "sdk.txt").read_text()
    pinned = re.search(rf"^{package}==.*?(?=^\S|\Z)", pins, re.MULTILINE | re.DOTALL)
    assert pinned is not None, "requirements/sdk.txt pins it"
    work.mkdir(parents=True, exist_ok=True)
    wanted = work / f"{package}.txt"
    wanted.write_text(pinned[0])
    command = [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation", "--require-hashes"]
    subprocess.run([*command, "--no-binary", package, "--dest", str(work), "--requirement", str(wanted)], check=True)
    archive = max(work.glob(f"{package}-*.tar.gz"), key=lambda path: path.stat().st_mtime)
    with tarfile.open(archive) as packed:
        packed.extractall(work, filter="data")
    return work / archive.name.removesuffix(".tar.gz")


class Gateway:
    """A gateway over the simulator, while a block lasts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        models = "".join(f"  {name}: sim/{stands_for}\n" for name, stands_for in ALIASES.items())
        models += "".join(f"  {name}: claude/claude-sonnet-5\n" for name in CLAUDES)
        (self._folder / "headworks.yaml").write_text(
            "version: 1\nserver: {workers: 1}\naccess: {mode: open}\nproviders:\n  sim: {kind: simulator, pace: 0}\n"
            f"  claude: {{kind: simulator, pace: 0, speaks: [messages], models: [claude-sonnet-5]}}\nmodels:\n{models}"
        )
        command = [sys.executable, "-m", "headworks", "serve", "--port", "0"]
        self._process = subprocess.Popen(
            command, cwd=self._folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.startswith("headworks ready on "):
                address = line.removeprefix("headworks ready on ").strip()
                break
        else:
            raise SystemExit("the gateway did not start")
        self._log = subprocess.Popen(["/bin/cat"], stdin=self._process.stderr, stdout=subprocess.DEVNULL)
        return _when_ready(address)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.wait(5)


def _when_ready(address: str) -> str:
    due = time.monotonic() + 30
    while time.monotonic() < due:
        try:
            with urllib.request.urlopen(f"{address}/health/ready", timeout=5):
                return address
        except urllib.error.URLError:
            time.sleep(0.1)
    raise SystemExit("the gateway is not ready")


def judged(results: Path) -> tuple[dict[str, Counter[str]], list[str]]:
    """By part of the API, how many tests passed (`""`) and how many did not for which reason; and what has none."""
    rows: dict[str, Counter[str]] = {}
    unexplained = []
    for case in ET.parse(results).iter("testcase"):
        module = str(case.get("classname")).removeprefix("tests.api_resources.").rpartition(".")[0]
        part = module.split(".")[0].removeprefix("test_")
        row = rows.setdefault(part, Counter())
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        if failure is None:
            row[""] += 1
            continue
        said = f"{module} {failure.get('message', '')}"
        reason = next((text for pattern, text in REASONS.items() if re.search(pattern, said)), "")
        if not reason:
            unexplained.append(f"{module}.{case.get('name')}: {failure.get('message', '')[:200]}")
            reason = "unexplained"
        row[reason] += 1
    return rows, unexplained


def section(sdk: Sdk, rows: dict[str, Counter[str]], version: str) -> list[str]:
    """The part of the page that is about one SDK, as lines."""
    total, passed = sum(map(sum, (row.values() for row in rows.values()))), sum(row[""] for row in rows.values())
    reasons = Counter[str]()
    for row in rows.values():
        reasons.update({reason: count for reason, count in row.items() if reason})
    return [
        "",
        f"## {sdk.title}, `{version}`",
        "",
        f"**{passed} of {total} pass.** The others must each have one of these reasons, or the command fails:",
        "",
        "| tests | why they do not pass |",
        "|---:|---|",
        *(f"| {count} | {reason} |" for reason, count in reasons.most_common()),
        "",
        "| part of the API | tests | pass |",
        "|---|---:|---:|",
        *(f"| {part} | {sum(row.values())} | {row['']} |" for part, row in sorted(rows.items())),
    ]


if __name__ == "__main__":
    sys.exit(main())
