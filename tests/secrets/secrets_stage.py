"""What tests of secret managers share: an asker that plays a manager, and how references are fetched through it."""

import re

from headworks.config import Secrets
from headworks.errors import SecretError
from headworks.secrets import Ask, Heard, Managers


class PlayedManager:
    """Answers by method and URL (a pattern), and keeps what it was asked. State: `asked`, `answers`."""

    def __init__(self, **answers):
        self.answers = {}
        self.asked: list[Ask] = []

    def on(self, method, pattern, body, status=200):
        self.answers[method, pattern] = (status, body)
        return self

    def __call__(self, ask):
        self.asked.append(ask)
        for (method, pattern), (status, body) in self.answers.items():
            if method == ask.method and re.fullmatch(pattern, ask.url):
                return Heard(status, body if isinstance(body, bytes) else body.encode())
        raise SecretError("nobody answers there")

    def headers(self, index=-1):
        return dict(self.asked[index].headers)


def managers_of(played, folder, environment=None, *, now_s=1_800_000_000.0, **sections):
    return Managers(
        Secrets(**sections),
        folder,
        environment or {},
        make_asker=lambda timeout_s, ca_file: played,
        now=lambda: now_s,
        clock=lambda: now_s,
        home=folder,
    )
