"""All operations of the admin API, and which one a request means."""

from headworks.admin.api.audit import APPROVALS, AUDIT
from headworks.admin.api.calls import CALLS
from headworks.admin.api.installation import INSTALLATION
from headworks.admin.api.keys import KEYS
from headworks.admin.api.me import ME
from headworks.admin.api.operation import PREFIX, Operation
from headworks.errors import Refusal

OPERATIONS: tuple[Operation, ...] = (*ME, *KEYS, *CALLS, *APPROVALS, *AUDIT, *INSTALLATION)


def find_operation(method: str, path: str) -> tuple[Operation, dict[str, str]]:
    """The operation, and the fields of its path.

    Raises:
        Refusal: 404 for an unknown path, 405 for a method that it does not have.
    """
    allowed = []
    for one in OPERATIONS:
        found = one.pattern.fullmatch(path)
        if found is not None and one.method == method:
            return one, found.groupdict()
        if found is not None:
            allowed.append(one.method)
    if allowed:
        methods = ", ".join(dict.fromkeys(allowed))
        message = f"{path} takes {methods} and nothing else."
        raise Refusal(405, "method_not_allowed", message, headers=(("allow", methods),))
    raise Refusal(
        404, "unknown_path", f"There is nothing here. {PREFIX}/openapi.json says what there is.", kind="not_found_error"
    )
