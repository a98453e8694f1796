-- What a member may do. `member` is the only role of earlier clients and may do what they could do: it is an approver.
ALTER TABLE project_members DROP CONSTRAINT project_members_role_check;
ALTER TABLE project_members ADD CHECK (role IN ('viewer', 'editor', 'member', 'approver', 'manager'));
COMMENT ON COLUMN project_members.role IS 'viewer, editor, approver or manager; member is the approver of earlier clients.';
UPDATE project_members m SET role = 'manager' FROM projects p WHERE p.id = m.project_id AND p.created_by = m.user_id;

-- As `memberships`: every request asks this before it has entered the project.
CREATE FUNCTION member_role(project uuid, person uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER COST 5 SET search_path = public, pg_temp AS $$
    SELECT role FROM project_members WHERE project_id = project AND user_id = person;
$$;
GRANT UPDATE (role) ON project_members TO proofdesk_app;
