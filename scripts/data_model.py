"""Write docs/data-model.md and its diagrams from a migrated database.

The descriptions are the comments of the database (`COMMENT ON` in the migrations). `make docs` runs it; a test
compares.
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from proofdesk.database import embedded, migrate

ROOT = Path(__file__).parent.parent
AREAS = {
    "Projects": "account_scopes projects project_members project_sources source_claims project_counts",
    "Access": "app_users sessions rate_limits app_settings signup_requests telegram_owner telegram_bind_codes"
    " telegram_updates",
    "Chatwoot data": "cw_inboxes cw_contacts cw_conversations cw_messages sync_watermarks sync_quarantine",
    "Index": "rag_chunks rag_vectors rag_models search_postings search_terms",
    "Answers": "answers",
    "Commitments": "commitments calendar_feeds",
    "Outbound": "outbound_messages outbound_versions outbound_attempts contact_channel_policies contact_channel_names"
    " contact_merges outbound_deliveries telegram_moves kill_switches outbound_rules suppressions",
    "Jobs": "scheduled_jobs worker_runs worker_processes run_totals schema_migrations",
    "Incidents": "incidents incident_notifications backups",
    "Digests": "digest_subscriptions digest_deliveries",
    "Audit and evidence": "audit_events audit_heads evidence_items",
}
_INTRODUCTION = """\
# Data model

All tables, with the comments that the database contains: `\\d+ TABLE` in psql shows the same. Generated from a
migrated database (`make docs`). [architecture.md](architecture.md) says how the tables are used,
[scaling.md](scaling.md) how they can be distributed. The tables `procrastinate_…` belong to the queue, [Procrastinate](https://procrastinate.readthedocs.io/).

A table with `project_id` and `account_scope_id` is *scoped*: the pair refers to `projects`, and row-level security
shows the application only the rows of the project that its transaction has set.
"""
_OURS = """
    CREATE TEMPORARY VIEW ours AS SELECT oid, relname::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT LIKE 'procrastinate%'"""
_TABLES = "SELECT relname, coalesce(obj_description(oid), '') FROM ours"
_COLUMNS = """
    SELECT c.relname, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           pg_get_expr(d.adbin, d.adrelid), a.attgenerated <> '', coalesce(col_description(c.oid, a.attnum), '')
    FROM ours c JOIN pg_attribute a ON a.attrelid = c.oid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum"""
_CONSTRAINTS = """
    SELECT c.relname, k.contype::text, pg_get_constraintdef(k.oid), coalesce(r.relname::text, ''),
           array(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum = ANY (k.conkey))
    FROM ours c JOIN pg_constraint k ON k.conrelid = c.oid LEFT JOIN pg_class r ON r.oid = k.confrelid
    WHERE k.contype IN ('p', 'u', 'f', 'c')
    ORDER BY c.relname, position(k.contype::text IN 'pufc'), pg_get_constraintdef(k.oid)"""
_INDEXES = """
    SELECT c.relname, pg_get_indexdef(i.indexrelid)
    FROM ours c JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class n ON n.oid = i.indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u'))
    ORDER BY c.relname, n.relname"""
_POLICIES = """
    SELECT c.relname, p.polname::text, pg_get_expr(p.polqual, p.polrelid),
           pg_get_expr(p.polwithcheck, p.polrelid)
    FROM ours c JOIN pg_policy p ON p.polrelid = c.oid ORDER BY c.relname, p.polname"""
_TRIGGERS = """
    SELECT c.relname, t.tgname::text, pg_get_triggerdef(t.oid)
    FROM ours c JOIN pg_trigger t ON t.tgrelid = c.oid
    WHERE NOT t.tgisinternal ORDER BY c.relname, t.tgname"""


class Model:
    """The tables of the database catalog with their columns, constraints, indexes, policies and triggers."""

    def __init__(self, conn: psycopg.Connection):
        conn.execute(_OURS)
        self.tables: dict[str, str] = dict(conn.execute(_TABLES).fetchall())
        self.columns = _by_table(conn, _COLUMNS)
        self.constraints = _by_table(conn, _CONSTRAINTS)
        self.indexes = _by_table(conn, _INDEXES)
        self.policies = _by_table(conn, _POLICIES)
        self.triggers = _by_table(conn, _TRIGGERS)
        if differing := set(self.tables) ^ {name for names in AREAS.values() for name in names.split()}:
            raise KeyError(
                f"scripts/data_model.py must put each table into one area. These differ: {sorted(differing)}"
            )


def pages(conn: psycopg.Connection) -> dict[Path, str]:
    """Return the text of the page and of the sources of its diagrams, by path."""
    model = Model(conn)
    lines = [_INTRODUCTION.rstrip()]
    diagrams: dict[Path, str] = {}
    for area, names in AREAS.items():
        slug = f"data-{re.sub('[^a-z]+', '-', area.lower())}"
        diagrams[ROOT / "docs" / "diagrams" / f"{slug}.mmd"] = _diagram(model, names.split())
        description = f"Tables of the area {area}, with their keys and references"
        lines += ["", f"## {area}", "", f"![{description}](diagrams/{slug}.svg)"]
        for table in names.split():
            lines += ["", f"### `{table}`", "", *_table(model, table)]
    return {ROOT / "docs" / "data-model.md": "\n".join(lines) + "\n"} | diagrams


def _by_table(conn: psycopg.Connection, query: LiteralString) -> dict[str, list[tuple[Any, ...]]]:
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for table, *rest in conn.execute(query):
        rows.setdefault(table, []).append(tuple(rest))
    return rows


def _table(model: Model, table: str) -> Iterator[str]:
    yield from (model.tables[table], "", "| Column | Type | Meaning |", "| --- | --- | --- |")
    for name, kind, required, default, generated, comment in model.columns[table]:
        origin = "generated" if generated else f"default `{default}`" if default else ""
        type_text = ", ".join(filter(None, (_short(kind), "" if required else "or null", origin)))
        yield f"| `{name}` | {type_text} | {comment} |".replace("`|`", "`\\|`")
    yield ""
    for kind, definition, _, _ in model.constraints.get(table, []):
        yield f"- {_constraint(kind, definition)}"
    yield from (f"- Index `{_index(definition)}`" for (definition,) in model.indexes.get(table, []))
    for name, using, check in model.policies.get(table, []):
        yield f"- Row-level security `{name}`: `{_flat(using or check)}`"
    yield from (f"- Trigger `{name}`: `{_trigger(definition)}`" for name, definition in model.triggers.get(table, []))


def _constraint(kind: str, definition: str) -> str:
    word = {"p": "Primary key", "u": "Unique", "f": "Foreign key", "c": "Check"}[kind]
    rest = re.sub(r"^(PRIMARY KEY|UNIQUE|FOREIGN KEY|CHECK) ?", "", definition)
    return f"{word} `{_flat(rest)}`"


def _index(definition: str) -> str:
    return _flat(re.sub(r"^CREATE (UNIQUE )?INDEX (\S+) ON (?:public\.)?\S+ USING (\w+) ", r"\2: \1\3 ", definition))


def _trigger(definition: str) -> str:
    return _flat(re.sub(r"^CREATE (CONSTRAINT )?TRIGGER \S+ | ON public\.\S+| EXECUTE FUNCTION", "", definition))


def _flat(definition: str) -> str:
    return " ".join(definition.split())


def _short(kind: str) -> str:
    return kind.replace("timestamp with time zone", "timestamptz")


def _diagram(model: Model, tables: list[str]) -> str:
    """Return a Mermaid diagram of the tables with their key columns and references."""
    lines = ["erDiagram", "    direction LR"]
    for table in tables:
        keys: dict[str, list[str]] = {}
        for kind, _, target, columns in model.constraints.get(table, []):
            for column in columns if kind in "pf" else ():
                keys.setdefault(column, []).append({"p": "PK", "f": "FK"}[kind])
            if kind == "f" and target != table:
                lines.append(f'    {target} ||--o{{ {table} : ""')
        entries = [f"        {_word(kind)} {name} {', '.join(dict.fromkeys(keys[name]))}" for name, kind, *_ in
                 model.columns[table] if name in keys]  # fmt: skip
        lines += [f"    {table} {{", *entries, "    }"]
    return "\n".join(lines) + "\n"


def _word(kind: str) -> str:
    return re.sub("[^a-z0-9]+", "_", _short(kind)).strip("_")


def main() -> int:
    """Create a migrated database and write the pages."""
    with tempfile.TemporaryDirectory() as home, embedded.running_server(Path(home)) as url:
        migrate.migrate(url)
        with psycopg.connect(url) as conn:
            for path, text in pages(conn).items():
                path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
