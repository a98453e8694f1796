"""Projects, their members and owners, and the Chatwoot sources that they read."""
