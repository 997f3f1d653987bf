"""`headworks serve` before it serves; the process itself is in tests/e2e."""

import os
import signal
from contextlib import closing

import pytest

from headworks.access import KEYS_FILE, KeyStore
from headworks.cli import main
from headworks.config import load
from headworks.server import supervisor
from headworks.settings import read_settings


@pytest.fixture
def handler():
    """Puts back whatever is done on SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("flag", "value", "bounds"), [("--workers", "257", "1 to 256"), ("--port", "-1", "0 to 65535")]
)
def test_flags_have_the_bounds_of_the_fields_that_they_stand_for(handler, capsys, flag, value, bounds):
    assert main(["serve", f"{flag}={value}"]) == 2
    assert f"{flag} takes a number from {bounds}" in capsys.readouterr().err


def test_whoever_stops_it_while_it_is_loading_has_stopped_it_well(handler, monkeypatch):
    monkeypatch.setattr(supervisor, "serve", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM) or signal.pause())

    with pytest.raises(SystemExit) as ended:
        main(["serve"])

    assert ended.value.code == 0


def test_models_that_are_shut_down_are_told_of_at_the_start(handler, capsys, monkeypatch, tmp_path):
    file = tmp_path / "headworks.yaml"
    file.write_text(
        "access: {mode: open}\nproviders: {o: {kind: openai, api_key: env:KEY}}\nmodels: {fast: o/gpt-4.1-nano}\n"
    )
    settings = read_settings(load(file), {"KEY": "k"})
    monkeypatch.setattr(supervisor, "serve", lambda *_, prepare, **__: prepare(settings) or 0)

    assert main(["serve", "--config", str(file)]) == 0
    assert "headworks: o/gpt-4.1-nano was shut down on 2026-10-23" in capsys.readouterr().err


@pytest.mark.parametrize(("host", "is_said"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_keys_in_the_environment_of_a_gateway_that_others_reach_are_told_of(
    handler, capsys, monkeypatch, tmp_path, host, is_said
):
    file = tmp_path / "headworks.yaml"
    file.write_text(
        f"server: {{host: {host}}}\naccess: {{secret: 'env:OURS'}}\nproviders:\n"
        "  o: {kind: openai, api_key: env:KEY, older_api_keys: [env:OLD, env:KEY]}\n"
    )
    settings = read_settings(load(file), {"KEY": "planted-1", "OLD": "planted-2", "OURS": "planted-3" * 8})
    monkeypatch.setattr(supervisor, "serve", lambda *_, prepare, **__: prepare(settings) or 0)

    assert main(["serve", "--config", str(file)]) == 0
    said = capsys.readouterr().err
    assert ("headworks: env:OURS, env:KEY, env:OLD: a key in the environment" in said) == is_said
    assert "planted" not in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_no_flag_opens_a_gateway_without_keys_to_other_machines(handler, capsys, tmp_path, host):
    (tmp_path / "headworks.yaml").write_text("access: {mode: open}\nproviders: {sim: {kind: simulator}}\n")

    assert main(["serve", "--config", str(tmp_path), "--host", host]) == 1
    assert "1:16: access.mode: `open` is for this machine alone" in capsys.readouterr().err


def test_a_restart_leaves_the_trial_keys_of_earlier_starts_good(handler, monkeypatch, tmp_path):
    file = tmp_path / "headworks.yaml"
    file.write_text("providers: {sim: {kind: simulator}}\n")
    settings = read_settings(load(file), {})
    monkeypatch.setattr(supervisor, "serve", lambda *_, prepare, **__: prepare(settings) or 0)

    assert main(["serve", "--config", str(file)]) == 0
    assert main(["serve", "--config", str(file)]) == 0

    with closing(KeyStore(settings.project.storage / KEYS_FILE)) as store:
        assert [record.revoked_at for record in store.list()] == [None, None]
