"""Outbound: drafts, approvals, policies, and the delivery that nothing passes unapproved or twice."""
