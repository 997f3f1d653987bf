"""The library: the gateway's pipeline in a Python process, behind the official SDK's own clients.

May import everything below it. `httpx2` and `openai` are loaded only when a client is asked for.
"""

from headworks.library.gateway import InProcessGateway, connect

__all__ = ["InProcessGateway", "connect"]
