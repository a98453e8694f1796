-- A draft can be assigned to the person who is asked to approve it. Whoever may approve still may.
ALTER TABLE outbound_messages ADD assigned_to text;
COMMENT ON COLUMN outbound_messages.assigned_to IS 'Username of the person who is asked to approve the draft.';
CREATE INDEX outbound_assigned ON outbound_messages (project_id, assigned_to) WHERE status = 'draft';
GRANT UPDATE (assigned_to) ON outbound_messages TO proofdesk_app;
