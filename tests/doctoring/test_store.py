"""The store and its journals: there, of a known version, and drained."""

import asyncio
import sqlite3

import pytest
from played_servers import NOW_S, by_about, situation

from headworks.calls import Opened, OutcomeReport, Settled, SettledWithPrefix
from headworks.doctoring import store
from headworks.doctoring.store import Backlog, backlog_of, judge_backlog
from headworks.records import JOURNAL_FOLDER, STORE_FILE, Journal, drain_once, open_store
from headworks.records.stores.sqlite_schema import MIGRATIONS
from postgres_process import PASSWORD


@pytest.fixture
def project(project_of):
    return project_of("providers: {sim: {kind: simulator}}\n")


def look(project, now_s=NOW_S):
    (check,) = store.checks(situation(project=project, now=lambda: now_s))
    return by_about(asyncio.run(check.look()))


def set_version(project, version):
    connection = sqlite3.connect(project.storage / STORE_FILE)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def append(project, *entries):
    loop = asyncio.new_event_loop()
    journal = Journal(
        project.storage / JOURNAL_FOLDER,
        worker="w",
        segment_bytes=1 << 20,
        limit_bytes=1 << 30,
        loop=loop,
        now=lambda: NOW_S,
    )
    for entry in entries:
        journal.append(entry)
    journal.close()
    loop.close()


def opened(at_s):
    return Opened("call_1", int(at_s * 1e6), "responses", "fast")


def test_before_the_first_start_there_is_nothing_to_look_at_and_nothing_is_made(project):
    assert look(project)["version"].verdict == "skipped"
    assert not project.storage.exists()
    assert store.checks(situation()) == []


def test_a_store_of_this_release_is_well(project):
    open_store(project.storage).close()
    assert {finding.verdict for finding in look(project).values()} == {"ok"}


@pytest.mark.parametrize(("version", "verdict"), [(len(MIGRATIONS) - 1, "warning"), (99, "problem")])
def test_another_version_is_said_and_left_as_it_is(project, version, verdict):
    open_store(project.storage).close()
    set_version(project, version)

    finding = look(project)["version"]

    assert (finding.verdict, finding.figures["version"]) == (verdict, version)
    connection = sqlite3.connect(project.storage / STORE_FILE)
    assert connection.execute("PRAGMA user_version").fetchone() == (version,)
    connection.close()


def test_what_is_no_database_is_a_problem(project):
    project.storage.mkdir()
    (project.storage / STORE_FILE).write_text("no database, but text that is long enough to be taken for one")
    assert look(project)["version"].verdict == "problem"


@pytest.mark.parametrize(
    "entry",
    [
        opened(NOW_S - 300),
        Settled(opened(NOW_S - 400), "answered", 200, 100_000_000),
        SettledWithPrefix(Settled(opened(NOW_S - 400), "answered", 200, 100_000_000), b"hashes"),
        OutcomeReport("o", int((NOW_S - 300) * 1e6), "n", "label", '"x"', call_id="call_1"),
    ],
)
def test_a_record_that_nobody_drains_is_a_problem_with_its_age_until_it_is_drained(project, entry):
    open_store(project.storage).close()
    append(project, entry)

    finding = look(project)["drained"]
    assert (finding.verdict, finding.figures["oldest_s"]) == ("problem", 300)
    assert 20 < backlog_of(project.storage, now_s=NOW_S).waiting_bytes < 1000  # of a segment that is filled with zeros
    assert "headworks calls" in finding.way_out

    drain_once(project.storage)
    assert look(project)["drained"].verdict == "ok"


def test_a_record_of_this_moment_may_wait(project):
    open_store(project.storage).close()
    append(project, opened(NOW_S - 1))
    assert look(project)["drained"].verdict == "ok"


def test_journals_that_are_near_their_bound_are_said_to_be():
    assert "80% of their bound" in judge_backlog(Backlog(60.0, 3, 800, 500), 1000).says


def test_damaged_journals_are_shown(project):
    open_store(project.storage).close()
    (project.storage / JOURNAL_FOLDER).mkdir()
    (project.storage / JOURNAL_FOLDER / "w-1-000001.journal.damaged").write_bytes(b"x")
    assert look(project)["damaged"].verdict == "warning"


# -- in PostgreSQL ------------------------------------------------------------------------------------------------


@pytest.fixture
def shared(project_of, own_postgresql, tmp_path):
    """A project whose records are in a database."""
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o600)
    records = f"records: {{store: '{own_postgresql.url()}', store_password: 'file:{password}'}}\n"
    return project_of("providers: {sim: {kind: simulator}}\n" + records)


def test_a_database_that_nobody_has_used_is_told_apart_from_one_of_this_release(shared, own_postgresql):
    assert look(shared)["version"].verdict == "warning"
    open_store(shared.storage, own_postgresql.store_url()).close()

    found = look(shared)

    assert {finding.verdict for finding in found.values()} == {"ok"}
    assert found["version"].says.startswith(f"PostgreSQL 127.0.0.1:{own_postgresql.port}/postgres is of version")


def test_a_database_that_is_away_or_refuses_us_is_a_problem_that_does_not_say_the_password(shared, own_postgresql):
    append(shared, opened(NOW_S))
    with own_postgresql.connect() as administrator:
        administrator.execute("ALTER ROLE headworks PASSWORD 'another'")
    refused = look(shared)["version"]
    own_postgresql.stop()
    away = look(shared)["version"]
    backlog = backlog_of(shared.storage, own_postgresql.store_url(), now_s=NOW_S)
    spooling = judge_backlog(backlog, 1 << 30)

    assert (refused.verdict, away.verdict, spooling.verdict) == ("problem", "problem", "problem")
    assert "password authentication failed" in refused.says
    assert "refused" in away.says
    assert "records wait in the journals, for the store cannot be used" in spooling.says
    assert backlog.waiting_bytes > 0
    assert PASSWORD not in refused.says + away.says + spooling.says


def test_a_password_that_cannot_be_read_is_a_problem(project_of):
    records = "records: {store: 'postgresql://u@127.0.0.1/db', store_password: env:NOT_THERE}\n"

    found = look(project_of("providers: {sim: {kind: simulator}}\n" + records))["version"]

    assert found.verdict == "problem"
    assert "NOT_THERE" in found.says
