"""The error codes of each route, by status. Codes that follow from rights and parameters: `errors.inherited_codes`.

Every test of the API checks that an error it provokes is in one of the two.
"""

_JOB = {
    409: "chatwoot_source_binding_error job_cancelled",
    502: "chatwoot_sync_failed",
    503: "chatwoot_not_configured",
}

_TRANSITION = {404: "outbound_not_found", 409: "outbound_invalid_state"}

CODES_BY_ROUTE: dict[str, dict[int, str]] = {
    "GET /v1/ready": {503: "database_not_migrated worker_silent"},
    "POST /v1/auth/login": {
        400: "missing_credentials",
        401: "invalid_credentials",
        403: "csrf_invalid",
        429: "login_rate_limited",
    },
    "POST /v1/auth/signup/start": {
        400: "invalid_username invalid_password",
        403: "csrf_invalid",
        409: "telegram_owner_not_bound username_taken",
        429: "signup_rate_limited",
        502: "telegram_send_failed",
        503: "telegram_not_configured",
    },
    "POST /v1/auth/signup/confirm": {
        400: "signup_request_invalid pin_expired",
        401: "invalid_pin",
        403: "csrf_invalid",
        409: "username_taken",
        429: "pin_attempts_exceeded",
    },
    "POST /v1/auth/telegram/webhook": {
        401: "invalid_webhook_secret",
        429: "webhook_rate_limited",
        503: "telegram_not_configured",
    },
    "POST /v1/projects": {400: "invalid_name"},
    "PATCH /v1/projects/{project_id}": {400: "invalid_name"},
    "PUT /v1/projects/{project_id}/members/{username}": {404: "user_not_found"},
    "DELETE /v1/projects/{project_id}/members/{username}": {404: "member_not_found"},
    "POST /v1/projects/{project_id}/sources": {400: "invalid_source", 403: "forbidden", 409: "source_already_bound"},
    "DELETE /v1/projects/{project_id}/sources/{source_id}": {403: "forbidden", 404: "source_not_found"},
    "POST /v1/jobs/chatwoot/sync": _JOB,
    "POST /v1/jobs/chatwoot/reconcile": _JOB,
    "POST /v1/jobs/embeddings/run": {409: "job_cancelled", 502: "embeddings_job_failed", 503: "openai_not_configured"},
    "POST /v1/jobs/embeddings/failed/retry": {404: "failed_chunk_not_found"},
    "POST /v1/jobs/embeddings/failed/skip": {404: "failed_chunk_not_found"},
    "POST /v1/jobs/commitments/run": {409: "job_cancelled", 502: "commitments_job_failed"},
    "GET /v1/commitments": {400: "invalid_commitment"},
    "PATCH /v1/commitments/{commitment_id}": {400: "invalid_commitment", 404: "commitment_not_found"},
    "GET /v1/jobs/runs/{run_id}": {404: "run_not_found"},
    "POST /v1/jobs/runs/{run_id}/cancel": {404: "run_not_found", 409: "run_is_over"},
    "PATCH /v1/jobs/scheduler/{job_type}": {404: "job_type_not_found"},
    "POST /v1/outbound/draft": {
        400: "invalid_channel invalid_recipient_ref idempotency_key_required invalid_payload invalid_evidence_ref",
        409: "idempotency_conflict duplicate_outbound",
    },
    "POST /v1/outbound/opt-out": {400: "invalid_opt_out_payload invalid_channel invalid_evidence_ref"},
    "POST /v1/outbound/kill-switch": {400: "invalid_kill_switch", 403: "forbidden"},
    "PUT /v1/outbound/rules": {400: "invalid_outbound_rules"},
    "POST /v1/suppressions": {400: "invalid_suppression invalid_channel"},
    "DELETE /v1/suppressions": {400: "invalid_suppression invalid_channel", 404: "suppression_not_found"},
    "GET /v1/outbound/{outbound_id}": {404: "outbound_not_found"},
    "PATCH /v1/outbound/{outbound_id}": {
        400: "invalid_recipient_ref invalid_payload invalid_evidence_ref",
        404: "outbound_not_found",
        409: "outbound_invalid_state outbound_edited",
    },
    "GET /v1/outbound/{outbound_id}/preflight": {404: "outbound_not_found"},
    "POST /v1/outbound/{outbound_id}/approve": {400: "invalid_evidence_ref", 403: "four_eyes_required", **_TRANSITION},
    "POST /v1/outbound/{outbound_id}/send": {
        404: "outbound_not_found",
        409: "outbound_invalid_state outbound_blocked_opt_out outbound_blocked_stop_on_reply outbound_suppressed"
        " outbound_kill_switch_on",
        429: "frequency_cap_reached",
        502: "outbound_send_failed",
        503: "outbound_reply_unconfirmed",
    },
    "POST /v1/outbound/{outbound_id}/assign": {400: "invalid_approver", **_TRANSITION},
    "POST /v1/outbound/{outbound_id}/cancel": _TRANSITION,
    "POST /v1/outbound/{outbound_id}/retry": _TRANSITION,
    "POST /v1/outbound/{outbound_id}/redraft": {
        404: "outbound_not_found",
        409: "outbound_invalid_state duplicate_outbound",
    },
    "POST /v1/search": {400: "query_required", 502: "embedding_unavailable", 503: "openai_not_configured"},
    "POST /v1/answers": {
        400: "question_required",
        429: "answer_budget_exceeded",
        502: "answer_model_failed",
    },
    "GET /v1/answers/{answer_id}": {404: "answer_not_found"},
    "POST /v1/answers/{answer_id}/feedback": {404: "answer_not_found"},
    "PUT /v1/digest": {400: "invalid_digest", 403: "forbidden"},
    "POST /v1/incidents/{incident_id}/acknowledge": {404: "incident_not_found", 409: "incident_closed"},
    "POST /v1/runbooks/{slug}/run": {404: "runbook_not_found"},
    "GET /v1/runbooks/{slug}/evidence": {404: "runbook_not_found"},
    "GET /v1/messages": {404: "message_not_found conversation_not_found"},
    "GET /v1/webhooks/unsubscribe/{token}": {404: "unsubscribe_link_invalid"},
    "POST /v1/webhooks/unsubscribe/{token}": {404: "unsubscribe_link_invalid"},
    "GET /v1/conversations/{conversation_id}/thread": {404: "conversation_not_found"},
}

# Meanings of codes that have no class of their own, or several meanings.
MEANINGS = {
    "chatwoot_not_configured": "CHATWOOT_BASE_URL or CHATWOOT_API_TOKEN is not set.",
    "chatwoot_source_binding_error": "The project has no source, or CHATWOOT_ACCOUNT_ID is bound to another project.",
    "database_not_migrated": "The database schema is older than this version of Proofdesk. Run `proofdesk migrate`.",
    "database_unavailable": "The database cannot be reached or does not respond.",
    "forbidden": "The owner, or the role of the user in the project, does not allow this.",
    "internal_error": "Proofdesk failed unexpectedly. The log shows the cause under the request id.",
    "invalid_name": "A project name must have 2 to 160 characters.",
    "invalid_password": "A password must have 8 to 128 characters.",
    "invalid_project_id": "A project id must be a UUID.",
    "invalid_source": "The kind or id of the source is invalid.",
    "invalid_username": "A username must have 3 to 32 characters of a-z 0-9 . _ -",
    "job_cancelled": "The run was cancelled.",
    "payload_too_large": "The body is longer than 256 KiB.",
    "worker_silent": "No worker has sent a heartbeat recently, so no jobs run.",
}
