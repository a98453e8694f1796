"""A simulated Telegram: the Bot API for one bot, people who write to it, its webhook, and faults on demand.

simulator = Simulator()
with running(create_app(simulator)) as base_url:
    …                                     # TELEGRAM_API_BASE_URL=base_url, TELEGRAM_BOT_TOKEN=simulator.token
    simulator.write(4711, "/bind")        # delivered to the webhook that was set
    simulator.sent[-1].text               # what the bot answered
"""

from proofdesk_simulators.telegram.app import create_app
from proofdesk_simulators.telegram.simulator import TelegramSimulator

__all__ = ["TelegramSimulator", "create_app"]
