"""Which forms and links a page offers to a role. The domain refuses what a page does not offer."""

import re

from proofdesk.accounts.session_queries import ActiveSession
from proofdesk.projects import roles

_ROLE_OF_FORM = (
    (re.compile(r"/outbound/(kill-switch|rules|[^/]+/(approve|send|retry))"), "approver"),
    (re.compile(r"/(outbound|jobs|suppressions|incidents|commitments)(/|$)"), "editor"),
    (re.compile(r"/settings/(members|project)(/|$)"), "manager"),
)
_EDITING_PAGE = re.compile(r"/outbound(\?(.*&)?compose=|/[^/?]+/edit)|/commitments/calendar")


class Permissions:
    """What the user of a session may do in the active project."""

    def __init__(self, session: ActiveSession | None):
        self._role = session.role if session else None

    def may(self, role: str) -> bool:
        """Return whether the user may do what a role may."""
        return self._role is not None and roles.includes(self._role, role)

    def may_submit(self, action: str) -> bool:
        """Return whether the user may submit the form with this address."""
        role = next((role for form, role in _ROLE_OF_FORM if form.match(action)), None)
        return role is None or self.may(role)

    def may_open(self, href: str) -> bool:
        """Return whether the user may use the page with this address."""
        return not _EDITING_PAGE.match(href) or self.may("editor")
