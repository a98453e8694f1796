"""`/_simulator/...`: the controls of the simulator over HTTP, for when it runs as its own process."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from proofdesk_simulators.telegram.simulator import TelegramSimulator

Body = dict[str, Any]
Control = Callable[[TelegramSimulator, Body], object]


def routes(simulator: TelegramSimulator) -> list[Route]:
    """All controls, for the application."""
    table: list[tuple[str, str, Control]] = [
        ("GET", "/state", state),
        ("POST", "/reset", reset),
        ("GET", "/sent", list_sent),
        ("POST", "/messages", write),
        ("POST", "/updates", deliver),
        ("POST", "/redeliver", redeliver),
        ("PATCH", "/people", set_person),
        ("POST", "/faults", add_fault),
        ("DELETE", "/faults", clear_faults),
    ]
    return [_route(simulator, method, path, control) for method, path, control in table]


def state(simulator: TelegramSimulator, body: Body) -> object:
    """Return people, webhook, pending updates, calls and faults."""
    return {
        "people": [asdict(person) for person in simulator.people.values()],
        "webhook": asdict(simulator.hook),
        "pending": simulator.pending,
        "calls": list(simulator.calls),
        "faults": [asdict(fault) for fault in simulator.faults],
    }


def reset(simulator: TelegramSimulator, body: Body) -> object:
    """Restore the initial state."""
    simulator.reset()
    return {}


def list_sent(simulator: TelegramSimulator, body: Body) -> object:
    """Return the messages of the bot, oldest first."""
    return {"sent": [asdict(message) for message in simulator.sent]}


def write(simulator: TelegramSimulator, body: Body) -> object:
    """`{"from": 4711, "text": "/bind", "chat"?}`: write to the bot and return the webhook's response."""
    return asdict(simulator.write(int(body["from"]), str(body["text"]), chat=body.get("chat")))


def deliver(simulator: TelegramSimulator, body: Body) -> object:
    """Post an update to the webhook, for example one that was delivered before."""
    return asdict(simulator.deliver(body))


def redeliver(simulator: TelegramSimulator, body: Body) -> object:
    """Deliver pending updates again."""
    return {"deliveries": [asdict(delivery) for delivery in simulator.redeliver()]}


def set_person(simulator: TelegramSimulator, body: Body) -> object:
    """`{"id": 4711, "first_name"?, "username"?, "blocks"?}`: open a chat with the bot, or block it."""
    person = simulator.person(int(body["id"]))
    for name in ("first_name", "username", "blocks"):
        setattr(person, name, body.get(name, getattr(person, name)))
    return asdict(person)


def add_fault(simulator: TelegramSimulator, body: Body) -> object:
    """Add a fault. The body has the arguments of `fail`."""
    return asdict(simulator.fail(**body))


def clear_faults(simulator: TelegramSimulator, body: Body) -> object:
    """Remove all faults."""
    simulator.faults = []
    return {}


def _route(simulator: TelegramSimulator, method: str, path: str, control: Control) -> Route:
    async def respond(request: Request) -> Response:
        try:
            body: Body = await request.json() if await request.body() else {}
            # In a thread: the webhook calls this server back.
            return JSONResponse(await asyncio.to_thread(control, simulator, body))
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 422)

    return Route("/_simulator" + path, respond, methods=[method])
