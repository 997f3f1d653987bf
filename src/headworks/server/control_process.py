"""The control plane's process. `headworks serve` starts it; it is no command, and stands in no list.

python -m headworks.server.control_process DESCRIPTOR

SIGTERM is blocked when it begins, for a stop that comes early is not to be the end of records that nobody has drained:
`control_plane` lets it in once it is answered.
"""

import os
import signal
import socket
import sys
import threading

from headworks.console import channels_of, control_plane, unpack_terms
from headworks.errors import HeadworksError
from headworks.server.fresh import wait_for_given
from headworks.telemetry import report


def main() -> int:
    """Be the control plane until told to stop, or until the supervisor is gone; returns the exit code."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    content = wait_for_given(control)
    if content is None:
        return 0  # the supervisor is gone before it has begun
    terms = unpack_terms(content)
    threading.Thread(target=_leave_with_supervisor, args=(control,), daemon=True).start()
    try:
        return control_plane(
            terms.storage,
            terms.store_url.reveal(),
            keep_days=terms.keep_days,
            serves_leases=terms.serves_leases,
            channels=channels_of(terms.alerts),
            audit=terms.audit,
            sinks=terms.sinks,
        )
    except HeadworksError as error:
        report(f"control-plane: {error}")
        return 1


def _leave_with_supervisor(control: socket.socket) -> None:
    """It says nothing more: what ends this is the end of its process, however that comes."""
    try:
        while control.recv(1):
            pass
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a sink that is left behind keeps nobody waiting, nor what its package does at an exit
