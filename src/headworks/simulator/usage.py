"""What an answer cost in tokens, in the form of either API."""

import msgspec

_LONG_TTL_S = 43_200.0


class Tally(msgspec.Struct, frozen=True):
    """The tokens of one answer. `input_tokens` includes `cached_tokens` and `write_tokens`, `output_tokens`
    includes `reasoning_tokens`. `write_ttl_s` is how long what was written is kept."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    write_tokens: int = 0
    reasoning_tokens: int = 0
    write_ttl_s: float = 0.0

    def for_responses(self) -> dict[str, object]:
        """`usage` of a response."""
        details: dict[str, object] = {"cached_tokens": self.cached_tokens, "cache_write_tokens": self.write_tokens}
        if self.write_tokens:
            # Optional in the API; the Agents SDK for JavaScript (0.20) ends a stream with an error where it is there.
            is_long = self.write_ttl_s >= _LONG_TTL_S
            details["cache_write_tokens_details"] = {
                "ttl_30m_tokens": 0 if is_long else self.write_tokens,
                "ttl_12h_tokens": self.write_tokens if is_long else 0,
            }
        return {
            "input_tokens": self.input_tokens,
            "input_tokens_details": details,
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": self.input_tokens + self.output_tokens,
        }

    def for_chat(self) -> dict[str, object]:
        """`usage` of a chat completion."""
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
            "prompt_tokens_details": {
                "cached_tokens": self.cached_tokens,
                "cache_write_tokens": self.write_tokens,
                "audio_tokens": 0,
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
