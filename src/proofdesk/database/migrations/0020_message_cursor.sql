-- Messages are read by windows of ids, so the cursor is where a window begins.
COMMENT ON COLUMN cw_conversations.message_cursor IS 'Reading starts at this message id; it lies thirty messages back, since ids become visible out of order.';
