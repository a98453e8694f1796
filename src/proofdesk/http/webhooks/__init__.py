"""Routes that other programs call: Telegram, and mail programs that unsubscribe."""

from proofdesk.http.webhooks import telegram, unsubscribe

ROUTERS = [telegram.router, unsubscribe.router]
