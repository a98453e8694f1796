"""`/_simulator/...`: the controls of the simulator over HTTP, for when it runs as its own process."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proofdesk_simulators.chatwoot.refusals import ChatwootRefusal, ErrorResponse
from proofdesk_simulators.chatwoot.routes import actions, reply
from proofdesk_simulators.chatwoot.simulator import ChatwootSimulator

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]
Body = dict[str, Any]
Control = Callable[[ChatwootSimulator, Request, Body], object]


def routes(simulator: ChatwootSimulator) -> list[Route]:
    """Return the control routes, below `/_simulator`."""
    table: list[tuple[str, str, Control]] = [
        ("GET", "/truth", truth),
        ("GET", "/state", state),
        ("POST", "/reset", reset),
        ("PATCH", "/switches", set_switches),
        ("POST", "/clock", set_clock),
        ("GET", "/requests", list_requests),
        ("DELETE", "/requests", clear_requests),
        ("POST", "/faults", add_fault),
        ("DELETE", "/faults", clear_faults),
        ("POST", "/throttles", set_throttle),
        ("DELETE", "/throttles", clear_throttles),
        ("POST", "/shifts", add_shift),
        ("DELETE", "/shifts", clear_shifts),
        ("GET", "/deliveries", list_deliveries),
        ("PATCH", "/deliveries", set_queue_behaviour),
        ("POST", "/deliveries/resume", resume_deliveries),
        ("POST", "/actions/{name}", act),
    ]
    return [
        Route("/_simulator" + path, _endpoint(simulator, control), methods=[method]) for method, path, control in table
    ]


def truth(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """GET truth?account_id=1&rows=false"""
    account_id = int(request.query_params.get("account_id", "1"))
    return simulator.truth(account_id, rows=request.query_params.get("rows") != "false")


def state(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """GET state: switches, faults, throttles, the clock and the names of the actions."""
    return {
        "now": simulator.installation.now(),
        "switches": asdict(simulator.switches),
        "faults": [asdict(fault) for fault in simulator.faults.rows],
        "throttles": [asdict(throttle) for throttle in simulator.throttles.rows.values()],
        "shifts": [{"id": s.id, "every": s.every, "path": s.path, "done": s.done} for s in simulator.shifts.rows],
        "held_messages": sorted(simulator.installation.held),
        "actions": sorted(actions.ACTIONS),
    }


def reset(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """POST reset: controls only, the data stays."""
    simulator.reset_controls()
    return {}


def set_switches(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """PATCH switches: also `locale` of account 1, or of `account_id`."""
    if "locale" in body:
        simulator.account(int(body.pop("account_id", 1))).locale = str(body.pop("locale"))
    _set(simulator.switches, body)
    return asdict(simulator.switches)


def set_clock(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """PATCH clock: `freeze_at` (seconds), `advance` (seconds) or `run`."""
    if "freeze_at" in body:
        simulator.clock.freeze(float(body["freeze_at"]))
    if "advance" in body:
        simulator.clock.advance(float(body["advance"]))
    if body.get("run"):
        simulator.clock.run()
    return {"now": simulator.installation.now()}


def list_requests(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """GET requests: filtered by `method`, `path` and `query`; the last two are shell patterns."""
    q = request.query_params
    entries = simulator.journal.find(q.get("method"), q.get("path", "*"), q.get("query", "*"))
    return {"count": len(entries), "requests": [asdict(entry) for entry in entries]}


def clear_requests(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """DELETE requests"""
    simulator.journal.clear()
    return {}


def add_fault(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """POST faults: the arguments of `Faults.add`."""
    return asdict(simulator.faults.add(**body))


def clear_faults(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """DELETE faults"""
    simulator.faults.clear()
    return {}


def set_throttle(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """POST throttles: `scope`, `limit`, `period`."""
    return asdict(simulator.throttles.set(**body))


def clear_throttles(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """DELETE throttles"""
    simulator.throttles.clear()
    return {}


def add_shift(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """POST shifts: `action` and `arguments` as for `/actions/{action}`; `every`, `path`, `times`."""
    name, arguments = str(body.pop("action")), dict(body.pop("arguments", {}))
    if name not in actions.ACTIONS:
        raise ValueError(f"unknown action {name!r}")
    shift = simulator.shift(lambda: actions.perform(simulator, name, arguments), **body)
    return {"id": shift.id}


def clear_shifts(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """DELETE shifts"""
    simulator.shifts.clear()
    return {}


def list_deliveries(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """GET deliveries: the attempts so far."""
    return {"attempts": [asdict(attempt) for attempt in simulator.deliveries.attempts]}


def set_queue_behaviour(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """PATCH deliveries: the behaviour of the queue."""
    _set(simulator.deliveries.behaviour, body)
    return asdict(simulator.deliveries.behaviour)


def resume_deliveries(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """POST deliveries/resume"""
    simulator.deliveries.resume()
    return {}


def act(simulator: ChatwootSimulator, request: Request, body: Body) -> object:
    """POST actions/{name}: the arguments of the method of that name."""
    return actions.perform(simulator, request.path_params["name"], body)


def _endpoint(simulator: ChatwootSimulator, control: Control) -> Endpoint:
    async def respond(request: Request) -> Response:
        try:
            body: Body = await request.json() if await request.body() else {}
            with simulator.installation.lock:
                return reply.error_response(ErrorResponse(200, reply.encode(control(simulator, request, body))))
        except ChatwootRefusal as refusal:
            return reply.error_response(refusal.response)
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            return reply.error_response(ErrorResponse(422, {"error": f"{type(error).__name__}: {error}"}))

    return respond


def _set(target: Any, values: Mapping[str, object]) -> None:
    known = {field.name for field in fields(target)}
    if unknown := set(values) - known:
        raise ValueError(f"Unknown switches {sorted(unknown)}. Use: {sorted(known)}")
    for name, value in values.items():
        setattr(target, name, value)
