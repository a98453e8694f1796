"""A parsed and authorised request, as handlers get it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import QueryParams
from starlette.requests import Request

from proofdesk_simulators.chatwoot import access
from proofdesk_simulators.chatwoot.installation import Caller, Installation
from proofdesk_simulators.chatwoot.records import Account, AgentBot, Attributes, User
from proofdesk_simulators.chatwoot.refusals import not_found, refuse
from proofdesk_simulators.chatwoot.routes.multipart import UploadedFile, parse
from proofdesk_simulators.chatwoot.simulator import ChatwootSimulator


class Empty:
    """A 200 response without a body."""


@dataclass(slots=True)
class Call:
    """Path, query, body and files of a request, with its authorised caller and account."""

    simulator: ChatwootSimulator
    path: Mapping[str, int]
    query: QueryParams
    body: object
    files: list[UploadedFile]
    found_caller: Caller | None = None
    found_account: Account | None = None
    values: Attributes = field(default_factory=dict[str, object])

    @property
    def installation(self) -> Installation:
        return self.simulator.installation

    @property
    def caller(self) -> Caller:
        if self.found_caller is None:
            raise refuse("401_no_token")
        return self.found_caller

    @property
    def account(self) -> Account:
        if self.found_account is None:
            raise not_found()
        return self.found_account

    @property
    def actor(self) -> User | AgentBot:
        return access.require_user_or_bot(self.caller)

    @property
    def viewer_id(self) -> int | None:
        return self.caller.id if isinstance(self.caller, User) else None

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        return None if value is None else str(value)

    def number(self, name: str) -> int | None:
        """Return an integer of the body, or None if it is not a number."""
        value = self.values.get(name)
        if isinstance(value, bool) or value is None:
            return None
        text = str(value)
        return int(text) if text.isdecimal() else None

    def attributes(self, name: str) -> Attributes:
        """Return an object of the body. A multipart request sends it as JSON text."""
        value = self.values.get(name)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return {}
        return value if isinstance(value, dict) else {}


Handler = Callable[[Call], object]


async def read(request: Request, simulator: ChatwootSimulator) -> Call:
    """Parse path, query and body. Raises ChatwootRefusal 400 for invalid JSON."""
    raw = await request.body()
    kind = request.headers.get("content-type", "")
    body: object = None
    files: list[UploadedFile] = []
    if raw and kind.startswith("multipart/form-data"):
        body, files = parse(kind, raw)
    elif raw:
        try:
            body = json.loads(raw)
        except ValueError:
            raise refuse("400") from None
    path = {name: int(value) for name, value in request.path_params.items()}
    query = QueryParams() if simulator.switches.drop_queries else request.query_params
    return Call(simulator, path, query, body, files, values=body if isinstance(body, dict) else {})


def token(request: Request, installation: Installation) -> str | None:
    """Return the token. Both spellings of the header are one to the server; sending both gives an invalid token."""
    headers = request.headers.getlist("api-access-token")
    if not installation.switches.drop_underscore_headers:
        headers = request.headers.getlist("api_access_token") + headers
    return ", ".join(headers) if headers else None
