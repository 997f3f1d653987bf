import sqlite3
import subprocess
import sys
import threading

import pytest

from headworks.database import open_database, storage_errors, transaction
from headworks.errors import StorageError

FIRST = "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)"
SECOND = "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 7"


def test_a_new_file_gets_every_migration_and_an_old_one_the_missing(tmp_path):
    open_database(tmp_path / "old.db", [FIRST], busy_s=1).close()

    for name in ("old.db", "new.db"):
        connection = open_database(tmp_path / name, [FIRST, SECOND], busy_s=1)
        assert connection.execute("SELECT x, y FROM a").fetchall() == [(1, 7)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()


def test_a_migration_that_fails_changes_nothing(tmp_path):
    open_database(tmp_path / "one.db", [FIRST], busy_s=1).close()

    with pytest.raises(StorageError, match="nonsense"):
        open_database(tmp_path / "one.db", [FIRST, "CREATE TABLE b (x INTEGER); nonsense"], busy_s=1)

    connection = open_database(tmp_path / "one.db", [FIRST, SECOND], busy_s=1)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    connection.close()


def test_any_number_may_be_the_first_to_open_it(tmp_path):
    together = threading.Barrier(8)
    errors = []

    def open_it():
        together.wait()
        try:
            open_database(tmp_path / "one.db", [FIRST, SECOND], busy_s=5).close()
        except StorageError as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    connection = open_database(tmp_path / "one.db", [FIRST, SECOND], busy_s=1)
    assert errors == []
    assert connection.execute("SELECT count(*) FROM a").fetchone() == (1,)
    connection.close()


def test_who_leaves_the_file_takes_nothing_from_a_process_that_has_it_open_twice(tmp_path):
    path = tmp_path / "one.db"
    first = open_database(path, [FIRST], busy_s=1)
    second = open_database(path, [FIRST], busy_s=1)

    def seen_elsewhere():
        script = (
            "import sys; from pathlib import Path; from headworks.database import open_database\n"
            "c = open_database(Path(sys.argv[1]), [sys.argv[2]], busy_s=1)\n"
            "print(c.execute('SELECT count(*) FROM a').fetchone()[0]); c.close()"
        )
        return int(subprocess.run([sys.executable, "-c", script, path, FIRST], check=True, stdout=-1).stdout)

    assert seen_elsewhere() == 1
    assert (tmp_path / "one.db-wal").exists()
    first.execute("INSERT INTO a VALUES (2)")

    assert seen_elsewhere() == 2
    second.close()
    assert seen_elsewhere() == 2
    first.execute("INSERT INTO a VALUES (3)")
    assert seen_elsewhere() == 3
    first.close()


def test_a_new_file_is_for_its_owner_alone_and_may_lie_elsewhere(tmp_path):
    (tmp_path / "link.db").symlink_to(tmp_path / "far.db")

    open_database(tmp_path / "link.db", [FIRST], busy_s=1).close()

    assert (tmp_path / "far.db").stat().st_mode & 0o777 == 0o600


def test_a_transaction_that_fails_is_rolled_back(tmp_path):
    connection = open_database(tmp_path / "one.db", [FIRST], busy_s=1)

    def insert_and_fail():
        with transaction(connection):
            connection.execute("INSERT INTO a VALUES (2)")
            raise KeyError

    with pytest.raises(KeyError):
        insert_and_fail()

    assert connection.execute("SELECT x FROM a").fetchall() == [(1,)]
    connection.close()


def test_what_goes_wrong_names_the_file(tmp_path):
    with pytest.raises(StorageError, match=r"none/one\.db: No such file"):
        open_database(tmp_path / "none" / "one.db", [FIRST], busy_s=1)
    with pytest.raises(StorageError, match=r"one\.db: strange"), storage_errors(tmp_path / "one.db"):
        raise sqlite3.OperationalError("strange")
