"""What stands behind a call's tokens, as a word for it."""

from hypothesis import given
from hypothesis import strategies as st

from headworks.screening.privacy.books import Entry, TokenBook

entries = st.dictionaries(st.sampled_from(["PII_EMAIL_a2", "PII_PHONE_b3", "PII_NAME_c4"]), st.text(max_size=8))


def book(values):
    return TokenBook(b"k" * 32, [Entry(token, "email", value) for token, value in values.items()])


@given(one=entries, other=entries)
def test_books_have_one_digest_only_where_the_same_values_stand_behind_the_same_tokens(one, other):
    assert (book(one).digest() == book(other).digest()) is (one == other)
    assert book(dict(reversed(one.items()))).digest() == book(one).digest()


def test_half_a_surrogate_pair_has_a_digest_too():
    assert book({"PII_EMAIL_a2": "\ud800"}).digest() != book({"PII_EMAIL_a2": "?"}).digest()
