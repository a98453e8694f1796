-- What people wrote since a time, for the words by which they say that they want no more messages.
CREATE INDEX cw_messages_heard ON cw_messages (project_id, updated_at)
    WHERE message_type = 'incoming' AND sender_type = 'contact';
