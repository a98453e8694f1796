"""`/_simulator/...`: the controls of `Simulator` over HTTP, for when it runs as its own process."""

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
    """People, the webhook, updates that wait, calls and faults."""
    return {
        "people": [asdict(person) for person in simulator.people.values()],
        "webhook": asdict(simulator.hook),
        "pending": simulator.pending,
        "calls": list(simulator.calls),
        "faults": [asdict(fault) for fault in simulator.faults],
    }


def reset(simulator: TelegramSimulator, body: Body) -> object:
    """Everything as at the start."""
    simulator.reset()
    return {}


def list_sent(simulator: TelegramSimulator, body: Body) -> object:
    """The messages of the bot, oldest first."""
    return {"sent": [asdict(message) for message in simulator.sent]}


def write(simulator: TelegramSimulator, body: Body) -> object:
    """`{"from": 4711, "text": "/bind", "chat"?}`: somebody writes to the bot; what the webhook answered."""
    return asdict(simulator.write(int(body["from"]), str(body["text"]), chat=body.get("chat")))


def deliver(simulator: TelegramSimulator, body: Body) -> object:
    """Post any update, such as one that was delivered before."""
    return asdict(simulator.deliver(body))


def redeliver(simulator: TelegramSimulator, body: Body) -> object:
    """Try what waits once more."""
    return {"deliveries": [asdict(delivery) for delivery in simulator.redeliver()]}


def set_person(simulator: TelegramSimulator, body: Body) -> object:
    """`{"id": 4711, "first_name"?, "username"?, "blocks"?}`: somebody opens a chat with the bot, or blocks it."""
    person = simulator.person(int(body["id"]))
    for name in ("first_name", "username", "blocks"):
        setattr(person, name, body.get(name, getattr(person, name)))
    return asdict(person)


def add_fault(simulator: TelegramSimulator, body: Body) -> object:
    """A fault, with the fields of `Fault`."""
    return asdict(simulator.fail(**body))


def clear_faults(simulator: TelegramSimulator, body: Body) -> object:
    """No faults."""
    simulator.faults = []
    return {}


def _route(simulator: TelegramSimulator, method: str, path: str, control: Control) -> Route:
    async def respond(request: Request) -> Response:
        try:
            body: Body = await request.json() if await request.body() else {}
            # In a thread: delivering makes the webhook call this server back.
            return JSONResponse(await asyncio.to_thread(control, simulator, body))
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 422)

    return Route("/_simulator" + path, respond, methods=[method])
