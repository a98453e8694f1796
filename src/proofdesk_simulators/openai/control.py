"""`/_simulator/...`: the controls of the simulator over HTTP, for when it runs as its own process."""

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from proofdesk_simulators.openai.chat import LIES
from proofdesk_simulators.openai.simulator import OpenAISimulator, OpenAISwitches

Body = dict[str, Any]
Control = Callable[[OpenAISimulator, Body], object]


def routes(simulator: OpenAISimulator) -> list[Route]:
    """Return the control routes."""
    table: list[tuple[str, str, Control]] = [
        ("GET", "/state", state),
        ("POST", "/reset", reset),
        ("PATCH", "/switches", set_switches),
        ("PATCH", "/chat", set_chat),
        ("GET", "/requests", list_requests),
        ("DELETE", "/requests", clear_requests),
        ("POST", "/faults", add_fault),
        ("DELETE", "/faults", clear_faults),
    ]
    return [_route(simulator, method, path, control) for method, path, control in table]


def state(simulator: OpenAISimulator, body: Body) -> object:
    """Return switches, models and faults."""
    faults = [asdict(fault) for fault in simulator.faults]
    return {"switches": asdict(simulator.switches), "models": simulator.models, "faults": faults}


def reset(simulator: OpenAISimulator, body: Body) -> object:
    """Restore the initial state."""
    simulator.reset_controls()
    return {}


def set_switches(simulator: OpenAISimulator, body: Body) -> object:
    """Change switches by name. Raises ValueError for an unknown name."""
    known = {field.name for field in fields(OpenAISwitches)}
    if unknown := set(body) - known:
        raise ValueError(f"Unknown switches {sorted(unknown)}. Use: {sorted(known)}")
    for name, value in body.items():
        setattr(simulator.switches, name, value)
    return asdict(simulator.switches)


def set_chat(simulator: OpenAISimulator, body: Body) -> object:
    """Change how chat completions are answered. Raises ValueError for an unknown name or lie."""
    if unknown := set(body) - {"lie", "repairs", "refusal", "json_schema", "cost"}:
        raise ValueError(f"Unknown switches {sorted(unknown)}.")
    if body.get("lie") not in (None, *LIES):
        raise ValueError(f"Unknown lie {body['lie']!r}. Use one of: {', '.join(LIES)}")
    for name, value in body.items():
        setattr(simulator.chat, name, value)
    return {"lie": simulator.chat.lie, "requests": len(simulator.chat.requests)}


def list_requests(simulator: OpenAISimulator, body: Body) -> object:
    """Return the received requests and their number."""
    return {"count": len(simulator.requests), "requests": [asdict(entry) for entry in simulator.requests]}


def clear_requests(simulator: OpenAISimulator, body: Body) -> object:
    """Remove the received requests."""
    simulator.requests.clear()
    return {}


def add_fault(simulator: OpenAISimulator, body: Body) -> object:
    """Add a fault. The body has the arguments of `fail`."""
    return asdict(simulator.fail(**body))


def clear_faults(simulator: OpenAISimulator, body: Body) -> object:
    """Remove all faults."""
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
