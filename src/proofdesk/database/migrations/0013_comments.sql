-- What tables and columns are for, said in the database itself: whoever asks it with psql reads it there, and
-- docs/data-model.md is written from it. Columns whose name says all have none; `project_id` and `account_scope_id` mean
-- the same everywhere.

-- Who gets in
COMMENT ON TABLE app_users IS 'Accounts. One of them is the owner''s.';
COMMENT ON COLUMN app_users.password_hash IS 'Argon2id.';
COMMENT ON COLUMN app_users.disabled_at IS 'Since when the account may not sign in.';
COMMENT ON COLUMN app_users.last_project_id IS 'The project that the next login begins in.';
COMMENT ON TABLE sessions IS 'Who is signed in. The row goes with logout and after its end.';
COMMENT ON COLUMN sessions.id_hash IS 'SHA-256 of the cookie: a stolen table opens no session.';
COMMENT ON COLUMN sessions.csrf_token IS 'What the header x-csrf-token must carry.';
COMMENT ON TABLE rate_limits IS 'Tries in fixed windows: logins, signups, PINs, calls of the webhook.';
COMMENT ON COLUMN rate_limits.subject IS 'An address, or the hash of a username: people type passwords into that field.';
COMMENT ON TABLE app_settings IS 'What the installation keeps for itself, such as a key it made.';
COMMENT ON TABLE signup_requests IS 'People who wait for a PIN; the row goes when they have an account, or an hour after it expired.';
COMMENT ON COLUMN signup_requests.pin_hash IS 'HMAC of id and PIN, under a key that is not in the database.';
COMMENT ON COLUMN signup_requests.address IS 'From where it was asked for.';
COMMENT ON TABLE telegram_owner IS 'The one Telegram account that PINs are sent to.';
COMMENT ON COLUMN telegram_owner.only_one IS 'Always true: as the key, it keeps the table to one row.';
COMMENT ON TABLE telegram_bind_codes IS 'The one-time code that makes a Telegram account the owner''s; one at most.';
COMMENT ON COLUMN telegram_bind_codes.only_one IS 'Always true: as the key, it keeps the table to one row.';
COMMENT ON TABLE telegram_updates IS 'Updates that were handled: Telegram sends one again until it is answered.';

-- Projects
COMMENT ON TABLE account_scopes IS 'Customers, or whatever else projects are grouped by.';
COMMENT ON TABLE projects IS 'What is kept apart: its sources, its people, its data.';
COMMENT ON COLUMN projects.archived_at IS 'Since when nobody enters it; its data stays.';
COMMENT ON COLUMN projects.first_bound_at IS 'When it first had a source: it is not given the default account again.';
COMMENT ON TABLE project_members IS 'Who may enter a project. The owner may enter all and is not listed.';
COMMENT ON TABLE project_sources IS 'What a project reads: accounts of Chatwoot, or inboxes.';
COMMENT ON COLUMN project_sources.external_id IS 'An account, or account:inbox.';
COMMENT ON TABLE source_claims IS 'Which project owns a source, for all projects in one place: a source belongs to one.';
COMMENT ON TABLE project_counts IS 'How many there are of what a project holds, counted by triggers.';
COMMENT ON COLUMN project_counts.kind IS 'contacts, conversations, messages, the state of a chunk, or outbound with channel and state.';
COMMENT ON COLUMN project_counts.backend IS 'The connection that counts in this row, so that writers never wait; 0 for those that ended.';
COMMENT ON COLUMN project_counts.n IS 'To be added up over backends; one alone may be below zero.';

-- The mirror of Chatwoot
COMMENT ON TABLE cw_inboxes IS 'Inboxes as Chatwoot names them.';
COMMENT ON TABLE cw_contacts IS 'People as Chatwoot knows them.';
COMMENT ON TABLE cw_conversations IS 'Conversations, and how far each was read and worked up.';
COMMENT ON COLUMN cw_conversations.conversation_id IS 'The display id: the number in Chatwoot''s addresses.';
COMMENT ON COLUMN cw_conversations.read_mark IS 'What the list said when its messages were last read to the end; null while they were not.';
COMMENT ON COLUMN cw_conversations.message_cursor IS 'Reading goes on after this message; it lies some back, since ids become visible out of order.';
COMMENT ON COLUMN cw_conversations.content_version IS 'Counts changes of the content.';
COMMENT ON COLUMN cw_conversations.chunked_version IS 'The version that chunks were cut from.';
COMMENT ON COLUMN cw_conversations.indexed_version IS 'The version that words were taken from.';
COMMENT ON TABLE cw_messages IS 'Messages. What was deleted there keeps its row, and none of its text.';
COMMENT ON COLUMN cw_messages.content IS 'As Chatwoot stores it; its deletion notice once it was deleted.';
COMMENT ON COLUMN cw_messages.private IS 'A note among agents.';
COMMENT ON COLUMN cw_messages.source_id IS 'The id that the channel gave it.';
COMMENT ON TABLE sync_watermarks IS 'How far each source is read.';
COMMENT ON COLUMN sync_watermarks.cursor_ts IS 'Everything that changed before is stored.';
COMMENT ON TABLE sync_quarantine IS 'What could not be stored, and why; every run tries again.';
COMMENT ON COLUMN sync_quarantine.entity_id IS 'As Chatwoot gave it: it may be what is wrong.';
COMMENT ON COLUMN sync_quarantine.payload IS 'JSON in ASCII: jsonb cannot hold what is wrong with it.';

-- Chunks, vectors, words
COMMENT ON TABLE rag_chunks IS 'Texts of a size to be embedded, each pointing at a message.';
COMMENT ON COLUMN rag_chunks.covers IS 'The messages whose text it holds: short ones join their neighbours.';
COMMENT ON COLUMN rag_chunks.sender_types IS 'Of all the messages it covers.';
COMMENT ON COLUMN rag_chunks.context IS 'What is embedded before the text, so that it can be understood alone.';
COMMENT ON COLUMN rag_chunks.content_hash IS 'Of context and text: what a vector stands for.';
COMMENT ON COLUMN rag_chunks.embedding_status IS 'pending, processing, ready or failed.';
COMMENT ON COLUMN rag_chunks.embedding_model IS 'The model that made it ready or failed.';
COMMENT ON COLUMN rag_chunks.attempts IS 'Claims that ended in neither.';
COMMENT ON COLUMN rag_chunks.created_at IS 'When the message was written.';
COMMENT ON TABLE rag_vectors IS 'Vectors of chunks, by model: the one in use, and the one that is being built.';
COMMENT ON TABLE rag_models IS 'The models of a project; a complete one is searched.';
COMMENT ON COLUMN rag_models.complete_at IS 'When every chunk had a vector of it.';
COMMENT ON TABLE search_postings IS 'The words of each conversation.';
COMMENT ON COLUMN search_postings.term IS 'A stem, or an exact token such as a number. '''' is the conversation itself, '':german'' its language.';
COMMENT ON COLUMN search_postings.tf IS 'Weighted occurrences, in tenths.';
COMMENT ON COLUMN search_postings.length IS 'Weighted words of the conversation, in tenths.';
COMMENT ON TABLE search_terms IS 'How rare each word is in the project, counted by triggers.';
COMMENT ON COLUMN search_terms.df IS 'Conversations that hold it.';
COMMENT ON COLUMN search_terms.total IS 'Sum of tf.';

-- Outbound
COMMENT ON TABLE outbound_messages IS 'What is drafted, approved and sent; a trigger refuses every way that is not drawn.';
COMMENT ON COLUMN outbound_messages.recipient_ref IS 'A contact or conversation, an address, or a chat, as the channel takes it.';
COMMENT ON COLUMN outbound_messages.content_hash IS 'Of channel, recipient and payload; the database works it out.';
COMMENT ON COLUMN outbound_messages.approved_hash IS 'The content that was approved: another one has to be approved again.';
COMMENT ON COLUMN outbound_messages.request_hash IS 'Of all that was asked for: tells a replay from another request with the same key.';
COMMENT ON COLUMN outbound_messages.dedupe_key IS 'No two messages that may still go out, or went, have the same.';
COMMENT ON COLUMN outbound_messages.policy_ids IS 'The recipient''s policies when it was last decided about.';
COMMENT ON COLUMN outbound_messages.retry_count IS 'Failed attempts that another one was granted for.';
COMMENT ON COLUMN outbound_messages.next_attempt_at IS 'Null: nothing more happens without a person.';
COMMENT ON COLUMN outbound_messages.last_error IS 'One of the fixed codes of the API.';
COMMENT ON TABLE outbound_attempts IS 'Every call of a provider, written before it is made.';
COMMENT ON COLUMN outbound_attempts.lease_until IS 'Without an outcome by then it counts as lost.';
COMMENT ON COLUMN outbound_attempts.outcome IS 'Null while it is under way.';
COMMENT ON TABLE contact_channel_policies IS 'What a contact allows on a channel, and how many messages they received.';
COMMENT ON COLUMN contact_channel_policies.contact_global_id IS 'Or the address of somebody who is no contact.';
COMMENT ON COLUMN contact_channel_policies.stop_on_reply IS 'An answer after the approval stops the message.';
COMMENT ON COLUMN contact_channel_policies.sent_in_window IS 'Against frequency_cap, since window_started_at.';
COMMENT ON TABLE contact_channel_names IS 'The names by which a policy was met: an opt-out survives a change of address.';

-- Jobs
COMMENT ON TABLE scheduled_jobs IS 'When each job of a project runs next.';
COMMENT ON COLUMN scheduled_jobs.failures IS 'In a row: they make the pauses between tries longer.';
COMMENT ON COLUMN scheduled_jobs.paused_cause IS 'Why it paused itself; null when a person paused it.';
COMMENT ON TABLE worker_runs IS 'What ran, for whom, and how it ended.';
COMMENT ON COLUMN worker_runs.trigger IS 'manual, schedule, webhook or cli.';
COMMENT ON COLUMN worker_runs.error_details IS 'The request to the upstream that failed, if that was it.';
COMMENT ON COLUMN worker_runs.runner IS 'The process that carries it out.';
COMMENT ON COLUMN worker_runs.heartbeat_at IS 'A run that is silent for long is taken from its process.';
COMMENT ON COLUMN worker_runs.cancel_requested_at IS 'Its process sees this with the next heartbeat.';
COMMENT ON TABLE workers IS 'Which worker processes live.';
COMMENT ON TABLE run_totals IS 'How many runs ever ended: history is removed, a number that is watched must not fall.';
COMMENT ON COLUMN run_totals.lane IS 'One of several rows to add to, so that runs rarely wait for each other.';

-- Audit
COMMENT ON TABLE audit_events IS 'Who did what. Nobody can change a row; each holds the hash of the one before.';
COMMENT ON COLUMN audit_events.id IS 'Of all chains together; grows within each.';
COMMENT ON COLUMN audit_events.project_id IS 'Null for logins and accounts, which form a chain of their own.';
COMMENT ON COLUMN audit_events.actor_user_id IS 'No reference: the record outlives the account.';
COMMENT ON COLUMN audit_events.evidence_refs IS 'Without their snippets, which may have to be erased.';
COMMENT ON COLUMN audit_events.hash IS 'Of previous_hash and everything else in the row.';
COMMENT ON TABLE audit_heads IS 'Where each chain ends: its lock, and the proof that the end was not cut off.';
COMMENT ON TABLE evidence_items IS 'What events cite, to be searched; the text goes when the message goes.';
COMMENT ON COLUMN evidence_items.source_table IS 'Null for what is outside.';
COMMENT ON COLUMN evidence_items.source_pk IS 'The reference as it was given.';

COMMENT ON TABLE schema_migrations IS 'Which migrations were applied.';
