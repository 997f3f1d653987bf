"""Two calls have one key where they are the same, and never else."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headworks.response_cache import VOLATILE, Asked, key_of, tenant_of

SECRET = b"s" * 32
texts = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.floats(-1e9, 1e9) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
fields = st.dictionaries(texts.filter(lambda name: name not in VOLATILE), values, max_size=4)


def asked(given_fields, *, spelt=json.dumps, **changed):
    raw = {name: msgspec.Raw(spelt(value).encode()) for name, value in given_fields.items()}
    made = Asked(
        "triage", ("key", "k"), "responses", False, (("p", "m"),), "s", "1.0.0", "h", b"a: b\r\n", raw, {"ticket": "x"}
    )
    return msgspec.structs.replace(made, **changed)


def reordered(value):
    if isinstance(value, dict):
        return {name: reordered(inner) for name, inner in reversed(value.items())}
    return [reordered(inner) for inner in value] if isinstance(value, list) else value


@given(fields)
def test_spelling_and_order_make_no_difference(one):
    respelt = asked(reordered(one), spelt=lambda value: json.dumps(value, indent=2, ensure_ascii=False))
    assert key_of(asked(one), SECRET) == key_of(respelt, SECRET)


@given(fields, fields)
def test_other_fields_have_another_key(one, other):
    def spelt(given_fields):
        return json.dumps(given_fields, sort_keys=True)

    is_same = spelt(one) == spelt(other)
    assert (key_of(asked(one), SECRET) == key_of(asked(other), SECRET)) is is_same


@given(fields, texts)
def test_what_names_a_call_is_in_no_key(one, name):
    named = one | dict.fromkeys(VOLATILE, name)
    assert key_of(asked(one), SECRET) == key_of(asked(named), SECRET)


def test_whatever_else_could_change_the_answer_changes_the_key():
    plain = asked({"input": "hi"})
    changes = {
        "workload": "other",
        "tenant": ("key", "k2"),
        "endpoint": "chat.completions",
        "is_streamed": True,
        "models": (("p", "m2"),),
        "settings": "s2",
        "version": "1.0.1",
        "schema_hash": "h2",
        "headers": b"a: c\r\n",
        "fields": {"input": msgspec.Raw(b'"ho"')},
        "values": {"ticket": "y"},
        "metadata": {"run": "1"},
        "behind": "v2",
        "compared": "ticket",
    }
    assert changes.keys() == set(Asked.__struct_fields__)
    keys = [key_of(msgspec.structs.replace(plain, **{name: value}), SECRET) for name, value in changes.items()]
    keys += [key_of(plain, SECRET), key_of(plain, b"t" * 32)]
    assert len(set(keys)) == len(keys)


def test_what_cannot_be_read_has_no_key():
    assert key_of(asked({}, fields={"input": msgspec.Raw(b'"\\ud800"')}), SECRET) is None
    assert key_of(asked({}, fields={"input": msgspec.Raw(b"[" * 5000)}), SECRET) is None


names = st.sampled_from(["", "a", "b", "key", "team"])


@given(st.sampled_from(["key", "team", "user"]), st.tuples(names, names, names), st.tuples(names, names, names))
def test_a_tenant_is_shared_only_as_the_scope_says(scope, one, other):
    is_same = tenant_of(scope, *one) == tenant_of(scope, *other)
    match scope:
        case "key":
            assert is_same is (one[0] == other[0])
        case "user":
            assert is_same is ((one[0], one[2]) == (other[0], other[2]))
        case "team":
            shares = one[1] == other[1] and (one[1] != "" or one[0] == other[0])
            assert is_same is shares
