"""The official JavaScript SDK, unchanged."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from e2e_processes import Gateway

HERE = Path(__file__).parent / "js"
CONFIG = """
version: 1
providers:
  sim: {kind: simulator, pace: 0}
models:
  nano: sim/gpt-6-luna
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts with the SDK installed beside them, outside of the source tree."""
    folder = tmp_path_factory.mktemp("js")
    for name in ("package.json", "calls.mjs"):
        shutil.copy(HERE / name, folder)
    assert shutil.which("npm"), "this test needs Node.js with npm"
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=120, shell=False
    )
    return folder


def test_the_javascript_sdk_calls_streams_and_fails_as_it_should(scripts: Path, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, CONFIG)
    try:
        done = subprocess.run(
            ["node", "calls.mjs"],
            cwd=scripts,
            env={**os.environ, "BASE_URL": gateway.base_url, "API_KEY": gateway.key},
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        assert gateway.process.stop() == 0
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    for part in ("response", "completion", "chatStream", "chatAccumulated", "streamed"):
        assert "hello" in seen[part].lower(), part
    assert seen["kinds"] == ["response.created", "response.completed"]
    assert seen["error"] == {"name": "BadRequestError", "status": 400, "code": "invalid_type"}
