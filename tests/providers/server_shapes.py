"""How each server that speaks OpenAI's Chat answers, as its own pages show it (2026-11): the fixtures of its quirks.

`whole` is an answer, `stream` the lines of one that says the same. The words, ids and figures are ours.
"""

import json
from typing import Any

import msgspec

from headworks.calls import Usage

TEXT, THOUGHT = "It snows.", "Hm."


class Shape(msgspec.Struct, frozen=True):
    """One server. `usage` is what its figures mean, `thought` what its model shows of its reasoning."""

    whole: dict[str, Any]
    stream: bytes
    usage: Usage
    thought: str = ""
    finish_reason: str = "stop"


def _frame(kind: str, **more: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": "m-1"} | more


def _whole(message: dict[str, Any], usage: dict[str, Any], choice: dict[str, Any] | None = None, **more: Any) -> Any:
    said = {"index": 0, "message": {"role": "assistant", "content": TEXT} | message, "finish_reason": "stop"}
    return _frame("chat.completion", choices=[said | (choice or {})], usage=usage, **more)


def _lines(*events: dict[str, Any] | str) -> bytes:
    """Events as they are sent; a text is a comment."""
    lines = [one if isinstance(one, str) else f"data: {json.dumps(one)}" for one in events]
    return "".join(f"{line}\n\n" for line in (*lines, "data: [DONE]")).encode()


def _piece(delta: dict[str, Any], finish: str | None = None, choice: dict[str, Any] | None = None, **more: Any) -> Any:
    said = {"index": 0, "delta": delta, "finish_reason": finish} | (choice or {})
    return _frame("chat.completion.chunk", choices=[said], **more)


def _pieces(*before: dict[str, Any], **more: Any) -> list[Any]:
    deltas = [{"role": "assistant", "content": ""}, *before, {"content": "It"}, {"content": " snows."}]
    return [_piece(delta, **more) for delta in deltas]


def _figures(prompt: int = 9, completion: int = 3, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion} | more


PLAIN = Usage(9, 0, 0, 3, 0, "provider")
_TIMES = {"queue_time": 0.03, "prompt_time": 0.005, "completion_time": 0.3, "total_time": 0.305}
_TIMINGS = {"prompt_n": 9, "prompt_ms": 12.5, "predicted_n": 3, "predicted_ms": 30.1}
_DEEPSEEK = _figures(
    20, 8, prompt_cache_hit_tokens=4, prompt_cache_miss_tokens=16, completion_tokens_details={"reasoning_tokens": 5}
)
_XAI = {
    "prompt_tokens": 20,
    "completion_tokens": 3,
    "total_tokens": 28,
    "prompt_tokens_details": {"text_tokens": 20, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 0, "accepted_prediction_tokens": 0},
    "num_sources_used": 0,
}
_THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}
_OPENROUTER = _figures(cost=0.000014, is_byok=False, cost_details={"upstream_inference_cost": None})

SHAPES: dict[str, Shape] = {
    "vllm": Shape(
        _whole(
            {"reasoning_content": None, "tool_calls": [], "refusal": None, "annotations": None},
            _figures(prompt_tokens_details=None),
            {"logprobs": None, "stop_reason": None},
            prompt_logprobs=None,
            kv_transfer_params=None,
        ),
        _lines(
            *_pieces(),
            _piece({"content": ""}, "stop", {"stop_reason": None}),
            _frame("chat.completion.chunk", choices=[], usage=_figures()),
        ),
        PLAIN,
    ),
    "ollama": Shape(
        _whole({}, _figures(), system_fingerprint="fp_ollama"),
        _lines(
            *_pieces(system_fingerprint="fp_ollama"),
            _piece({"role": "assistant", "content": ""}, "stop"),
            _frame("chat.completion.chunk", choices=[], usage=_figures()),
        ),
        PLAIN,
    ),
    "llama-cpp": Shape(
        _whole({"reasoning_content": THOUGHT}, _figures(), timings=_TIMINGS),
        _lines(
            *_pieces({"reasoning_content": THOUGHT}),
            _piece({}, "stop"),
            _frame("chat.completion.chunk", choices=[], usage=_figures(), timings=_TIMINGS),
        ),
        PLAIN,
        THOUGHT,
    ),
    "lm-studio": Shape(
        _whole({"tool_calls": []}, _figures(), {"logprobs": None}, stats={}, system_fingerprint="m-1"),
        _lines(
            *_pieces(),
            _piece({}, "stop", {"logprobs": None}),
            _frame("chat.completion.chunk", choices=[], usage=_figures()),
        ),
        PLAIN,
    ),
    "groq": Shape(
        _whole({}, _figures(**_TIMES), {"logprobs": None}, x_groq={"id": "req_1"}, service_tier="on_demand"),
        _lines(
            *_pieces(x_groq={"id": "req_1"}),
            _piece({}, "stop", x_groq={"id": "req_1", "usage": _figures(**_TIMES)}, usage=_figures(**_TIMES)),
        ),
        PLAIN,
    ),
    "mistral": Shape(
        _whole(
            {"content": [_THINKING, {"type": "text", "text": TEXT}], "tool_calls": None, "prefix": False},
            _figures(prompt_audio_seconds={}),
            {"finish_reason": "model_length"},
        ),
        _lines(
            _piece({"role": "assistant", "content": ""}),
            _piece({"content": [_THINKING]}),
            _piece({"content": [{"type": "text", "text": "It"}]}),
            _piece({"content": " snows."}),
            _piece({"content": ""}, "model_length", usage=_figures()),
        ),
        PLAIN,
        THOUGHT,
        "model_length",
    ),
    "deepseek": Shape(
        _whole({"reasoning_content": THOUGHT}, _DEEPSEEK, {"logprobs": None}, system_fingerprint="fp_1"),
        _lines(
            ": keep-alive",
            *_pieces({"content": None, "reasoning_content": THOUGHT}),
            _piece({"content": "", "reasoning_content": None}, "stop", usage=_DEEPSEEK),
        ),
        Usage(20, 4, 0, 8, 5, "provider"),
        THOUGHT,
    ),
    "xai": Shape(
        _whole({"reasoning_content": THOUGHT, "refusal": None}, _XAI, {"finish_reason": "end_turn"}),
        _lines(
            *_pieces({"reasoning_content": THOUGHT}),
            _piece({}, "end_turn"),
            _frame("chat.completion.chunk", choices=[], usage=_XAI),
        ),
        Usage(20, 4, 0, 8, 5, "provider"),
        THOUGHT,
        "end_turn",
    ),
    "together": Shape(
        _whole({"tool_calls": []}, _figures(cached_tokens=0), {"finish_reason": "eos", "seed": 1}, prompt=[]),
        _lines(
            *[
                _piece({"token_id": 1, "role": "assistant", "content": text}, choice={"text": text, "seed": None})
                for text in ("It", " snows.")
            ],
            _piece({"token_id": 2, "content": ""}, "eos", {"text": "", "seed": 1}, usage=_figures()),
        ),
        PLAIN,
        finish_reason="eos",
    ),
    "fireworks": Shape(
        _whole({}, _figures(prompt_tokens_details={"cached_tokens": 0})),
        _lines(*_pieces(), _piece({}, "stop", usage=_figures())),
        PLAIN,
    ),
    "openrouter": Shape(
        _whole(
            {"refusal": None, "reasoning": THOUGHT, "reasoning_details": []},
            _OPENROUTER,
            {"logprobs": None, "native_finish_reason": "STOP"},
            provider="Somebody",
        ),
        _lines(
            ": OPENROUTER PROCESSING",
            *_pieces({"content": "", "reasoning": THOUGHT}, provider="Somebody"),
            ": OPENROUTER PROCESSING",
            _piece({"content": ""}, "stop", {"native_finish_reason": "STOP"}),
            _piece({"role": "assistant", "content": ""}, usage=_OPENROUTER),
        ),
        msgspec.structs.replace(PLAIN, charged_pico=14_000_000),
        THOUGHT,
    ),
    "litellm": Shape(
        _whole(
            {"tool_calls": None, "function_call": None, "provider_specific_fields": {"refusal": None}},
            _figures(prompt_tokens_details={"audio_tokens": None, "cached_tokens": None}),
        ),
        _lines(
            *_pieces(),
            _piece({"provider_specific_fields": None, "function_call": None, "tool_calls": None}, "stop"),
            _frame("chat.completion.chunk", choices=[{"index": 0, "delta": {}}], usage=_figures()),
        ),
        PLAIN,
    ),
}
