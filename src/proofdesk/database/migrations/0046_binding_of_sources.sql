-- A source shows a whole inbox of Chatwoot to a project, so binding one is the owner's decision.
ALTER TABLE app_users ADD may_bind_sources boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN app_users.may_bind_sources IS 'Whether the owner allows this user to bind sources to their projects.';
