"""Proofs of the operators' page about signing in, signing up and outbound messages."""

import re

from pydantic import SecretStr

from proofdesk.accounts import telegram
from proofdesk.audit.events import system_actor
from proofdesk.runbooks import registry
from proofdesk.settings import Settings
from proofdesk_simulators import smtp
from tests.runbooks import walk
from tests.runbooks.installation import WEBHOOK_SECRET
from tests.runbooks.walk import Walk, proves
from tests.support.server import PASSWORD

PEOPLE = {"username": "noor", "password": "a long enough password"}
MESSAGE = {"channel": "email", "payload": {"subject": "Your lamp", "text": "It is repaired."}, "max_retries": 3}


# Auth loop / unauthorized -----------------------------------------------------------------------------------------


@proves("- UI redirects back to login or API returns 401/403.")
async def _without_a_session_one_is_led_to_the_login(w: Walk) -> None:
    async with w.nobody() as browser:
        assert (await browser.get("/projects")).status_code == 401
        led = await browser.get("/jobs", headers=walk.HTML)
    assert (led.status_code, led.headers["location"]) == (303, "/login?next=/jobs")


@proves("- Browser devtools: cookie is set and sent.", "- Reverse proxy: cookies are not stripped.")
async def _the_cookie_is_looked_for(w: Walk) -> None:
    body = {"username": "walker", "password": PASSWORD}
    async with w.nobody() as browser:
        set_cookie = (await browser.post("/auth/login", json=body)).headers.get_list("set-cookie")
        assert (await browser.get("/auth/me")).json()["authenticated"]
    async with w.nobody() as stripped:
        assert (await stripped.post("/auth/check")).json()["cause"]["check"] == "cookie"
    assert any(c.startswith("sid=") and "HttpOnly" in c and "Secure" in c for c in set_cookie)
    assert next(c for c in (await w.post("/runbooks/auth-loop/run"))["checks"] if c["id"] == "cookie")["status"] == "ok"


@proves(
    "- Browser request headers include `x-csrf-token` for protected POST endpoints.",
    "- If 403 `csrf_invalid`: clear browser cookies and login again.",
)
async def _a_change_without_the_token_is_refused(w: Walk) -> None:
    token = w.client.headers.pop("x-csrf-token")
    refused = await w.client.post("/projects", json={"name": "No token"})
    assert (refused.status_code, refused.json()["error"]) == (403, "csrf_invalid")
    assert refused.json()["details"]["runbook"] == "auth-loop"
    assert any(
        "Clear the browser's cookies" in fix.label for c in registry.get_runbook("auth-loop").checks for fix in [c.fix]
    )
    w.client.headers["x-csrf-token"] = token
    assert (await w.post("/projects", name="With a token"))["ok"]


@proves(
    "- Server env: `CORS_ORIGIN` matches UI origin.",
    "- Align `CORS_ORIGIN` and proxy settings, then re-login.",
    "- Response headers",
)
async def _an_origin_that_is_not_named_is_the_cause(w: Walk) -> None:
    w.client.headers["origin"] = "https://ui.example.org"
    assert await w.cause("auth-loop") == "origin"
    async with w.when(cors_origin="https://ui.example.org") as aligned:
        assert await aligned.cause("auth-loop") == ""
        response = await aligned.client.get("/auth/me")
        assert response.headers["access-control-allow-origin"] == "https://ui.example.org"
        assert "access-control-allow-origin" in (await aligned.evidence("auth-loop"))["report"]
    del w.client.headers["origin"]


@proves("- Server logs around auth", "- Backend logs around `/auth/telegram/webhook` and `/auth/signup/start`")
async def _the_log_is_in_the_bundle(w: Walk) -> None:
    for slug in ("auth-loop", "signup-disabled"):
        assert "Log of this process" in (await w.evidence(slug))["report"]


# Signup disabled / PIN flow unavailable ---------------------------------------------------------------------------


@proves("- On `/login`, account creation flow is disabled or cannot send PIN.", "- Configure Telegram bot token.")
async def _without_a_bot_the_login_page_says_so(w: Walk) -> None:
    async with w.when(telegram_bot_token=None) as without:
        status = await without.get("/auth/signup/status")
        assert not status["enabled"] and not status["has_telegram_token"]
        async with without.nobody() as browser:
            assert "TELEGRAM_BOT_TOKEN" in (await browser.get("/login", headers=walk.HTML)).text
            started = await browser.post("/auth/signup/start", json=PEOPLE)
        assert started.json()["error"] == "telegram_not_configured"


@proves(
    "- `GET /auth/signup/status` response:",
    "- `has_telegram_token`",
    "- `owner_bound`",
    "- `/auth/signup/status` payload",
)
async def _the_status_tells_both(w: Walk) -> None:
    status = await w.get("/auth/signup/status")
    assert (status["enabled"], status["has_telegram_token"], status["owner_bound"]) == (True, True, True)
    assert "owner_bound" in (await w.evidence("signup-disabled"))["report"]


@proves(
    "- Server env:",
    "- `TELEGRAM_BOT_TOKEN`",
    "- `TELEGRAM_WEBHOOK_SECRET` (if used)",
    "- `SIGNUP_PIN_SECRET` (optional)",
    "- Telegram webhook delivery status",
)
async def _the_bot_and_its_webhook_are_looked_at(w: Walk) -> None:
    assert {"TELEGRAM_BOT_TOKEN", "TELEGRAM_WEBHOOK_SECRET", "SIGNUP_PIN_SECRET"} <= set(
        registry.get_runbook("signup-disabled").variables
    )
    async with w.when(telegram_bot_token=SecretStr("1:another")) as wrong:
        assert "TELEGRAM_BOT_TOKEN" in str((await wrong.post("/runbooks/signup-disabled/run"))["fixes"])
    refused = await w.client.post("/auth/telegram/webhook", json={"update_id": 1})
    assert refused.json()["error"] == "invalid_webhook_secret"
    assert "webhook" in (await w.evidence("signup-disabled"))["report"].lower()


@proves(
    "- Telegram owner binding:",
    "- send `/bind` to bot and verify owner is stored.",
    "- Bind owner via webhook flow (`/bind` from target owner account).",
)
async def _bind_makes_the_owner(w: Walk) -> None:
    w.installation.sql("DELETE FROM telegram_owner")
    assert (await w.get("/auth/signup/status"))["owner_bound"] is False
    settings = Settings(**w.installation.settings)
    code, _ = await telegram.create_bind_code(w.installation.db, settings, system_actor())
    update = w.installation.telegram.update(4711, f"/bind {code}")
    secret = {"x-telegram-bot-api-secret-token": WEBHOOK_SECRET}
    assert (await w.client.post("/auth/telegram/webhook", json=update, headers=secret)).json()["owner_bound"] is True
    assert w.installation.rows("SELECT user_id FROM telegram_owner") == [(4711,)]


@proves("- Retry `POST /auth/signup/start`.")
async def _the_pin_is_sent(w: Walk) -> None:
    assert (await w.post("/auth/signup/start", **PEOPLE))["message"] == "pin_sent"
    assert re.search(r"\b\d{6}\b", w.installation.telegram.sent[-1].text)


# Outbound delivery blocked or failing -----------------------------------------------------------------------------


async def _written(w: Walk, to: str) -> str:
    made = await w.post("/outbound/draft", **MESSAGE, recipient_ref=to, idempotency_key=f"for {to}")
    return made["outbound"]["id"]


@proves(
    "- Outbound remains `draft/approved/failed/blocked_opt_out` and does not reach `sent`.",
    "- `GET /outbound` item status and `last_error`.",
)
async def _each_state_is_shown(w: Walk) -> None:
    w.seen["draft"], w.seen["approved"] = await _written(w, "ann@example.com"), await _written(w, "bo@example.com")
    w.seen["blocked"] = await _written(w, "cy@example.com")
    for name in ("approved", "blocked"):
        await w.post(f"/outbound/{w.seen[name]}/approve")
    await w.post("/outbound/opt-out", contact_global_id="cy@example.com", channel="email", opted_out=True)
    assert (await w.post(f"/outbound/{w.seen['blocked']}/send"))["error"] == "outbound_blocked_opt_out"
    result = {o["id"]: (o["status"], o["last_error"]) for o in (await w.get("/outbound"))["outbound"]}
    assert result[w.seen["draft"]] == ("draft", None) and result[w.seen["approved"]][0] == "approved"
    assert result[w.seen["blocked"]] == ("blocked_opt_out", "recipient_opted_out")


@proves(
    "- Verify policy row in `contact_channel_policies`:",
    "- `opted_out`",
    "- `stop_on_reply`",
    "- frequency counters/caps",
    "- policy values for affected contact/channel",
)
async def _the_policy_is_a_row(w: Walk) -> None:
    columns = "opted_out, stop_on_reply, frequency_cap, frequency_window_hours, sent_in_window"
    row = f"SELECT {columns} FROM contact_channel_policies WHERE contact_global_id = 'cy@example.com'"
    assert w.installation.rows(row) == [(True, True, 3, 24, 0)]
    shown = (await w.get("/outbound/policies?contact_global_id=cy@example.com"))["policies"]
    assert [(p["channel"], p["opted_out"], p["frequency_cap"]) for p in shown] == [("email", True, 3)]
    assert "frequency_cap" in (await w.evidence("outbound-blocked"))["report"]


@proves("- For `blocked_opt_out`: only explicit opt-in policy change can unlock.")
async def _only_an_opt_in_unlocks(w: Walk) -> None:
    message = w.seen["blocked"]
    for verb in ("send", "retry", "redraft"):
        assert (await w.client.post(f"/outbound/{message}/{verb}")).status_code == 409, verb
    opt_in = {"contact_global_id": "cy@example.com", "channel": "email", "opted_out": False}
    assert (await w.post("/outbound/opt-out", **opt_in))["error"] == "invalid_opt_out_payload"
    assert (await w.post("/outbound/opt-out", **opt_in, reason="asked for it"))["policy"]["opted_out"] is False
    assert (await w.post(f"/outbound/{message}/redraft"))["outbound"]["status"] == "draft"


@proves(
    "- For provider errors: fix payload/provider config and retry via `/outbound/process`.",
    "- Check `outbound_attempts` history.",
)
async def _a_provider_that_refuses_is_mended_and_asked_again(w: Walk) -> None:
    message = w.seen["approved"]
    async with w.when(smtp_url=SecretStr("smtp://127.0.0.1:9?tls=none"), smtp_from="desk@example.com") as gone:
        assert (await gone.post(f"/outbound/{message}/send"))["error"] == "outbound_send_failed"
        assert (await gone.get(f"/outbound/{message}"))["outbound"]["last_error"].startswith("provider_error: ")
    w.installation.sql("UPDATE outbound_messages SET next_attempt_at = now() WHERE status = 'failed'")
    with smtp.running(smtp.SmtpSimulator()) as url:
        async with w.when(smtp_url=SecretStr(url), smtp_from="desk@example.com") as mended:
            assert (await mended.post("/outbound/process"))["result"]["sent"] == 1
    outcomes = "SELECT outcome FROM outbound_attempts WHERE outbound_id = %(id)s ORDER BY number"
    assert [row[0] for row in w.installation.rows(outcomes, id=message)][-1] == "sent"
    assert len((await w.get(f"/outbound/{message}"))["attempts"]) == 2


@proves("- For `frequency_cap_reached`: wait for window reset or change cap.")
async def _the_cap_ends_or_is_changed(w: Walk) -> None:
    who = {"contact_global_id": "bo@example.com", "channel": "email"}
    await w.post("/outbound/opt-out", **who, frequency_cap=1)
    second = await w.post("/outbound/draft", **MESSAGE, recipient_ref="bo@example.com", idempotency_key="again")
    message = second["outbound"]["id"]
    await w.post(f"/outbound/{message}/approve")
    with smtp.running(smtp.SmtpSimulator()) as url:
        async with w.when(smtp_url=SecretStr(url), smtp_from="desk@example.com") as mailing:
            held = await mailing.client.post(f"/outbound/{message}/send")
            assert held.json()["error"] == "frequency_cap_reached" and int(held.headers["retry-after"]) > 0
            await mailing.post("/outbound/opt-out", **who, frequency_cap=5)
            assert (await mailing.post(f"/outbound/{message}/send"))["outbound"]["status"] == "sent"


@proves("- outbound payload + status history", "- related `audit_events` (`outbound.*` actions)")
async def _what_was_done_is_recorded(w: Walk) -> None:
    response = await w.get(f"/outbound/{w.seen['approved']}")
    assert response["outbound"]["payload"] == MESSAGE["payload"] and response["history"]
    actions = {row[0] for row in w.installation.rows("SELECT action FROM audit_events WHERE action LIKE 'outbound.%%'")}
    assert actions >= {"outbound.draft", "outbound.approve", "outbound.send", "outbound.opt_out"}
    assert "outbound.approve" in (await w.evidence("outbound-blocked"))["report"]
