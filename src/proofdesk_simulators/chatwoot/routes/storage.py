"""Attachment links: a redirect without a token, and the file store it leads to."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from proofdesk_simulators.chatwoot.records import Attachment
from proofdesk_simulators.chatwoot.refusals import CATALOGUE
from proofdesk_simulators.chatwoot.routes import reply
from proofdesk_simulators.chatwoot.simulator import ChatwootSimulator

Endpoint = Callable[[Request], Response]


def redirect(simulator: ChatwootSimulator) -> Endpoint:
    """Redirect (302) to the file store, whose URL is short-lived."""

    def respond(request: Request) -> Response:
        file = simulator.installation.files.get(request.path_params["file_id"])
        if file is None:
            return reply.error_response(CATALOGUE["404_page"])
        store = simulator.switches.storage_url
        return RedirectResponse(f"{store}/_storage/{file.id}/{file.filename}", 302)

    return respond


def download(simulator: ChatwootSimulator) -> Endpoint:
    """Return the file, or 404 until it is in the store."""

    def respond(request: Request) -> Response:
        file = simulator.installation.files.get(request.path_params["file_id"])
        ready_after = simulator.switches.attachment_ready_after
        if file is None or simulator.installation.now() < file.created_at + ready_after:
            return Response(status_code=404)
        return Response(_content(file), media_type=file.content_type)

    return respond


def _content(file: Attachment) -> bytes:
    """Return the uploaded bytes, or for sample files as many bytes as their size says."""
    if file.data is not None:
        return file.data
    name = file.filename.encode() + b"\n"
    return (name * (file.file_size // len(name) + 1))[: file.file_size]
