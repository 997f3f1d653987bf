"""Realtime sessions as far as they are arithmetic: what events say, what a response can cost, what has been used.

A session is one connection over which a caller and a model talk for minutes. Its events are passed on as they come;
here is read of them what metering needs: when a response begins and ends, what it used, what is transcribed. Pure:
knows no socket and no clock. May import `calls`, `catalogue`, `errors` and the standard library. The shapes are those
of `openai.types.realtime` (openai 3.54).
"""

from headworks.realtime.bounds import most_per_response
from headworks.realtime.events import (
    ClientEvent,
    ServerEvent,
    UnreadableEvent,
    error_event,
    read_client_event,
    read_server_event,
)
from headworks.realtime.meter import Meter, Purse, Slot
from headworks.realtime.usage import Used, used_by_response, used_by_transcription

__all__ = [
    "ClientEvent",
    "Meter",
    "Purse",
    "ServerEvent",
    "Slot",
    "UnreadableEvent",
    "Used",
    "error_event",
    "most_per_response",
    "read_client_event",
    "read_server_event",
    "used_by_response",
    "used_by_transcription",
]
