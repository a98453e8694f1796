"""Each table is written by one package."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psycopg

SOURCE = Path(__file__).parent.parent / "src/proofdesk"
OWNERS = {
    "accounts": "app_users rate_limits sessions signup_requests telegram_bind_codes telegram_owner telegram_updates",
    "answers": "answers",
    "audit": "audit_events",
    "chatwoot": "cw_contacts cw_conversations cw_inboxes cw_messages sync_quarantine sync_watermarks",
    "commitments": "calendar_feeds commitments",
    "database": "backups schema_migrations",
    "digests": "digest_deliveries digest_subscriptions",
    "evidence": "evidence_items",
    "incidents": "incident_notifications incidents",
    "indexing": "rag_chunks rag_models rag_vectors search_postings",
    "jobs": "scheduled_jobs worker_processes worker_runs",
    "outbound": "app_settings contact_channel_names contact_channel_policies contact_merges kill_switches"
    " outbound_attempts outbound_deliveries outbound_messages outbound_rules outbound_versions"
    " suppressions telegram_moves",
    "projects": "account_scopes project_members project_sources projects source_claims",
    "triggers": "audit_heads project_counts run_totals search_terms",
}
OWNER_OF = {table: owner for owner, tables in OWNERS.items() for table in tables.split()}
WRITE = re.compile(
    r"\b(?:INSERT\s+INTO|UPDATE(?:\s+ONLY)?|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|COPY)\s+(?:public\.)?(\w+|\{)"
)
QUEUE = "procrastinate_"
"""Tables of the queue library, which writes them."""


def literals(path: Path) -> Iterator[str]:
    """Return the string literals of a module, parts of f-strings included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def writers() -> dict[str, set[str]]:
    """Return which packages write each table. The table `{` stands for a name that is filled in."""
    packages: dict[str, set[str]] = defaultdict(set)
    for path in sorted(SOURCE.rglob("*.py")):
        package = path.relative_to(SOURCE).parts[0]
        for literal in literals(path):
            for table in WRITE.findall(literal):
                packages[table].add(package)
    return packages


def test_every_table_of_the_schema_has_an_owner(owner_conn: psycopg.Connection):
    rows = owner_conn.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND NOT starts_with(tablename, %s)", [QUEUE]
    )
    assert {table for (table,) in rows} == OWNER_OF.keys()


def test_only_its_owner_writes_a_table():
    packages = writers()
    assert {t: sorted(packages[t]) for t, owner in OWNER_OF.items() if packages[t] - {owner}} == {}


def test_every_owner_writes_its_tables():
    packages = writers()
    assert [t for t, owner in OWNER_OF.items() if owner != "triggers" and not packages[t]] == []


def test_only_backups_write_tables_that_a_statement_does_not_name():
    assert writers()["{"] <= {"database"}


def test_the_audit_package_reads_its_own_tables_only():
    read = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")
    tables = {t for path in (SOURCE / "audit").glob("*.py") for text in literals(path) for t in read.findall(text)}
    assert tables & OWNER_OF.keys() == {"audit_events", "audit_heads"}
