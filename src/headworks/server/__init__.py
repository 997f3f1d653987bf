"""The data plane: HTTP/1.1 on uvloop and httptools; requests in, bytes out.

May import `exchange`, `calls`, `errors`, `wheel`, and `assembly` (to put a gateway together); knows nothing of
models, keys or prices. `HttpServer` serves any `exchange.Application` in this process; `serve_application` runs
one until it is told to stop. The gateway itself is served by `headworks.server.supervisor`, which starts
`headworks.server.worker` as often as configured.
"""

from headworks.server.listening import HttpServer, bind
from headworks.server.settings import ServerLimits
from headworks.server.standalone import serve_application

__all__ = ["HttpServer", "ServerLimits", "bind", "serve_application"]
