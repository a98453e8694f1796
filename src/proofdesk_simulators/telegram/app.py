"""The ASGI application: `/bot<token>/<method>` as Telegram responds, and faults on demand."""

import asyncio
import re
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from proofdesk_simulators.serving import ConnectionCut
from proofdesk_simulators.telegram import control
from proofdesk_simulators.telegram.methods import METHODS
from proofdesk_simulators.telegram.simulator import CATALOGUE, CUT, LOST_REPLY, PAGE, TelegramRefusal, TelegramSimulator

_TOKEN = re.compile(r"\d+:[\w-]+", re.ASCII)


class CutResponse(Response):
    """A response that starts and then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise ConnectionCut("the simulated server closed the connection")


def create_app(simulator: TelegramSimulator) -> ASGIApp:
    """Return the Bot API with the controls under `/_simulator/`."""

    async def call(request: Request) -> Response:
        method = request.path_params["method"]
        calls = simulator.calls  # a call that ends after a reset belongs to what was before it
        try:
            answer = await _answer(simulator, request, method)
        except TelegramRefusal as refusal:
            answer = _refused(refusal)
        calls.append((method, answer.status_code))
        return answer

    async def unknown(request: Request, error: Exception) -> Response:
        return _refused(TelegramRefusal(404, "Not Found"))

    routes = [Route("/bot{token}/{method}", call, methods=["GET", "POST"]), *control.routes(simulator)]
    return Starlette(routes=routes, exception_handlers={404: unknown, 405: unknown})


async def _answer(simulator: TelegramSimulator, request: Request, method: str) -> Response:
    striking = [fault for fault in simulator.faults if fault.strikes(method)]
    await asyncio.sleep(max((fault.delay for fault in striking), default=0.0))
    for fault in striking:
        if fault.kind == CUT:
            return CutResponse()
        if fault.kind == PAGE:
            return PlainTextResponse("<html></html>", media_type="text/html")
        if fault.kind in CATALOGUE:
            raise CATALOGUE[fault.kind]
    _admit(simulator, request.path_params["token"])
    known = METHODS.get(method.lower())
    if known is None:
        raise TelegramRefusal(404, "Not Found")
    params = await _params(request)
    with simulator.lock:
        result, description = known(simulator, params)
    if any(fault.kind == LOST_REPLY for fault in striking):
        return CutResponse()
    return JSONResponse({"ok": True, "result": result} | ({"description": description} if description else {}))


def _admit(simulator: TelegramSimulator, token: str) -> None:
    if token != simulator.token:
        raise TelegramRefusal(401, "Unauthorized") if _TOKEN.fullmatch(token) else TelegramRefusal(404, "Not Found")


async def _params(request: Request) -> dict[str, Any]:
    """Return the parameters of the query, the form or the JSON body."""
    params: dict[str, Any] = dict(request.query_params)
    kind = request.headers.get("content-type", "").split(";")[0]
    if kind == "application/json":
        try:
            body = await request.json()
        except ValueError:
            raise TelegramRefusal(400, "Bad Request: can't parse request JSON object") from None
        return params | (body if isinstance(body, dict) else {})
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return params | dict(await request.form())
    return params


def _refused(refusal: TelegramRefusal) -> Response:
    told: dict[str, Any] = {"ok": False, "error_code": refusal.status, "description": refusal.description}
    headers = {}
    if refusal.parameters:
        told["parameters"] = refusal.parameters
    if "retry_after" in refusal.parameters:
        headers = {"retry-after": str(refusal.parameters["retry_after"])}
    return JSONResponse(told, refusal.status, headers)
