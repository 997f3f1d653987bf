"""A whole answer, or one event of a stream, in whichever API's words: every string of it is screened and restored.

What is the same afterwards is given back as the same object. What stands where a model writes the arguments of a call
is treated as those; whatever else there is, fields that do not exist yet included, as text.
"""

from decimal import Decimal
from typing import cast

import msgspec

from headworks.errors import Refusal
from headworks.screening.privacy.answering import AnswerScreen
from headworks.screening.privacy.failures import ScreeningFailed
from headworks.screening.privacy.places import is_opaque, is_structure
from headworks.screening.privacy.policy import PrivacyPolicy
from headworks.screening.privacy.restoring import Restorer
from headworks.screening.privacy.walking import Json

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode

ARGUMENTS = frozenset({"arguments", "partial_json", "args"})
"""Names under which there are the arguments of a call (OpenAI; Anthropic's streams; Gemini)."""

_CALLS = frozenset({"tool_use", "server_tool_use", "custom_tool_call"})
"""Types of objects whose `input` is such (Anthropic; OpenAI)."""

_PROBABILITIES = frozenset({"logprobs", "logprobsResult"})
"""Names under which an answer is told again, sign by sign (OpenAI; Google)."""

_MARK = b"pii"


def may_hold_token(data: bytes) -> bool:
    """Whether there may be a token in a JSON text. Quick, and never wrong in saying no: a token has no letter that is
    ever written as an escape, but a model may write it in any case."""
    return _MARK in data.lower() or b"\\u00" in data


class AnswerBody:
    """Treats the bodies of one call's answer.

    Arguments:
        restorer: of the call.
        screen: looks at what the model says.
    """

    __slots__ = ("_changed", "_policy", "_restorer", "_screen")

    def __init__(self, policy: PrivacyPolicy, restorer: Restorer, screen: AnswerScreen) -> None:
        self._policy = policy
        self._restorer = restorer
        self._screen = screen
        self._changed = False

    def treated(self, body: bytes) -> bytes:
        """A JSON body as it may go to the caller.

        Raises:
            PersonalDataBlocked: it holds what the policy blocks.
            ScreeningFailed: it could not be screened.
        """
        if self._screen.is_off and not may_hold_token(body):
            return body
        try:
            tree: Json = _decode(body)
            self._changed = False
            tree = self._walk(tree, "", in_call=False)
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001  (the door closes; the error's text may hold the answer)
            raise ScreeningFailed(f"the answer ({type(error).__name__})") from None
        return _encode(tree) if self._changed else body

    def treat(self, tree: dict[str, object]) -> bool:
        """The same for JSON that is decoded already: it is changed in place. Returns whether it was.

        Raises:
            PersonalDataBlocked, ScreeningFailed: as `treated`.
        """
        self._changed = False
        self._walk(cast("dict[str, Json]", tree), "", in_call=False)
        return self._changed

    def _walk(self, value: Json, name: str, *, in_call: bool) -> Json:
        if isinstance(value, str):
            becomes = self._text(value, name, in_call=in_call or name in ARGUMENTS)
            self._changed |= becomes != value
            return becomes
        if isinstance(value, dict):
            has_input = value.get("type") in _CALLS
            for key, inner in list(value.items()):
                if key in _PROBABILITIES and inner and not (in_call or self._screen.only_reports):
                    # What is taken out of the text stands here in pieces, which nothing can be found in.
                    value[key] = [] if isinstance(inner, list) else None
                    self._changed = True
                    continue
                below = in_call or key in ARGUMENTS or (has_input and key == "input")
                treated = self._walk(inner, key, in_call=below)
                written = self._restored(key, in_call=below) if _MARK in key.lower().encode() else key
                if written != key:
                    del value[key]
                    self._changed = True
                value[written] = treated
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                value[index] = self._walk(inner, name, in_call=in_call)
        return value

    def _text(self, text: str, name: str, *, in_call: bool) -> str:
        if not text or is_opaque(name, text):
            return text
        screen = self._screen
        if not screen.is_off and not is_structure(name, text):
            text = screen.arguments(text) if in_call else screen.text(text)
        return self._restored(text, in_call=in_call)

    def _restored(self, text: str, *, in_call: bool) -> str:
        policy = self._policy
        if not (policy.restores_arguments if in_call else policy.restores_text):
            return text
        return self._restorer.json(text) if _is_json(text) else self._restorer.text(text)


def _is_json(text: str) -> bool:
    """Whether a text is a JSON document, in which values have to be escaped."""
    if text[:1] not in ("{", "[") or text[-1:] not in ("}", "]"):
        return False
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True
