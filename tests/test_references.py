"""What a request's body refers to."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.dialects import RequestHead
from headworks.errors import Refusal
from headworks.references import may_refer, references_of


def found(body: object) -> set[tuple[str, str]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {(one.object_id, one.param) for one in references_of(data)}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"input": [{"content": [{"type": "input_file", "file_id": "file-1"}]}]}, {("file-1", "file_id")}),
        ({"messages": [{"content": [{"type": "file", "file": {"file_id": "file-1"}}]}]}, {("file-1", "file_id")}),
        (
            {"tools": [{"vector_store_ids": ["vs_1", "vs_2"]}]},
            {("vs_1", "vector_store_ids"), ("vs_2", "vector_store_ids")},
        ),
        ({"tools": [{"container": {"type": "auto", "file_ids": ["file-1"]}}]}, {("file-1", "file_ids")}),
        ({"conversation": "conv_1"}, {("conv_1", "conversation")}),
        ({"conversation": {"id": "conv_1"}}, {("conv_1", "conversation")}),
        ({"previous_response_id": "resp_1"}, {("resp_1", "previous_response_id")}),
        ({"model": "openai/ft:m:o::1"}, {("ft:m:o::1", "model")}),
        ({"model": "ft:m:o::1:ckpt-step-9"}, {("ft:m:o::1", "model")}),
        ({"training_file": "f1", "validation_file": "f2"}, {("f1", "training_file"), ("f2", "validation_file")}),
        ({"data_source": {"source": {"type": "file_id", "id": "file-1"}}}, {("file-1", "id")}),
        ({"files": [{"file_id": "file-1"}]}, {("file-1", "file_id")}),
        ({"tools": [{"parameters": {"properties": {"file_id": {"type": "string"}}}}]}, set()),
        ({"input": "file_id: file-1", "file_id": None, "file_ids": 5}, set()),
        ([[{"file_id": "file-1"}]], {("file-1", "file_id")}),
    ],
)
def test_ids_count_where_the_api_has_them(body, expected):
    assert found(body) == expected


def test_a_name_that_is_there_twice_counts_twice_for_others_may_take_the_other_one():
    assert found(b'{"file_id":"a","file_id":"b"}') == {("a", "file_id"), ("b", "file_id")}
    assert found(b'{"input":[{"file_id":"a"}],"input":"x"}') == {("a", "file_id")}


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"a":"\xff"}', b"[" * 100_000, json.dumps({"file_ids": [str(n) for n in range(501)]}).encode()],
)
def test_what_cannot_be_read_to_its_end_is_refused(body):
    with pytest.raises(Refusal):
        references_of(body)


NAMES = st.sampled_from(["file_id", "x", "file_ids", "vector_store_ids", "content"])
VALUES = st.recursive(
    st.sampled_from(["file-1", "é", None, 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_the_quick_look_never_says_no_where_there_is_something(value, is_escaped):
    body = json.dumps({"model": "m", "input": value}).encode()
    if is_escaped:
        body = body.replace(b"_id", rb"\u005fid")
    if references_of(body):
        assert may_refer(body, RequestHead({}, "m"))
