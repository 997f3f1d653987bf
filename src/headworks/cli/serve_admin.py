"""The process that serves the admin API. `headworks serve` starts it; it is no command, and stands in no list.

python -m headworks.cli.serve_admin DESCRIPTOR
"""

import os
import socket
import sys
from collections.abc import Mapping

from headworks.admin.serving import run_admin
from headworks.cli.check import look_over
from headworks.config import Examination, Project, look_at_secret
from headworks.errors import HeadworksError, SecretError
from headworks.secret_source import ask_managers_with
from headworks.secrets import Kept, unpack
from headworks.server.fresh import Given, project_of, read_given, wait_for_given
from headworks.telemetry import report


class Surroundings:
    """What this process knows of the supervisor's. State: the shapes of variables, the managers' secrets."""

    def __init__(self) -> None:
        self._shapes: Mapping[str, str] = {}
        self._kept: Kept = {}

    def take(self, given: Given) -> Project:
        """Go by these from now on; returns the configuration. Raises ConfigError."""
        project = project_of(given)
        os.environ.update(given.variables)
        self._shapes = given.shapes
        self._kept = unpack(given.kept)
        return project

    def ask(self, reference: str, _environment: Mapping[str, str]) -> str:
        """What a manager has, as far as it was given: this process asks none. Raises SecretError."""
        held = self._kept.get(reference)
        if held is None:
            raise SecretError(f"{reference} is not known to the process that serves the admin API: restart the gateway")
        return held.versions[0].secret.reveal()

    def look_over(self, project: Project) -> Examination:
        """Find what is wrong in what a project refers to, without reading a secret of it."""
        _, found = look_over(project, environment={**self._shapes, **os.environ}, read=look_at_secret)
        return found


def main() -> int:
    """Serve until told to stop; returns the exit code."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    first = wait_for_given(control)
    if first is None:
        return 0  # the supervisor is gone before it has begun
    surroundings = Surroundings()
    ask_managers_with(surroundings.ask)
    try:
        project = surroundings.take(read_given(first))
        take = lambda content: surroundings.take(read_given(content))  # noqa: E731
        return run_admin(project, control, surroundings.look_over, take)
    except HeadworksError as error:
        report(f"admin: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
