"""The streams of each dialect, as providers send them: the pieces of one text."""

import json

from headworks.calls import Endpoint


def response(text, response_id):
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}
    return {"id": response_id, "object": "response", "status": "completed", "model": "m", "output": [item]}


def chunk(text="", **choice):
    delta = {"content": text} if text else {}
    one = {
        "id": "c",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [{"index": 0, "delta": delta} | choice],
    }
    return b"data: " + json.dumps(one).encode() + b"\n\n"


def responses_stream(pieces):
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events = [
        {"type": "response.created", "response": response("", "resp_1") | {"output": [], "status": "in_progress"}}
    ]
    events += [{"type": "response.output_text.delta", "delta": piece} | place for piece in pieces]
    events.append({"type": "response.output_text.done", "text": "".join(pieces)} | place)
    events.append({"type": "response.completed", "response": response("".join(pieces), "resp_1")})
    return [
        f"event: {one['type']}\ndata: {json.dumps({**one, 'sequence_number': number})}\n\n".encode()
        for number, one in enumerate(events)
    ]


def messages_stream(pieces):
    head = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m", "usage": {}}
    block = {"type": "text", "text": ""}
    events = [
        {"type": "message_start", "message": head},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    events += [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}} for piece in pieces
    ]
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    ]
    events.append({"type": "message_stop"})
    return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events]


def gemini_stream(pieces):
    events = [
        {"candidates": [{"index": 0, "content": {"parts": [{"text": piece}], "role": "model"}}]} for piece in pieces
    ]
    events[-1]["candidates"][0]["finishReason"] = "STOP"
    return [b"data: " + json.dumps(one).encode() + b"\n\n" for one in events]


def chat_stream(pieces):
    return [*map(chunk, pieces), chunk(finish_reason="stop"), b"data: [DONE]\n\n"]


ANSWERS = {
    Endpoint.CHAT: chat_stream,
    Endpoint.RESPONSES: responses_stream,
    Endpoint.MESSAGES: messages_stream,
    Endpoint.GENERATE_CONTENT: gemini_stream,
}
