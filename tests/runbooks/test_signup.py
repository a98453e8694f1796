"""The runbook names each cause of a disabled signup."""

import pytest

from proofdesk.accounts import signup
from proofdesk.accounts.bot import TelegramError
from proofdesk.accounts.signup import SignupApplication
from tests.runbooks.faults_signup import SLUG
from tests.runbooks.installation import Installation


async def test_a_pin_that_was_not_sent_is_the_cause(installation: Installation):
    installation.telegram.person(4711).blocks = True
    async with installation.context() as context:
        with pytest.raises(TelegramError):
            application = SignupApplication("newcomer", "a long enough password", "192.0.2.9")
            await signup.start(context.resources.db, context.settings, context.resources.bot, application)
    result = await installation.run(SLUG)
    assert result.cause is not None and result.cause.check == "pins", result


async def test_a_missing_webhook_is_a_warning_once_an_owner_is_bound(installation: Installation):
    installation.telegram.hook.url = ""
    result = await installation.run(SLUG)
    assert [(c.id, c.status) for c in result.checks if c.status != "ok"] == [("webhook", "warn")]
    assert result.fixes[0].command == "proofdesk telegram set-webhook"
