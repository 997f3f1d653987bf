"""What tokens stand for is kept sealed, for its time, for one tenant and conversation, and by all workers alike."""

import sqlite3
from contextlib import closing

import pytest

from headworks.errors import StorageError
from headworks.screening.privacy import KINDS, TokenVault, Written

SECRET = b"s" * 64
EMAIL = KINDS["email"]
MAIL = "john.doe@example.com"


class Clock:
    def __init__(self):
        self.time = 1000.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, clock):
    vaults = []

    def make(secret=SECRET):
        vaults.append(TokenVault(tmp_path / "privacy.db", secret, now=clock))
        return vaults[-1]

    yield make
    for vault in vaults:
        vault.close()


def kept(vault, tenant="t", conversation="c", value=MAIL, life_s=100.0):
    book = vault.book(tenant, conversation)
    token = book.token_for(EMAIL, value)
    assert vault.save(tenant, conversation, book, life_s=life_s)
    return token


def test_another_worker_and_the_next_start_know_the_value(make):
    first, second = make(), make()
    token = kept(first)

    assert second.book("t", "c").value_of(token) == MAIL
    assert make().book("t", "c").value_of(token) == MAIL


def test_a_worker_that_has_the_book_sees_what_another_adds(make):
    first, second = make(), make()
    kept(first)
    second.book("t", "c")

    token = kept(first, value="z@y.co")

    assert second.book("t", "c").value_of(token) == "z@y.co"


@pytest.mark.parametrize(("tenant", "conversation"), [("t", "d"), ("u", "c")])
def test_no_other_conversation_and_no_other_tenant_knows_it(make, tenant, conversation):
    vault = make()
    token = kept(vault)

    assert vault.book(tenant, conversation).value_of(token) is None
    assert (kept(vault, tenant, conversation) == token) is (tenant == "t")  # other tenants have other tokens


def test_what_is_in_the_file_shows_neither_value_nor_tenant_nor_conversation(make, tmp_path):
    vault = make()
    kept(vault, "tenant-name", "conversation-name")
    vault.close()
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    for word in (b"john", b"example.com", b"tenant-name", b"conversation-name"):
        assert word not in raw


def test_a_row_cannot_be_passed_off_as_another_conversations(make, tmp_path):
    vault = make()
    kept(vault, conversation="c")
    kept(vault, conversation="d", value="z@y.co")
    with sqlite3.connect(tmp_path / "privacy.db") as connection:
        books = [row[0] for row in connection.execute("SELECT book FROM books")]
        connection.execute("UPDATE entries SET book = ?, token = token || 'x'", (books[0],))

    with pytest.raises(StorageError, match=r"cannot be opened"):
        [make().book("t", name) for name in ("c", "d")]


def test_another_secret_opens_nothing(make):
    kept(make())
    other = make(b"o" * 64)

    assert other.book("t", "c").value_of("PII_EMAIL_a2bcdef") is None
    assert kept(other) != kept(make())


def test_a_value_is_gone_when_its_time_is_over(make, clock):
    vault = make()
    token = kept(vault, life_s=100)
    clock.time += 99
    assert vault.book("t", "c").value_of(token) == MAIL
    clock.time += 2

    assert vault.book("t", "c").value_of(token) is None
    assert make().book("t", "c").value_of(token) is None
    assert vault.sweep() == 1
    assert vault.sweep() == 0


def test_use_gives_a_conversation_its_time_anew(make, clock):
    vault = make()
    token = kept(vault, life_s=100)
    clock.time += 60
    vault.save("t", "c", vault.book("t", "c"), life_s=100)
    clock.time += 60

    assert make().book("t", "c").value_of(token) == MAIL


def test_what_expired_before_the_sweep_does_not_come_to_life_again(make, clock):
    vault = make()
    token = kept(vault, life_s=100)
    clock.time += 200
    kept(vault, value="x@y.co")

    assert make().book("t", "c").value_of(token) is None


def test_a_conversation_can_be_forgotten(make):
    vault = make()
    token = kept(vault)

    assert vault.forget([("t", "c")]) == 1
    assert vault.book("t", "c").value_of(token) is None
    assert make().book("t", "c").value_of(token) is None


def test_what_another_process_has_forgotten_is_known_to_no_worker_that_had_it(make, tmp_path):
    worker = make()
    token = kept(worker)
    other = kept(worker, conversation="d")
    assert worker.book("t", "c").value_of(token) == MAIL
    with closing(sqlite3.connect(tmp_path / "privacy.db")) as connection:
        (sealed, _) = connection.execute("SELECT sealed FROM entries ORDER BY number").fetchall()

    assert make().forget([("t", "c"), ("t", "nobody's"), ("u", "d")]) == 1

    assert worker.book("t", "c").value_of(token) is None
    assert worker.book("t", "d").value_of(other) == MAIL
    assert not [path for path in tmp_path.iterdir() if sealed[0] in path.read_bytes()]


def test_where_somebody_reads_what_is_forgotten_it_is_told_that_a_copy_may_be_left(make, tmp_path, monkeypatch):
    monkeypatch.setattr("headworks.screening.privacy.vault._BUSY_S", 0.05)
    vault = make()
    kept(vault)
    with closing(sqlite3.connect(tmp_path / "privacy.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entries").fetchone()
        with pytest.raises(StorageError, match="write-ahead log could not be cleared"):
            vault.forget([("t", "c")])

    assert vault.forget([("t", "c")]) == 0


def test_books_that_are_dropped_are_read_anew(make):
    vault = make()
    token = kept(vault)
    before = vault.book("t", "c")
    vault.drop_books()

    assert vault.book("t", "c") is not before
    assert vault.book("t", "c").value_of(token) == MAIL


def test_a_token_that_two_workers_gave_at_once_is_kept_for_one_only(make, monkeypatch):
    monkeypatch.setattr(
        "headworks.screening.privacy.books.suffix_of", lambda key, kind, value, attempt: f"a{2 + attempt}bcdef"
    )
    first, second = make(), make()
    one, two = first.book("t", "c"), second.book("t", "c")
    one.token_for(EMAIL, "a@b.co")
    two.token_for(EMAIL, "c@d.eu")

    assert first.save("t", "c", one, life_s=100)
    assert not second.save("t", "c", two, life_s=100)

    again = second.book("t", "c")
    assert again.token_for(EMAIL, "c@d.eu") == "PII_EMAIL_a3bcdef"
    assert second.save("t", "c", again, life_s=100)


def test_a_call_without_a_conversation_leaves_nothing_behind(make, tmp_path):
    vault = make()
    books = [vault.passing_book("t") for _ in range(2)]
    tokens = {book.token_for(EMAIL, MAIL) for book in books}

    assert len(tokens) == 1
    assert not (tmp_path / "privacy.db").exists()


def test_a_response_leads_to_the_conversation_that_it_belongs_to(make):
    first = make()
    book = first.book("t", "resp_1")
    token = book.token_for(EMAIL, MAIL)
    first.save("t", "resp_1", book, life_s=100, link="resp_1")

    second = make()
    further = second.book("t", "resp_1")
    other = further.token_for(EMAIL, "z@y.co")
    second.save("t", "resp_1", further, life_s=100, link="resp_2")
    second.save("t", "resp_2", second.book("t", "resp_2"), life_s=100, link="resp_3")

    last = make().book("t", "resp_3")
    assert (last.value_of(token), last.value_of(other)) == (MAIL, "z@y.co")
    assert make().book("u", "resp_3").value_of(token) is None
    assert make().forget([("t", "resp_3"), ("t", "resp_1")]) == 2
    assert make().book("t", "resp_1").value_of(token) is None


def test_the_file_is_its_owners_only(make, tmp_path):
    kept(make())

    assert (tmp_path / "privacy.db").stat().st_mode & 0o077 == 0


def test_what_was_known_of_a_book_and_is_gone_by_then_is_read_again(make, clock):
    """Between reading and learning another call may have had the book dropped from memory."""
    vault = make()
    token = kept(vault)
    assert vault.book("t", "c").value_of(token) == MAIL
    lookup = vault.look_up("t", "c")
    found = vault.read(lookup)
    assert (found.after > 0, found.rows) == (True, ())
    clock.time += 50
    assert vault.take(Written(found.book, is_kept=False)) is False  # as where two workers gave one token

    assert vault.learn(found) is None
    assert vault.learn(vault.read(lookup)).value_of(token) == MAIL


def test_what_two_calls_have_read_at_the_same_time_is_learnt_once(make):
    vault = make()
    token = kept(vault)
    other = make()
    lookup = other.look_up("t", "c")
    first, second = other.read(lookup), other.read(lookup)
    book = other.learn(first)

    assert other.learn(second) is book
    assert book.value_of(token) == MAIL
