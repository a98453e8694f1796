"""A simulated mail relay: it records messages, delivers none, and fails on demand.

simulator = Simulator()
with running(simulator) as url:            # SMTP_URL=url
    …
    simulator.taken[-1].letter["Subject"]
"""

from proofdesk_simulators.smtp.control import create_app
from proofdesk_simulators.smtp.serving import running, serve
from proofdesk_simulators.smtp.simulator import SmtpSimulator

__all__ = ["SmtpSimulator", "create_app", "running", "serve"]
