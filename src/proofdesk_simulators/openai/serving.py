"""Serving the simulator as its own process."""

from proofdesk_simulators import serving
from proofdesk_simulators.openai.app import create_app
from proofdesk_simulators.openai.simulator import OpenAISimulator


async def serve(simulator: OpenAISimulator, host: str = "127.0.0.1", port: int = 4020) -> None:
    """Serve until cancelled."""
    await serving.serve(create_app(simulator), host, port)
