"""`/_simulator/...`: the controls of `Simulator` over HTTP, for when it runs as its own process."""

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from proofdesk_simulators.openai.simulator import OpenAISimulator, OpenAISwitches

Body = dict[str, Any]
Control = Callable[[OpenAISimulator, Body], object]


def routes(simulator: OpenAISimulator) -> list[Route]:
    """The routes of the controls."""
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


def state(simulator: OpenAISimulator, body: Body) -> object:
    """Switches, models and faults."""
    faults = [asdict(fault) for fault in simulator.faults]
    return {"switches": asdict(simulator.switches), "models": simulator.models, "faults": faults}


def reset(simulator: OpenAISimulator, body: Body) -> object:
    """Everything as at the start."""
    simulator.reset_controls()
    return {}


def set_switches(simulator: OpenAISimulator, body: Body) -> object:
    """Change switches by name; an unknown name is refused."""
    known = {field.name for field in fields(OpenAISwitches)}
    if unknown := set(body) - known:
        raise ValueError(f"unknown {sorted(unknown)}; known: {sorted(known)}")
    for name, value in body.items():
        setattr(simulator.switches, name, value)
    return asdict(simulator.switches)


def list_requests(simulator: OpenAISimulator, body: Body) -> object:
    """The requests received, and how many."""
    return {"count": len(simulator.requests), "requests": [asdict(entry) for entry in simulator.requests]}


def clear_requests(simulator: OpenAISimulator, body: Body) -> object:
    """Forget the requests received."""
    simulator.requests.clear()
    return {}


def add_fault(simulator: OpenAISimulator, body: Body) -> object:
    """Let requests fail; the body holds the arguments of `Simulator.fail`."""
    return asdict(simulator.fail(**body))


def clear_faults(simulator: OpenAISimulator, body: Body) -> object:
    """Let no request fail any more."""
    simulator.faults = []
    return {}


def _route(simulator: OpenAISimulator, method: str, path: str, control: Control) -> Route:
    async def respond(request: Request) -> Response:
        try:
            body: Body = await request.json() if await request.body() else {}
            return JSONResponse(control(simulator, body))
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 422)

    return Route("/_simulator" + path, respond, methods=[method])
