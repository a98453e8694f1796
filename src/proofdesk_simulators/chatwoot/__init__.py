"""A simulated Chatwoot 4.15.1: the application API, signed webhooks, and controls over what goes wrong.

simulator = build("studio")
with running(create_app(simulator)) as base_url:
    httpx2.get(f"{base_url}/api/v1/profile", headers={"Api-Access-Token": simulator.admin_token})
"""

from proofdesk_simulators.chatwoot.app import create_app
from proofdesk_simulators.chatwoot.building import build
from proofdesk_simulators.chatwoot.installation import ADMIN_TOKEN, Installation
from proofdesk_simulators.chatwoot.serving import serve
from proofdesk_simulators.chatwoot.simulator import ChatwootSimulator

__all__ = ["ADMIN_TOKEN", "ChatwootSimulator", "Installation", "build", "create_app", "serve"]
