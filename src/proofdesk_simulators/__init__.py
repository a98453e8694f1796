"""Simulated Chatwoot, OpenAI, Telegram and SMTP servers, for tests, `proofdesk demo` and `proofdesk simulate`."""
