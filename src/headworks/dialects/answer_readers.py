"""What reads a whole answer: what it used, how it ended, and whose it is. One table for whoever has one at hand."""

from collections.abc import Callable

from headworks.calls import Failure
from headworks.dialects.answers import read_chat_answer, read_embeddings_answer, read_responses_answer
from headworks.dialects.anthropic_relay import read_messages_answer
from headworks.dialects.gemini_relay import read_gemini_answer
from headworks.dialects.media_answers import read_compaction, read_free_answer, read_images_answer, read_transcript
from headworks.dialects.summary import AnswerSummary

ANSWER_READERS: dict[str, Callable[[bytes], AnswerSummary | Failure]] = {
    "/chat/completions": read_chat_answer,
    "/completions": read_chat_answer,
    "/responses": read_responses_answer,
    "/messages": read_messages_answer,
    "/models:generateContent": read_gemini_answer,
    "/embeddings": read_embeddings_answer,
    "/images/generations": read_images_answer,
    "/images/edits": read_images_answer,
    "/audio/transcriptions": read_transcript,
    "/audio/translations": read_transcript,
    "/responses/compact": read_compaction,
    "/responses/input_tokens": read_free_answer,
    "/moderations": read_free_answer,
}
"""By the path that was asked at the upstream. Of answers on other paths nothing is read."""
