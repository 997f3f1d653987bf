"""The support matrix says what the codecs do. (That the page is not stale is tested with the other generated pages.)"""

import sys
from pathlib import Path

import pytest

from headworks.calls import Endpoint

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from support import CALLED, FEATURES, columns, word

COLUMNS = {one.kind: one for one in columns()}
ROWS = {one.title: one for one in FEATURES}


@pytest.mark.parametrize(
    ("called", "feature", "kind", "expected"),
    [
        (Endpoint.RESPONSES, "functions", "openai", "native"),
        (Endpoint.RESPONSES, "functions", "anthropic", "native"),
        (Endpoint.RESPONSES, "strict functions", "gemini", "emulated"),
        (Endpoint.RESPONSES, "custom tools (free text)", "gemini", "refused"),
        (Endpoint.RESPONSES, "metadata", "anthropic", "kept"),
        (Endpoint.RESPONSES, "streaming", "gemini", "native"),
        (Endpoint.MESSAGES, "reasoning by a budget of tokens", "openai", "emulated"),
        (Endpoint.MESSAGES, "reasoning by a budget of tokens", "anthropic", "native"),
        (Endpoint.MESSAGES, "stop sequences", "openai", "native"),
        (Endpoint.GENERATE_CONTENT, "seed", "openai", "native"),
        (Endpoint.CHAT, "log probabilities", "anthropic", "droppable"),
        (Endpoint.RESPONSES, "background", "anthropic", "refused"),
        (Endpoint.CHAT, "several answers", "gemini", "refused"),
        (Endpoint.GENERATE_CONTENT, "metadata", "openai", ""),
        (Endpoint.COMPLETIONS, "seed", "gemini", "native"),
        (Endpoint.COMPLETIONS, "several answers", "anthropic", "refused"),
    ],
)
def test_a_feature_becomes_what_the_codecs_make_of_it(called, feature, kind, expected):
    assert word(called, ROWS[feature], COLUMNS[kind]) == expected


def test_a_provider_that_serves_the_called_api_has_every_feature():
    for called in CALLED:
        for column in columns():
            if called in column.speaks and column.kind != "openai-compatible":
                assert {word(called, row, column) for row in FEATURES} <= {"native", ""}


def test_every_feature_can_be_asked_for_in_some_api():
    assert all(row.asks for row in FEATURES)
    assert len(ROWS) == len(FEATURES)
