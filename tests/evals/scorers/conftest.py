import asyncio

import msgspec
import pytest

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers import Answer, ToolCall


def case(expected=msgspec.UNSET, **fields):
    raw = expected if expected is msgspec.UNSET else msgspec.Raw(msgspec.json.encode(expected))
    return GoldenCase("a", expected=raw, **fields)


@pytest.fixture
def judged():
    """What a scorer says of an answer to a case that expects this."""

    def do(scorer, text, expected=msgspec.UNSET, *, calls=()):
        answer = Answer(text, tuple(ToolCall(*one) for one in calls))

        async def run():
            try:
                return await scorer.score(case(expected, variables={"q": "?"}), answer)
            finally:
                await scorer.close()

        return asyncio.run(run())

    return do
