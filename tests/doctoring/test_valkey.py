"""The Valkey of several machines: there, not there, and refusing."""

import asyncio

import pytest

from headworks.config import load
from headworks.doctoring.findings import Verdict
from headworks.doctoring.valkey import look
from valkey_process import ValkeyProcess, free_port


@pytest.fixture
def found(tmp_path):
    def do(url):
        (tmp_path / "url").write_text(url)
        (tmp_path / "url").chmod(0o600)
        (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\nquotas: {valkey: 'file:url'}\n")
        (finding,) = asyncio.run(look(load(tmp_path), {}))
        return finding

    return do


def test_one_that_answers_is_well_and_its_time_is_shown(found, tmp_path):
    (tmp_path / "valkey").mkdir()
    server = ValkeyProcess(tmp_path / "valkey")
    try:
        finding = found(server.url)
    finally:
        server.kill()

    assert finding.verdict is Verdict.OK, finding
    assert 0 < finding.figures["seconds"] < 3


def test_one_that_is_not_there_is_a_problem_and_its_password_is_not_shown(found):
    finding = found(f"valkey://user:s3cret@127.0.0.1:{free_port()}")

    assert finding.verdict is Verdict.PROBLEM
    assert "s3cret" not in finding.says + finding.way_out
    assert "quotas.away" in finding.way_out
