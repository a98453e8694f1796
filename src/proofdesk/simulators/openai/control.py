"""`/_simulator/...`: the controls of `Simulator` over HTTP, for when it runs as its own process."""

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from proofdesk.simulators.openai.simulator import Simulator, Switches

Body = dict[str, Any]
Control = Callable[[Simulator, Body], object]


def routes(simulator: Simulator) -> list[Route]:
    table: list[tuple[str, str, Control]] = [
        ("GET", "/state", state),
        ("POST", "/reset", reset),
        ("PATCH", "/switches", set_switches),
        ("GET", "/requests", list_requests),
        ("DELETE", "/requests", clear_requests),
        ("POST", "/faults", add_fault),
        ("DELETE", "/faults", clear_faults),
    ]
    return [_route(simulator, method, path, control) for method, path, control in table]


def state(simulator: Simulator, body: Body) -> object:
    """Switches, models and faults."""
    faults = [asdict(fault) for fault in simulator.faults]
    return {"switches": asdict(simulator.switches), "models": simulator.models, "faults": faults}


def reset(simulator: Simulator, body: Body) -> object:
    simulator.reset_controls()
    return {}


def set_switches(simulator: Simulator, body: Body) -> object:
    known = {field.name for field in fields(Switches)}
    if unknown := set(body) - known:
        raise ValueError(f"unknown {sorted(unknown)}; known: {sorted(known)}")
    for name, value in body.items():
        setattr(simulator.switches, name, value)
    return asdict(simulator.switches)


def list_requests(simulator: Simulator, body: Body) -> object:
    return {"count": len(simulator.requests), "requests": [asdict(entry) for entry in simulator.requests]}


def clear_requests(simulator: Simulator, body: Body) -> object:
    simulator.requests.clear()
    return {}


def add_fault(simulator: Simulator, body: Body) -> object:
    return asdict(simulator.fail(**body))


def clear_faults(simulator: Simulator, body: Body) -> object:
    simulator.faults = []
    return {}


def _route(simulator: Simulator, method: str, path: str, control: Control) -> Route:
    async def respond(request: Request) -> Response:
        try:
            body: Body = await request.json() if await request.body() else {}
            return JSONResponse(control(simulator, body))
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 422)

    return Route("/_simulator" + path, respond, methods=[method])
