"""Questions about a project, answered by sentences that cite messages."""
