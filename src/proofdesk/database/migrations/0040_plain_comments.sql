-- The comments of tables and columns in plain English. docs/data-model.md is generated from them.

-- Projects
COMMENT ON TABLE account_scopes IS 'Groups of projects, such as one customer of an agency.';
COMMENT ON TABLE projects IS 'Projects. A project isolates its sources, its members and its data.';
COMMENT ON COLUMN projects.archived_at IS 'When the project was archived. Nobody can enter it; its data stays.';
COMMENT ON COLUMN projects.first_bound_at IS 'When the project was first bound to a source. It is not bound to the default account again.';
COMMENT ON TABLE project_members IS 'The members of a project. The owner may enter every project and is not listed.';
COMMENT ON TABLE project_sources IS 'The Chatwoot accounts and inboxes that are bound to a project.';
COMMENT ON COLUMN project_sources.external_id IS 'An account, or account:inbox.';
COMMENT ON TABLE source_claims IS 'The project that each source is bound to. A source belongs to one project only.';
COMMENT ON TABLE project_counts IS 'Row counts of a project, kept by triggers.';
COMMENT ON COLUMN project_counts.kind IS 'contacts, conversations, messages, a chunk status, or outbound with channel and status.';
COMMENT ON COLUMN project_counts.backend IS 'The database connection that updates this row, so that writers never wait; 0 for closed connections.';
COMMENT ON COLUMN project_counts.n IS 'The sum over all backends is the count; a single row may be negative.';

-- Access
COMMENT ON TABLE app_users IS 'User accounts. One of them is the owner.';
COMMENT ON COLUMN app_users.password_hash IS 'An Argon2id hash.';
COMMENT ON COLUMN app_users.disabled_at IS 'When the account was disabled. It cannot sign in.';
COMMENT ON COLUMN app_users.last_project_id IS 'The active project of the next session.';
COMMENT ON TABLE sessions IS 'Open sessions. A row is deleted at logout and when the session expires.';
COMMENT ON COLUMN sessions.id_hash IS 'SHA-256 of the cookie, so that a stolen table opens no session.';
COMMENT ON COLUMN sessions.csrf_token IS 'The value that the header x-csrf-token must contain.';
COMMENT ON TABLE rate_limits IS 'Attempts in fixed time windows: logins, signups, PINs, webhook calls.';
COMMENT ON COLUMN rate_limits.subject IS 'An address, or the hash of a username, because people type passwords into that field.';
COMMENT ON TABLE app_settings IS 'Values that the installation creates for itself, such as a key.';
COMMENT ON TABLE signup_requests IS 'Signups that wait for a PIN. A row is deleted when the account is created, or one hour after it expired.';
COMMENT ON COLUMN signup_requests.pin_hash IS 'HMAC of id and PIN, with a key that is not in the database.';
COMMENT ON COLUMN signup_requests.address IS 'The network address of the request.';
COMMENT ON TABLE telegram_owner IS 'The Telegram account that receives PINs.';
COMMENT ON COLUMN telegram_owner.only_one IS 'Always true: as the key, it limits the table to one row.';
COMMENT ON TABLE telegram_bind_codes IS 'The one-time code that binds the owner''s Telegram account; at most one.';
COMMENT ON COLUMN telegram_bind_codes.only_one IS 'Always true: as the key, it limits the table to one row.';
COMMENT ON TABLE telegram_updates IS 'Updates that were handled. Telegram repeats an update until it is answered.';

-- Chatwoot data
COMMENT ON TABLE cw_inboxes IS 'Inboxes, as in Chatwoot.';
COMMENT ON TABLE cw_contacts IS 'Contacts, as in Chatwoot.';
COMMENT ON TABLE cw_conversations IS 'Conversations, and how far each is read and indexed.';
COMMENT ON COLUMN cw_conversations.conversation_id IS 'The display id: the number in Chatwoot''s addresses.';
COMMENT ON COLUMN cw_conversations.read_mark IS 'The state in the list when all messages were last read; null while some are missing.';
COMMENT ON COLUMN cw_conversations.message_cursor IS 'The message id at which reading starts. It lies thirty messages back, because ids become visible out of order.';
COMMENT ON COLUMN cw_conversations.content_version IS 'The number of changes of the content.';
COMMENT ON COLUMN cw_conversations.chunked_version IS 'The content version that the chunks were made from.';
COMMENT ON COLUMN cw_conversations.indexed_version IS 'The content version that the terms were made from.';
COMMENT ON TABLE cw_messages IS 'Messages. A message that was deleted in Chatwoot keeps its row without its text.';
COMMENT ON COLUMN cw_messages.content IS 'The text as Chatwoot stores it; the deletion notice after a deletion.';
COMMENT ON COLUMN cw_messages.private IS 'Whether it is a note for agents.';
COMMENT ON COLUMN cw_messages.source_id IS 'The id that the channel gave it.';
COMMENT ON TABLE sync_watermarks IS 'How far each source is read.';
COMMENT ON COLUMN sync_watermarks.cursor_ts IS 'Every change before this time is stored.';
COMMENT ON TABLE sync_quarantine IS 'Items that could not be stored, chunked or indexed, with the reason. Every run tries them again.';
COMMENT ON COLUMN sync_quarantine.entity IS 'What was refused. chunks and terms are those of a conversation.';
COMMENT ON COLUMN sync_quarantine.entity_id IS 'The id as Chatwoot sent it; it may be the reason.';
COMMENT ON COLUMN sync_quarantine.payload IS 'The item as ASCII JSON, because jsonb cannot store what may be wrong with it.';

-- Index
COMMENT ON TABLE rag_chunks IS 'Chunks: passages of a transcript that are embedded. Each refers to a message.';
COMMENT ON COLUMN rag_chunks.sender_types IS 'The sender types of all messages that it covers.';
COMMENT ON COLUMN rag_chunks.covers IS 'The messages whose text it contains. Short messages join their neighbours.';
COMMENT ON COLUMN rag_chunks.context IS 'Text that is embedded before the passage, so that it can be understood alone.';
COMMENT ON COLUMN rag_chunks.content_hash IS 'A hash of context and text: what a vector stands for.';
COMMENT ON COLUMN rag_chunks.embedding_status IS 'pending, processing, ready or failed.';
COMMENT ON COLUMN rag_chunks.embedding_model IS 'The model that made it ready or failed.';
COMMENT ON COLUMN rag_chunks.attempts IS 'The number of claims without a result.';
COMMENT ON COLUMN rag_chunks.created_at IS 'When the message was written.';
COMMENT ON TABLE rag_vectors IS 'Vectors of chunks, by model: the model in use, and the one that is being built.';
COMMENT ON TABLE rag_models IS 'The embedding models of a project. Search uses a complete one.';
COMMENT ON COLUMN rag_models.complete_at IS 'When every chunk had a vector of this model.';
COMMENT ON TABLE search_postings IS 'The terms of each conversation.';
COMMENT ON COLUMN search_postings.term IS 'A stem, or an exact token such as a number. '''' is the conversation itself, '':german'' its language.';
COMMENT ON COLUMN search_postings.tf IS 'The weighted number of occurrences, in tenths.';
COMMENT ON COLUMN search_postings.length IS 'The weighted length of the conversation in words, in tenths.';
COMMENT ON TABLE search_terms IS 'The document frequency of each term in the project, kept by triggers.';
COMMENT ON COLUMN search_terms.df IS 'The number of conversations with the term.';
COMMENT ON COLUMN search_terms.total IS 'The sum of tf.';

-- Outbound
COMMENT ON TABLE outbound_messages IS 'Outbound messages. A trigger refuses every change of state that is not in the diagram.';
COMMENT ON COLUMN outbound_messages.recipient_ref IS 'A contact or conversation, an e-mail address, or a chat, depending on the channel.';
COMMENT ON COLUMN outbound_messages.content_hash IS 'A hash of channel, recipient and payload, computed by the database.';
COMMENT ON COLUMN outbound_messages.request_hash IS 'A hash of the whole request: distinguishes a replay from another request with the same key.';
COMMENT ON COLUMN outbound_messages.dedupe_key IS 'Unique among messages that were sent or may still be sent.';
COMMENT ON COLUMN outbound_messages.approved_hash IS 'The content hash that was approved. Other content needs a new approval.';
COMMENT ON COLUMN outbound_messages.policy_ids IS 'The policies of the recipient at the last decision.';
COMMENT ON COLUMN outbound_messages.retry_count IS 'The number of failed attempts that were followed by another one.';
COMMENT ON COLUMN outbound_messages.next_attempt_at IS 'Null: nothing happens without a person.';
COMMENT ON COLUMN outbound_messages.last_error IS 'An error code of the API.';
COMMENT ON COLUMN outbound_messages.recipient_lower IS 'The recipient in the form that is compared.';
COMMENT ON TABLE outbound_attempts IS 'Calls of a provider. A row is written before the call.';
COMMENT ON COLUMN outbound_attempts.lease_until IS 'An attempt without an outcome at this time counts as lost.';
COMMENT ON COLUMN outbound_attempts.outcome IS 'Null while the call is running.';
COMMENT ON TABLE contact_channel_policies IS 'What a contact allows on a channel, and how many messages they received.';
COMMENT ON COLUMN contact_channel_policies.contact_global_id IS 'The contact, or the address of a person who is no contact.';
COMMENT ON COLUMN contact_channel_policies.stop_on_reply IS 'Whether a reply after the approval cancels the message.';
COMMENT ON COLUMN contact_channel_policies.sent_in_window IS 'Messages since window_started_at; limited by frequency_cap.';
COMMENT ON TABLE contact_channel_names IS 'The ids and addresses that a policy applies to. An opt-out survives a change of address.';
COMMENT ON TABLE contact_merges IS 'Contacts that were merged in Chatwoot. Policies of either apply to both.';
COMMENT ON COLUMN contact_merges.merged_contact_id IS 'The contact that disappeared.';
COMMENT ON COLUMN contact_merges.into_contact_id IS 'The contact that has its conversations or its address now.';
COMMENT ON COLUMN contact_merges.addresses IS 'Addresses of the merged contact, in lower case, at the last import.';
COMMENT ON COLUMN contact_merges.noticed_by IS 'How the merge was noticed: a conversation changed its contact, or a contact disappeared and another one has its address.';
COMMENT ON COLUMN contact_merges.recorded_at IS 'When its audit event was written.';
COMMENT ON TABLE outbound_deliveries IS 'The delivery status that Chatwoot reports for messages that it accepted.';
COMMENT ON COLUMN outbound_deliveries.message_id IS 'The message in Chatwoot.';
COMMENT ON COLUMN outbound_deliveries.status IS '`sent`: Chatwoot accepted it, and its channel has reported nothing yet. `read` is not stored for inboxes where it has no meaning.';
COMMENT ON COLUMN outbound_deliveries.error IS 'The reason of a failure, as the channel reports it.';
COMMENT ON COLUMN outbound_deliveries.via IS 'The type of the inbox in Chatwoot: Channel::Whatsapp, ….';
COMMENT ON COLUMN outbound_deliveries.reported_at IS 'When Proofdesk read the status.';
COMMENT ON COLUMN outbound_deliveries.checked_at IS 'When the status was last requested.';
COMMENT ON TABLE telegram_moves IS 'The current ids of Telegram groups that became supergroups.';

-- Jobs
COMMENT ON TABLE scheduled_jobs IS 'The schedule of each job of a project.';
COMMENT ON COLUMN scheduled_jobs.failures IS 'Consecutive failures. They make the backoff longer.';
COMMENT ON COLUMN scheduled_jobs.paused_cause IS 'Why the schedule paused itself; null when a person paused it.';
COMMENT ON TABLE worker_runs IS 'Runs of jobs, with progress, result and error.';
COMMENT ON COLUMN worker_runs.trigger IS 'manual, schedule, webhook or cli.';
COMMENT ON COLUMN worker_runs.error_details IS 'The error code, and the failed request when a service caused the error.';
COMMENT ON COLUMN worker_runs.runner IS 'The process that executes the run.';
COMMENT ON COLUMN worker_runs.heartbeat_at IS 'When its process last wrote the progress.';
COMMENT ON COLUMN worker_runs.cancel_requested_at IS 'When somebody cancelled it. The queue tells its worker to stop.';
COMMENT ON TABLE run_totals IS 'The number of finished runs. Old runs are removed, but a monitored counter must not fall.';
COMMENT ON COLUMN run_totals.lane IS 'One of several rows to add to, so that runs rarely wait for each other.';
COMMENT ON TABLE schema_migrations IS 'The migrations that were applied.';

-- Audit and evidence
COMMENT ON TABLE audit_events IS 'Audit events. Rows cannot be changed; each contains the hash of the one before.';
COMMENT ON COLUMN audit_events.project_id IS 'Null for logins and accounts, which form their own chain.';
COMMENT ON COLUMN audit_events.id IS 'Unique over all chains; increasing within each.';
COMMENT ON COLUMN audit_events.actor_user_id IS 'Not a foreign key: the event outlives the account.';
COMMENT ON COLUMN audit_events.evidence_refs IS 'References without snippets, because snippets may have to be deleted.';
COMMENT ON COLUMN audit_events.hash IS 'A hash of previous_hash and all other columns of the row.';
COMMENT ON TABLE audit_heads IS 'The end of each chain: its lock, and the proof that it was not cut off.';
COMMENT ON TABLE evidence_items IS 'Snippets of cited evidence, for search. The text is deleted with its message.';
COMMENT ON COLUMN evidence_items.source_table IS 'Null for evidence outside Proofdesk.';
COMMENT ON COLUMN evidence_items.source_pk IS 'The reference as it was given.';
