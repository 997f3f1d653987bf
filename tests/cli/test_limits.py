"""`headworks limits`: recorded calls against the limits of models, keys and teams."""

import json
import time

import pytest

from headworks.access import KEYS_FILE, KeyStore
from headworks.calls import Limits, Opened, Settled
from headworks.cli import main
from headworks.records import open_store
from headworks.records.stores import Batch

CONFIG = """
access: {teams: {search: {limits: {tokens_per_day: 5000}}}}
providers:
  sim: {kind: simulator, model_limits: {m: {requests_per_minute: 2}, rare: {requests_per_minute: 9}}}
  free: {kind: simulator}
"""
HOUR_S = 3600


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "headworks.yaml").write_text(CONFIG)

    def run(*words):
        code = main(["limits", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def record(tmp_path):
    numbers = iter(range(100_000))

    def record(calls, *, hours_ago=1, provider="sim", model="m", outcome="answered", key="key_1", team=""):
        at_us = int((time.time() // HOUR_S - hours_ago) * HOUR_S * 1e6)
        fields = {"provider": provider, "model": model, "key_id": key, "team": team}
        opened = [Opened(f"call_{next(numbers)}", at_us, "responses", model, **fields) for _ in range(calls)]
        settled = [Settled(one, outcome, 200, 5, input_tokens=6, output_tokens=4) for one in opened]
        store = open_store(tmp_path / ".headworks")
        store.commit(Batch(settled=settled))
        store.close()

    return record


def parsed(out):
    return {(row["of"], row["kind"]): row for row in map(json.loads, out.splitlines())}


def test_a_store_that_is_away_is_named_with_who_says_how_to_mend_it(run, tmp_path):
    with (tmp_path / "headworks.yaml").open("a") as file:
        file.write("records: {store: 'postgresql://nobody@127.0.0.1:1/none'}\n")
    (tmp_path / ".headworks").mkdir()
    code, out, err = run()

    assert (code, out) == (1, "")
    assert "headworks doctor" in err
    assert "127.0.0.1:1/none" in err


def test_before_anything_is_recorded_it_says_so(run):
    code, out, err = run()

    assert (code, out) == (0, "")
    assert "nothing is recorded yet" in err


def test_use_stands_against_the_limit_with_its_resolution(run, record):
    record(60)
    record(30, outcome="refused")  # they have asked nobody
    code, out, err = run()

    assert code == 0
    (line,) = [line.split() for line in out.splitlines() if line.startswith("target/sim/m")]
    assert line[1:4] == ["rpm", "2", "1"]
    assert "mean of the busiest hour" in err
    row = parsed(run("--json")[1])["target/sim/m", "rpm"]
    assert (row["peak"], row["headroom"], row["peak_is"]) == (1.0, 1.0, "mean of an hour")
    assert (row["forecast"], row["says"]) == (None, "too little seen: four days are needed")


def test_growth_is_forecast_and_a_timer_is_warned(run, record):
    for day in range(8):
        record(60 + 4 * day, hours_ago=24 * (7 - day) + 1)
    code, out, _ = run("--json", "--within", "30")
    row = parsed(out)["target/sim/m", "rpm"]

    assert code == 1
    assert 0 < row["forecast"]["hit_in_days"] < 30
    assert row["forecast"]["ask_for"] > 2
    assert "ask for" in row["says"]
    assert run("--within", "1")[0] == 0


def test_days_further_back_are_not_looked_at(run, record):
    record(60, hours_ago=24 * 5)
    record(6)

    assert parsed(run("--json", "--days", "2")[1])["target/sim/m", "rpm"]["peak"] == pytest.approx(0.1)


def test_busy_models_without_a_limit_are_named(run, record):
    record(90, provider="free", model="big")
    record(6, provider="free", model="small")
    _, out, _ = run()

    assert "target/free/big" in out
    assert "no limit configured" in out
    assert "target/free/small" not in out


def test_models_under_a_limit_that_nobody_called_are_shown_when_asked_for(run, record):
    record(6)

    assert "target/sim/rare" not in run()[1]
    assert "target/sim/rare" in run("--all")[1]


def test_keys_and_teams_stand_against_theirs(run, record, tmp_path):
    store = KeyStore.below(tmp_path / ".headworks", KEYS_FILE)
    made, _ = store.create(
        secret=b"s" * 32, name="ci", owner="ann", team="search", now=1.0, limits=Limits(requests_per_minute=3)
    )
    store.close()
    record(60, key=made.key_id, team="search")
    record(120, key="key_other", team="search")
    found = parsed(run("--json")[1])

    assert found[f"key/{made.key_id}", "rpm"]["peak"] == 1.0
    assert found["team/search", "tpd"]["peak"] == 1800
    assert found["team/search", "tpd"]["headroom"] == 3200


def test_a_pool_that_is_configured_no_more_is_not_shown(run, record):
    record(600, provider="sim:gone")

    assert "gone" not in run()[1]


@pytest.mark.parametrize("days", ["0", "x", "401"])
def test_days_are_a_number(run, days, capsys):
    with pytest.raises(SystemExit):
        run("--days", days)
    assert "takes a number of days from 1 to 400" in capsys.readouterr().err
