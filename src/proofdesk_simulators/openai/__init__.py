"""A simulated OpenAI: embeddings in which similar texts are near, with its errors, limits, and faults on demand.

simulator = Simulator()
with running(create_app(simulator)) as base_url:
    openai.OpenAI(api_key="any", base_url=f"{base_url}/v1").embeddings.create(model=…, input=…)
"""

from proofdesk_simulators.openai.app import create_app
from proofdesk_simulators.openai.serving import serve
from proofdesk_simulators.openai.simulator import OpenAISimulator, OpenAISwitches

__all__ = ["OpenAISimulator", "OpenAISwitches", "create_app", "serve"]
