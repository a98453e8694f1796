"""Roles in a project. Each may do what the ones before it may."""

from proofdesk.errors import Denied

ROLES = ("viewer", "editor", "approver", "manager")
"""viewer: read and search; editor: draft and run jobs; approver: approve and send; manager: members and sources."""
STORED_ROLES = (*ROLES, "member")
MEMBER = "member"
"""The only role of earlier clients: an approver."""


class RoleRequired(Denied):
    """The role of the user in the project does not allow this."""

    code = "forbidden"

    def __init__(self, role: str, required: str):
        allowed = " or ".join(ROLES[_rank(required) :])
        super().__init__(f"Your role in this project is {describe(role)}. Only {allowed} may do this.", status=403)


def includes(role: str, required: str) -> bool:
    """Return whether a role may do what the required one may."""
    return _rank(role) >= _rank(required)


def describe(role: str) -> str:
    """Return the name of a role as people read it."""
    return "approver" if role == MEMBER else role


def _rank(role: str) -> int:
    return ROLES.index(describe(role))
