"""Stop sequences go where each dialect has them, and nothing else changes."""

import json

import pytest

from headworks.calls import Endpoint
from headworks.dialects.stopping import STOPPABLE, with_stop


@pytest.mark.parametrize(
    ("spoken", "body", "expected"),
    [
        (Endpoint.CHAT, {"a": 1, "stop": ["x"]}, {"a": 1, "stop": ["END"]}),
        (Endpoint.MESSAGES, {"a": 1}, {"a": 1, "stop_sequences": ["END"]}),
        (Endpoint.GENERATE_CONTENT, {"a": 1}, {"a": 1, "generationConfig": {"stopSequences": ["END"]}}),
        (
            Endpoint.CONVERSE,
            {"inferenceConfig": {"maxTokens": 3}},
            {"inferenceConfig": {"maxTokens": 3, "stopSequences": ["END"]}},
        ),
    ],
)
def test_they_are_put_in_their_place(spoken, body, expected):
    assert json.loads(with_stop(json.dumps(body).encode(), spoken, ("END",))) == expected


def test_every_dialect_that_has_them_is_known():
    assert Endpoint.RESPONSES not in STOPPABLE
    assert all(with_stop(b"{}", spoken, ("x",)) for spoken in STOPPABLE)
