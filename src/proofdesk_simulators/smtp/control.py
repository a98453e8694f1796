"""`/_simulator/...`: the controls of the simulator over HTTP, for when it runs as its own process."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from proofdesk_simulators.smtp.simulator import Limits, ReceivedMail, SmtpSimulator

Body = dict[str, Any]
Control = Callable[[SmtpSimulator, Body], object]


def create_app(simulator: SmtpSimulator) -> ASGIApp:
    """Return the control routes as an application."""
    table: list[tuple[str, str, Control]] = [
        ("GET", "/sent", list_sent),
        ("GET", "/state", state),
        ("POST", "/reset", reset),
        ("POST", "/faults", add_fault),
        ("DELETE", "/faults", clear_faults),
        ("PUT", "/limits", set_limits),
    ]
    return Starlette(routes=[_route(simulator, method, path, control) for method, path, control in table])


def list_sent(simulator: SmtpSimulator, body: Body) -> object:
    """Return the received messages, oldest first."""
    return {"sent": [_mail(taken) for taken in list(simulator.received)]}


def state(simulator: SmtpSimulator, body: Body) -> object:
    """Return counts, faults and limits."""
    faults = [asdict(fault) for fault in simulator.faults]
    return {
        "sent": len(simulator.received),
        "sessions": simulator.sessions,
        "faults": faults,
        "open": len(simulator.open),
        "turned_away": simulator.rejected,
        "limits": asdict(simulator.limits),
    }


def reset(simulator: SmtpSimulator, body: Body) -> object:
    """Restore the initial state."""
    simulator.reset()
    return {}


def add_fault(simulator: SmtpSimulator, body: Body) -> object:
    """Add a fault. The body has the arguments of `fail`."""
    return asdict(simulator.fail(**body))


def set_limits(simulator: SmtpSimulator, body: Body) -> object:
    """Set the limits. The body has the fields of `Limits`; missing fields are unlimited."""
    simulator.limits = Limits(**body)
    return asdict(simulator.limits)


def clear_faults(simulator: SmtpSimulator, body: Body) -> object:
    """Remove all faults."""
    simulator.faults = []
    return {}


def _mail(taken: ReceivedMail) -> Body:
    return {
        "from": taken.sender,
        "to": taken.recipients,
        "at": taken.at,
        "headers": [[name, str(value)] for name, value in taken.message.items()],
        "text": taken.part("plain"),
        "html": taken.part("html"),
    }


def _route(simulator: SmtpSimulator, method: str, path: str, control: Control) -> Route:
    async def respond(request: Request) -> Response:
        try:
            body: Body = await request.json() if await request.body() else {}
            return JSONResponse(control(simulator, body))
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 422)

    return Route("/_simulator" + path, respond, methods=[method])
