"""JSON: the kill switch, and the rules of a project for its outbound messages."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import Field

from proofdesk.http.dependencies import Db, ProjectEditor, ProjectReader
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import json_schema
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema
from proofdesk.outbound import kill_switch, rules
from proofdesk.outbound.kill_switch import MAX_REASON_LENGTH
from proofdesk.outbound.kill_switch_queries import ActiveKillSwitch
from proofdesk.outbound.rules_queries import OutboundRules

router = APIRouter(prefix="/v1/outbound", tags=["outbound"], route_class=JsonRoute)


class KillSwitchBody(JsonBody):
    """Stops all sending, or allows it again."""

    on: Any = Field(None, json_schema_extra=json_schema(type="boolean"))
    reason: Any = Field(
        None,
        description="Required with `on`.",
        json_schema_extra=json_schema(type="string", maxLength=MAX_REASON_LENGTH),
    )
    all_projects: bool = Field(False, description="For every project. Only the owner may do this.")


class KillSwitchSchema(row_schema(ActiveKillSwitch)):
    """Whether all sending is stopped, and by whom. Null where it is not."""

    on: bool
    since: datetime | None
    by: str | None
    reason: str | None


class RulesBody(JsonBody):
    """The rules of a project."""

    send_unconfirmed: Any = Field(
        None,
        description="Send although Chatwoot cannot be asked whether the contact has replied.",
        json_schema_extra=json_schema(type="boolean"),
    )


KillSwitchAnswer = schema("KillSwitch", kill_switch=KillSwitchSchema)
RulesAnswer = schema("OutboundRulesAnswer", rules=OutboundRules)


@router.get("/kill-switch", summary="Get the kill switch", response_model=KillSwitchAnswer)
async def show_kill_switch(db: Db, scope: ProjectReader) -> JsonEnvelope:
    """Whether all sending of the project is stopped."""
    return success(kill_switch=_kill_switch(await kill_switch.load_active(db, scope)))


@router.post("/kill-switch", summary="Stop or allow all sending", response_model=KillSwitchAnswer)
async def switch(db: Db, scope: ProjectEditor, body: KillSwitchBody) -> JsonEnvelope:
    """Takes effect within two seconds, also for messages that a worker has claimed. They keep their approval."""
    active = await kill_switch.switch(db, scope, body.on, body.reason, all_projects=body.all_projects)
    return success(kill_switch=_kill_switch(active))


@router.get("/rules", summary="Get the rules of the project", response_model=RulesAnswer)
async def show_rules(db: Db, scope: ProjectReader) -> JsonEnvelope:
    """What the project decides about its outbound messages."""
    return success(rules=await rules.load_rules(db, scope))


@router.put("/rules", summary="Change the rules of the project", response_model=RulesAnswer)
async def change_rules(db: Db, scope: ProjectEditor, body: RulesBody) -> JsonEnvelope:
    """The change is recorded in the audit log."""
    return success(rules=await rules.change_rules(db, scope, body.send_unconfirmed))


def _kill_switch(active: ActiveKillSwitch | None) -> dict[str, Any]:
    if active is None:
        return {"on": False, "all_projects": False, "since": None, "by": None, "reason": None}
    return {"on": True} | vars(active)
