"""Projects, who may enter them, and the Chatwoot accounts and inboxes they read."""
