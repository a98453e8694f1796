"""Serving the simulator as its own process."""

from proofdesk_simulators import serving
from proofdesk_simulators.chatwoot.app import create_app
from proofdesk_simulators.chatwoot.simulator import ChatwootSimulator


async def serve(simulator: ChatwootSimulator, host: str = "127.0.0.1", port: int = 4010) -> None:
    """Serve until cancelled. Attachment links lead to this server, under two host names."""
    simulator.switches.public_url = f"http://{host}:{port}"
    simulator.switches.storage_url = f"http://localhost:{port}"
    try:
        await serving.serve(create_app(simulator), host, port)
    finally:
        simulator.close()
