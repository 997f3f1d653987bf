"""Ctrl-C in a command that waits for somebody: it ends with 130, at once or when it is pressed again, and tidily."""

import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

DESK = Path(__file__).parents[2] / "examples" / "support-desk"
SIMULATED = """\
    kind: simulator
    plan: simulator.yaml # right answers to some of the golden cases
    seed: 1
    pace: 0 # no delays
"""
SILENT = """\
    kind: openai-compatible
    base_url: {url}/v1
    regions: [eu]
    agreements: [no-training]
"""


@pytest.fixture
def silent():
    """A server that takes connections and says nothing; `called` is set when somebody has come."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(60)
    called, kept = threading.Event(), []

    def accept():
        while True:
            try:
                kept.append(listener.accept()[0])
            except OSError:
                return
            called.set()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", called
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in kept:
        connection.close()


@pytest.fixture
def folder(tmp_path, silent):
    """The support desk, with a provider that says nothing, and more time for that than a test has."""
    url, _ = silent
    made = tmp_path / "desk"
    shutil.copytree(DESK, made, ignore=shutil.ignore_patterns(".headworks"))
    config = (made / "headworks.yaml").read_text()
    assert SIMULATED in config
    (made / "headworks.yaml").write_text(config.replace(SIMULATED, SILENT.format(url=url)))
    contract = made / "workloads" / "ticket-triage" / "workload.yaml"
    written = contract.read_text()
    assert "total_s: 8 " in written
    contract.write_text(written.replace("total_s: 8 ", "total_s: 600 "))
    return made


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["doctor", "--url", "URL"], ""),
        pytest.param(["doctor"], "", marks=pytest.mark.long),
        pytest.param(["conformance", "simulator"], "", marks=pytest.mark.long),
        pytest.param(["models", "update", "--url", "URL/prices", "--key", "A" * 43 + "="], "", marks=pytest.mark.long),
        pytest.param(
            ["eval", "compare", "ticket-triage", "--arm", "nano", "--arm", "mini"],
            "go on with: headworks eval",
            marks=pytest.mark.long,
        ),
        (["select", "ticket-triage", "--underpowered"], "what was answered is kept. Go on with: headworks select"),
        pytest.param(["migrate", "ticket-triage"], "the same command goes on", marks=pytest.mark.long),
        pytest.param(["eval", "--changed"], "what was answered is kept", marks=pytest.mark.long),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_ctrl_c_ends_a_command_with_130_and_no_traceback(folder, silent, words, says):
    url, called = silent
    command = [sys.executable, "-m", "headworks", *(word.replace("URL", url) for word in words)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert called.wait(60), process.communicate(timeout=1)
    process.send_signal(signal.SIGINT)
    if words[0] in ("eval", "migrate", "select"):  # which first let finish what is under way
        assert "finishing what is under way; Ctrl-C again ends at once" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "never retrieved" not in err
    assert "destroyed" not in err
    assert says in err
