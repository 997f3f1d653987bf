"""Start the gateway.

It serves what headworks.yaml says until SIGTERM or Ctrl-C: calls under way are finished first. SIGHUP reloads the
configuration; a file that is not good leaves the old one in force and says why. When it takes calls it prints one
line on standard error: headworks ready on http://HOST:PORT

If every provider is the built-in simulator, this is a trial: a first call to paste is shown, with a key that works
for a day (none is needed where access.mode is `open`).
"""

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.parsing import UsageError

if TYPE_CHECKING:
    from headworks.settings import Settings

_TRIAL_NAME = "trial"
_TRIAL_S = 24 * 3600


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--host", help="address to listen on, instead of server.host")
    parser.add_argument("--port", type=int, help="port to listen on, instead of server.port; 0 picks a free one")
    parser.add_argument("--workers", type=int, help="processes that answer calls, instead of server.workers")


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    # Whoever stops us while we are still loading has stopped us well; the supervisor has handlers of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from headworks.config import MOST_WORKERS
    from headworks.server.supervisor import OPEN_MODE, serve  # loads the whole gateway: only when it is going to serve

    if options.workers is not None and not 1 <= options.workers <= MOST_WORKERS:
        raise UsageError(f"--workers takes a number from 1 to {MOST_WORKERS}")
    if options.port is not None and not 0 <= options.port <= 65535:
        raise UsageError("--port takes a number from 0 to 65535")
    given = {"host": options.host, "port": options.port, "workers": options.workers}
    trial_key = ""

    def prepare(settings: "Settings") -> None:
        nonlocal trial_key
        for line in (*_retiring(settings), *_in_the_open(settings)):
            _say(f"headworks: {line}")
        if settings.project.config.access.mode == "open":
            _say(OPEN_MODE)
        elif _is_trial(settings):
            trial_key = _make_trial_key(settings)

    def announce(settings: "Settings", address: str) -> None:
        _say(f"headworks ready on {address}")
        if _is_trial(settings):
            _say(_first_call(settings, address, trial_key))

    return serve(
        options.config,
        overrides={name: value for name, value in given.items() if value is not None},
        say=_say,
        prepare=prepare,
        announce=announce,
        admin=("-m", "headworks.cli.serve_admin"),  # only the process that serves it loads it
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _retiring(settings: "Settings") -> list[str]:
    """A line for each model that is shut down soon."""
    import datetime as dt

    from headworks.config import find_retiring, retiring_text

    workloads = [workload for workload, _ in settings.workloads]
    today = dt.datetime.now(dt.UTC).date()
    return [retiring_text(one) for one in find_retiring(settings.project, settings.book, workloads, today)]


def _in_the_open(settings: "Settings") -> list[str]:
    """A line where secrets are in the environment of a gateway that other machines reach."""
    from headworks.config import OPEN_ENVIRONMENT, is_loopback
    from headworks.secrets import in_the_environment

    found = in_the_environment(settings.project)
    if not found or is_loopback(settings.project.config.server.host):
        return []
    return [f"{', '.join(found)}: {OPEN_ENVIRONMENT}"]


def _is_trial(settings: "Settings") -> bool:
    return all(plan.kind == "simulator" for plan in settings.providers)


def _make_trial_key(settings: "Settings") -> str:
    """A new key for a day. Those of earlier starts stay good for theirs: they were pasted into code by now."""
    from headworks.access import KEYS_FILE, KeyStore

    settings.project.storage.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = KeyStore(settings.project.storage / KEYS_FILE)
    try:
        now = time.time()
        _, key = store.create(name=_TRIAL_NAME, secret=settings.secret, now=now, expires_at=now + _TRIAL_S)
    finally:
        store.close()
    return key


def _first_call(settings: "Settings", address: str, key: str) -> str:
    names = [name for name, *_ in settings.names]
    model = names[0] if names else f"{settings.providers[0].name}/gpt-6-luna"
    shown = f"{key}   (for a day)" if key else "none is needed; the SDK wants some text"
    authorization = f'\\\n    -H "Authorization: Bearer {key}" ' if key else ""
    return f"""
  This is a trial against the built-in simulator: no provider is called, nothing costs anything.

  address   {address}/v1
  key       {shown}

  curl {address}/v1/responses {authorization}\\
    -H "Content-Type: application/json" \\
    -d '{{"model": "{model}", "input": "Say hello."}}'

  from openai import OpenAI
  client = OpenAI(base_url="{address}/v1", api_key="{key or "none"}")
  print(client.responses.create(model="{model}", input="Say hello.").output_text)

  Then look at what was recorded: headworks calls --config {settings.project.file}
  Ctrl-C stops the gateway.
"""
