from collections.abc import Callable

import pytest

from headworks.config import Workload, load, load_workloads
from headworks.workloads import Facts, read_facts

PROJECT = """\
providers:
  sim: {kind: simulator}
  real: {kind: openai, api_key: env:KEY, regions: [eu], agreements: [zero-retention],
         sensitivity: restricted}
  local: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", speaks: [chat], agreements: [zero-retention]}
  vectors: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", speaks: [embeddings]}
tiers: {nano: sim/a, mini: real/b, flagship: real/c}
"""
MINIMAL = "owner: support\ndescription: Sort tickets.\n"


@pytest.fixture
def make(tmp_path) -> Callable[..., tuple[Workload, Facts]]:
    """A workload of a contract's further lines, with files beside it by name, and its facts."""

    def do(lines="", *, lock="", **files) -> tuple[Workload, Facts]:
        (tmp_path / "headworks.yaml").write_text(PROJECT)
        folder = tmp_path / "workloads" / "triage"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "workload.yaml").write_text(MINIMAL + lines)
        for name, text in files.items():
            (folder / name.replace("_", ".")).write_text(text)
        if lock:
            (tmp_path / "headworks.lock").write_text(lock)
        project = load(tmp_path)
        (workload,) = load_workloads(project)
        return workload, read_facts(project, workload)

    return do
