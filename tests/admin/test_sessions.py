import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.admin.sessions import Seals, Session, SigningIn, cookie_in
from headworks.admin.signing_in import PATIENCE_S

SEALS, OTHER = Seals(b"5" * 64), Seals(b"6" * 64)
texts = st.text(max_size=20)
sessions = st.builds(
    Session, texts, texts, texts, texts, st.dictionaries(texts, st.tuples(texts)), texts, st.just(100.0), st.just(1.0)
)


@given(sessions)
def test_what_is_sealed_opens_to_the_same_until_its_time_and_under_its_secret_only(session):
    cookie = SEALS.seal(session)

    assert SEALS.open(cookie, Session, 99.9) == session
    assert SEALS.open(cookie, Session, 100.0) is None
    assert SEALS.open(cookie, SigningIn, 0.0) is None
    assert OTHER.open(cookie, Session, 0.0) is None
    assert cookie != SEALS.seal(session)


@given(st.data())
def test_no_change_of_a_cookie_opens(data):
    cookie = Seals(b"5" * 64, random=bytes).seal(SigningIn("s", "n", "v", PATIENCE_S))
    place = data.draw(st.integers(0, len(cookie) - 1))
    other = data.draw(st.sampled_from("ABab01-_").filter(lambda one: one != cookie[place]))

    assert SEALS.open(cookie[:place] + other + cookie[place + 1 :], SigningIn, 0.0) is None
    assert SEALS.open(cookie[:place], SigningIn, 0.0) is None


@given(st.text(max_size=80))
def test_whatever_is_sent_as_a_cookie_is_no_session(text):
    assert SEALS.open(text, Session, 0.0) is None


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, ""),
        (b"", ""),
        (b"a=1", "1"),
        (b"b=2; a=1;c", "1"),
        (b"a=1=2", "1=2"),
        (b"xa=1; a b=2", ""),
        (b"a=1; a=1", ""),
        (b"A=1", ""),
    ],
)
def test_a_cookie_is_found_by_its_name_if_it_is_there_once(header, found):
    assert cookie_in(header, "a") == found
