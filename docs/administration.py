# ruff: noqa: INP001
"""The reference of the admin API: its roles and operations, from the tables that they are kept in."""

from headworks.access import ROLES, Right, Role
from headworks.access.roles import FOR_ALL_ONLY
from headworks.admin.api.table import OPERATIONS

HEAD = """# Admin API

<!-- Generated from the code by docs/generate.py: change the tables there. -->

The admin API is served on a port of its own (`admin` in [headworks.yaml](configuration.md)); [Administrate over the
network](../how-to/admin.md) sets it up. A running gateway describes each question and answer at
`/admin/v1/openapi.json` (OpenAPI 3.1); `headworks check --schema admin-api` prints the same.
"""

ROLES_HEAD = """## Roles

What each role may do, here and nowhere else. Who has several roles may do what any of them may. A role holds everywhere
or in one organisation; what is marked with * concerns the whole installation, so that only a role everywhere brings it
along. A right over keys, calls, budgets, limits and approvals reaches what belongs to the organisation's teams.
"""

OPERATIONS_HEAD = """## Operations

Whoever lacks the right gets 403 (`role_not_allowed`); what is out of their reach is 404, as what does not exist. Nobody
comes in without the right that is named; `keys.change` asks for `keys.write` or `budgets.write` by what is changed.
"""

REST = """## Questions

- `Authorization: Bearer ...` with a key that has a role, or an identity provider's token; a browser has a cookie, and
  sends `x-csrf-token` (from `/admin/v1/me`) with whatever changes something.
- Fields of GET stand in the query (a list as the same name several times), others in a JSON body. Unknown fields are
  errors. Moments are RFC 3339 with an offset, money is decimal text in dollars.
- Lists have `items` and `next`: the next page is asked for with `after=` (the audit log: `before=`). At most 200 items.
- `Idempotency-Key`, where a repeat would make something twice: within a day the same request is answered again, without
  the key, and does nothing.
- An answer about one key has an `etag`; `if-match` with it refuses a change of what has changed meanwhile.

## Errors

`{"error": {"message", "type", "param", "code"}}`. The message says what happened and what to do.

| status | `code` | when |
|---|---|---|
| 400 | `invalid_request` | the question is not one; `param` names the field |
| 401 | `not_authenticated` | no key, token or session, or none that is good |
| 403 | `role_not_allowed` | none of the roles may do it |
| 403 | `address_not_allowed` | not from this address (`admin.networks`, or the key's) |
| 403 | `csrf_token_missing` | a browser's change without its token, or from another site |
| 404 | `not_found`, `unknown_path` | it does not exist, or not for who asks |
| 405 | `method_not_allowed` | `allow` says what is taken |
| 409 | `cannot_be_done`, `still_running`, `config_not_taken` | not as things are |
| 412 | `changed_meanwhile` | `if-match` does not fit any more |
| 415 | `not_json` | a body that is not said to be JSON |
| 421 | `host_not_allowed` | the name in `Host` is not the admin API's (`admin.hosts`) |
| 422 | `config_not_good`, `idempotency_key_reused` | the file has problems; the name was used for something else |
| 429 | `too_many_requests`, `too_many_bad_keys` | `retry-after` says when to go on |
| 502 | `sign_in_failed` | the identity provider does not say who somebody is |
| 503 | `storage_unavailable`, `gateway_not_running`, `token_keys_unavailable`, `sign_in_unavailable` | try again |
"""


def admin_reference() -> str:
    """The page."""
    roles = ["| right | " + " | ".join(f"`{role.value}`" for role in Role) + " | meaning |"]
    roles.append("|---" * (len(Role) + 2) + "|")
    for right in Right:
        marks = " | ".join("yes" if right in ROLES[role].rights else "" for role in Role)
        star = "*" if right in FOR_ALL_ONLY else ""
        roles.append(f"| `{right.value}`{star} | {marks} | {right.meaning} |")
    operations = ["| operation | right | what it does |", "|---|---|---|"]
    for one in OPERATIONS:
        right_name = "any" if one.right is None else f"`{one.right.value}`"
        operations.append(f"| `{one.method} {one.path}` | {right_name} | {one.summary} (`{one.name}`) |")
    tables = ("\n".join(roles), "\n".join(operations))
    return "\n".join([HEAD, ROLES_HEAD, tables[0], "", OPERATIONS_HEAD, tables[1], "", REST])
