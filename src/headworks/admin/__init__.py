"""Administration: what may be done to an installation, by whom, and the admin API that has it done over the network.

`desk` says who is at it and what they reach; `keys`, `budgets`, `calls`, `audit` and the others are what can be done
there, each function asking the desk first and telling the audit log after. The command line calls the same functions.
`api` is the admin API: a table of operations, and what is served of it. `signing_in` lets people in by their identity
provider. A process of its own serves all of it (`serving`); the workers that answer callers know nothing of it.

May import every room, `console`, `server`'s HTTP, and `doctoring`; nothing but `cli` may import it.
"""

from headworks.admin.desk import Desk, Forbidden

__all__ = ["Desk", "Forbidden"]
