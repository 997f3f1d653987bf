"""The control endpoints of a standalone simulator: its plan and its memory, over HTTP.

    GET, PUT, PATCH, DELETE /simulator/plan     the plan; all of it, some fields, back to that of the start
    POST /simulator/faults                      one more fault
    POST /simulator/reset                       everything as at the start
    GET /simulator/requests                     what was asked lately

They are reached through the simulator's own server only: no gateway relays them.
"""

import base64
import json
from collections.abc import Callable

import msgspec

from headworks.exchange import Request
from headworks.simulator.plan_file import places_of
from headworks.simulator.plan_reading import PlanProblem
from headworks.simulator.plan_source import changed, fault_from, plan_from, plan_value
from headworks.simulator.rejection import Rejection, no_such_path, wrong_method
from headworks.simulator.remembered import RememberedRequest
from headworks.simulator.script import Script, plain
from headworks.simulator.simulator import Simulator

PREFIX = "/simulator/"


def control(simulator: Simulator, request: Request) -> Script:
    """The answer to a request whose path starts with PREFIX."""
    try:
        handlers = _ROUTES.get(request.path)
        if handlers is None:
            raise no_such_path(request.method, request.path)
        handle = handlers.get(request.method)
        if handle is None:
            raise wrong_method(request.method, request.path, ", ".join(handlers))
        return plain(200, msgspec.json.encode(handle(simulator, request)))
    except Rejection as error:
        return error.script()
    except PlanProblem as problem:
        return Rejection(400, _with_places(problem, request.body), code="invalid_plan").script()


def _show_plan(simulator: Simulator, _: Request) -> object:
    return plan_value(simulator.plan)


def _put_plan(simulator: Simulator, request: Request) -> object:
    simulator.replace_plan(plan_from(_body(request)))
    return plan_value(simulator.plan)


def _patch_plan(simulator: Simulator, request: Request) -> object:
    simulator.replace_plan(changed(simulator.plan, _body(request)))
    return plan_value(simulator.plan)


def _restore_plan(simulator: Simulator, _: Request) -> object:
    simulator.restore_plan()
    return plan_value(simulator.plan)


def _add_fault(simulator: Simulator, request: Request) -> object:
    simulator.add_fault(fault_from(_body(request)))
    return {"faults": plan_value(simulator.plan)["faults"]}


def _reset(simulator: Simulator, _: Request) -> object:
    simulator.reset()
    return {"is_reset": True}


def _show_requests(simulator: Simulator, _: Request) -> object:
    return {"requests": [_shown(request) for request in simulator.requests]}


def _shown(request: RememberedRequest) -> dict[str, object]:
    """A request with its body as JSON, as text, or in base64, whichever it is."""
    value: dict[str, object] = {name: getattr(request, name) for name in request.__struct_fields__ if name != "body"}
    try:
        return {**value, "body": msgspec.json.decode(request.body) if request.body else None}
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # not JSON: a form, or bad input that a test sent on purpose
    try:
        return {**value, "body": request.body.decode()}
    except UnicodeDecodeError:
        return {**value, "body_base64": base64.b64encode(request.body).decode()}


def _body(request: Request) -> object:
    try:
        return msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _not_json(request.body) from None


def _not_json(body: bytes) -> Rejection:
    """Says where, for a person has written this."""
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        why = f"{error.msg} at line {error.lineno}, column {error.colno}"
    except UnicodeDecodeError:
        why = "it is not UTF-8"
    except RecursionError:
        why = "it is nested too deeply"
    else:
        why = "it holds what JSON does not have, such as NaN"
    return Rejection(400, f"The body is not JSON: {why}.", code="invalid_json")


def _with_places(problem: PlanProblem, body: bytes) -> str:
    places = places_of(body.decode(errors="replace"), problem.findings)
    lines = [
        f"line {line}, column {column}: {finding}" if line else str(finding)
        for (line, column), finding in zip(places, problem.findings, strict=True)
    ]
    return "\n".join(lines)


_ROUTES: dict[str, dict[str, Callable[[Simulator, Request], object]]] = {
    "/simulator/plan": {"GET": _show_plan, "PUT": _put_plan, "PATCH": _patch_plan, "DELETE": _restore_plan},
    "/simulator/faults": {"POST": _add_fault},
    "/simulator/reset": {"POST": _reset},
    "/simulator/requests": {"GET": _show_requests},
}
