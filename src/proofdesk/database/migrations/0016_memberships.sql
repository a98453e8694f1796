-- Which projects a user is a member of, before they have entered any. A row that is visible by a setting of the
-- transaction takes a transaction to read; every request asks this.
CREATE FUNCTION memberships(person uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 COST 5 SET search_path = public, pg_temp AS $$
    SELECT project_id FROM project_members WHERE user_id = person;
$$;
DROP POLICY own_memberships ON project_members;
