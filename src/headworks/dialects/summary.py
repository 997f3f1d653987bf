"""What a record needs to know of an answer, streamed or whole, in any dialect."""

from typing import Literal

import msgspec

from headworks.calls import Usage

Terminal = Literal["none", "done", "completed", "incomplete", "failed", "error"]
"""How an answer ended: not at all (*none*: a stream that was cut), by Chat's `[DONE]` (*done*), with one of the
Responses API's last events, or with an *error* in the stream. A whole chat completion is *done*, too."""


class AnswerSummary(msgspec.Struct, frozen=True, gc=False):
    """An answer, summed up. Strings are empty and `usage` is None where the upstream did not say.

    `finish_reason` is Chat's finish reason, or the Responses API's status, replaced by the reason when the status
    is `incomplete`. `error_code` is the code (or type) of an error inside the answer. `text` is what was generated
    (content, refusals, reasoning, tool arguments), for counting tokens where the provider did not: always there
    for streams, for whole answers only when they came without usage. `service_tier` is the one that was served, where
    the upstream names it: prices go by it.
    """

    response_id: str = ""
    served_model: str = ""
    finish_reason: str = ""
    usage: Usage | None = None
    terminal: Terminal = "none"
    error_code: str = ""
    text: str = ""
    service_tier: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether the answer has an end, good or bad; False when it was cut."""
        return self.terminal != "none"

    @property
    def is_failed(self) -> bool:
        """Whether the upstream itself said that it failed."""
        return self.terminal in ("failed", "error")
