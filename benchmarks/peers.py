"""Other gateways, as `make bench-peers` installs and starts them: one worker, no database, a key where they check one.

Each runs in a match of its own, beside nginx and Headworks, at the rates that it can keep: a gateway that falls
behind would be measured by its queue.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from benchmarks import wire
from benchmarks.gateways import ANY_KEY
from benchmarks.python_builds import environment, gateway_python, run_install
from benchmarks.rounds import NORMAL, Plan
from benchmarks.targets import HOST, CannotMeasure, Start, free_port

LITELLM_VERSION = "1.109.1"
PORTKEY_VERSION = "1.15.2"
_HERE = Path(__file__).resolve().parent

_SHORT = msgspec.structs.replace(
    NORMAL,
    seconds=3,
    call_rounds=3,
    capacity_rounds=1,
    other_rounds=0,
    latency_rounds=3,
    latency_calls=200,
    stream_rounds=2,
    starts=2,
    memory_calls=0,
)
PLANS: dict[str, Plan] = {
    "litellm": msgspec.structs.replace(_SHORT, name="beside-litellm", streams=40),
    "portkey": msgspec.structs.replace(_SHORT, name="beside-portkey", streams=300),
}
"""By peer. Streams send 20 chunks a second each, so these are 800 and 6,000 chunks a second."""


def litellm(upstream_port: int, folder: Path) -> Start:
    """The LiteLLM proxy with a master key, started as its documentation says. Installs it if it is not."""
    home = folder / "litellm"
    home.mkdir()
    config = home / "config.yaml"
    config.write_text(
        _LITELLM.format(
            host=HOST, upstream=upstream_port, model=wire.MODEL, upstream_model=wire.UPSTREAM_MODEL, key=_LITELLM_KEY
        )
    )
    port = free_port()
    program = _litellm_python().parent / "litellm"
    return Start(
        name="litellm",
        command=[str(program), "--config", str(config), "--host", HOST, "--port", str(port), "--num_workers", "1"],
        port=port,
        headers=wire.sdk_headers(_LITELLM_KEY),
        folder=home,
        # Without these two it asks the net for prices and reports its use at start.
        environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"},
        patience_s=120,
        version=LITELLM_VERSION,
    )


def portkey(upstream_port: int, folder: Path) -> Start:
    """The Portkey gateway, sent to the stub by the headers that its documentation names. Installs it if it is not."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        raise CannotMeasure("Portkey runs on Node.js, which is not installed: apt-get install nodejs npm")
    package = _npm_package("@portkey-ai/gateway", PORTKEY_VERSION, _HERE / ".venv-portkey")
    home = folder / "portkey"
    home.mkdir()
    port = free_port()
    own = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://{HOST}:{upstream_port}/v1"}
    command = [node, "--import", str(_HERE / "portkey_streams.mjs"), str(package / "build" / "start-server.js")]
    return Start(
        name="portkey",
        command=[*command, f"--port={port}", "--headless"],
        port=port,
        headers=wire.sdk_headers(ANY_KEY) | own,
        folder=home,
        environment={"NODE_ENV": "production"},
        patience_s=60,
        version=PORTKEY_VERSION,
    )


def _litellm_python() -> Path:
    """The interpreter of LiteLLM's own environment, made with the same base as the gateway's."""
    told = subprocess.run(
        [gateway_python(), "-c", "import sys; print(sys._base_executable)"], capture_output=True, text=True, check=True
    )
    # uv, because pip cannot relax a requirement: this release asks for a certificate bundle and for database
    # migrations (unused here) newer than some package mirrors hold.
    relaxed = _HERE / "litellm_overrides.txt"
    folder = _HERE / ".venv-litellm"
    python = environment(Path(told.stdout.strip()), folder, ["uv"])
    if not (folder / "bin" / "litellm").exists():
        print(f"benchmarks: installing LiteLLM {LITELLM_VERSION} ...", file=sys.stderr)
        run_install(
            [
                *(str(folder / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(python)),
                *("--override", str(relaxed), f"litellm[proxy]=={LITELLM_VERSION}"),
            ]
        )
    return python


def _npm_package(name: str, version: str, folder: Path) -> Path:
    """The folder of an installed npm package."""
    package = folder / "node_modules" / name
    manifest = package / "package.json"
    if not manifest.exists() or json.loads(manifest.read_text())["version"] != version:
        print(f"benchmarks: installing {name} {version} ...", file=sys.stderr)
        folder.mkdir(exist_ok=True)
        run_install(
            ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder), f"{name}@{version}"]
        )
    return package


_LITELLM_KEY = "sk-benchmark-master-key"
_LITELLM = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{upstream_model}
      api_base: http://{host}:{upstream}/v1
      api_key: upstream-key-of-the-benchmark
general_settings:
  master_key: {key}
"""
