"""Writes docs/data-model.md and its diagrams from a database that the migrations have made.

Comments are those of the database (`COMMENT ON` in the migrations). Run by `make docs`; a test compares.
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
    "Who gets in": "app_users sessions rate_limits app_settings signup_requests telegram_owner telegram_bind_codes"
    " telegram_updates",
    "The mirror of Chatwoot": "cw_inboxes cw_contacts cw_conversations cw_messages sync_watermarks sync_quarantine",
    "Chunks, vectors, words": "rag_chunks rag_vectors rag_models search_postings search_terms",
    "Outbound": "outbound_messages outbound_attempts contact_channel_policies contact_channel_names"
    " contact_merges outbound_deliveries telegram_moves",
    "Jobs": "scheduled_jobs worker_runs workers run_totals schema_migrations",
    "Audit and evidence": "audit_events audit_heads evidence_items",
}
_INTRODUCTION = """\
# Data model

Every table as the migrations make it, with the comments that the database itself holds: `\\d+ TABLE` in psql shows the
same. Generated from a migrated database (`make docs`). What is done with them is in [architecture.md](architecture.md),
how they can be distributed in [scaling.md](scaling.md). The queue's tables, `procrastinate_…`, are
[Procrastinate's](https://procrastinate.readthedocs.io/).

A table with `project_id` and `account_scope_id` is *scoped*: the pair refers to `projects`, so it always fits, and
row-level security shows the application the rows of the project that its transaction has set.
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
    """What the catalogue says, by table."""

    def __init__(self, conn: psycopg.Connection):
        conn.execute(_OURS)
        self.tables: dict[str, str] = dict(conn.execute(_TABLES).fetchall())
        self.columns = _by_table(conn, _COLUMNS)
        self.constraints = _by_table(conn, _CONSTRAINTS)
        self.indexes = _by_table(conn, _INDEXES)
        self.policies = _by_table(conn, _POLICIES)
        self.triggers = _by_table(conn, _TRIGGERS)
        if strangers := set(self.tables) ^ {name for names in AREAS.values() for name in names.split()}:
            raise KeyError(f"scripts/data_model.py puts each table in an area; these differ: {sorted(strangers)}")


def pages(conn: psycopg.Connection) -> dict[Path, str]:
    """The page and the sources of its diagrams."""
    model = Model(conn)
    lines = [_INTRODUCTION.rstrip()]
    drawn: dict[Path, str] = {}
    for area, names in AREAS.items():
        slug = f"data-{re.sub('[^a-z]+', '-', area.lower())}"
        drawn[ROOT / "docs" / "diagrams" / f"{slug}.mmd"] = _diagram(model, names.split())
        shown = f"Tables of {area[0].lower() + area[1:]} with their keys, and which refers to which"
        lines += ["", f"## {area}", "", f"![{shown}](diagrams/{slug}.svg)"]
        for table in names.split():
            lines += ["", f"### `{table}`", "", *_table(model, table)]
    return {ROOT / "docs" / "data-model.md": "\n".join(lines) + "\n"} | drawn


def _by_table(conn: psycopg.Connection, query: LiteralString) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table, *rest in conn.execute(query):
        found.setdefault(table, []).append(tuple(rest))
    return found


def _table(model: Model, table: str) -> Iterator[str]:
    yield from (model.tables[table], "", "| Column | Type | Meaning |", "| --- | --- | --- |")
    for name, kind, needed, default, generated, comment in model.columns[table]:
        how = "generated" if generated else f"default `{default}`" if default else ""
        words = ", ".join(filter(None, (_short(kind), "" if needed else "or null", how)))
        yield f"| `{name}` | {words} | {comment} |".replace("`|`", "`\\|`")
    yield ""
    for kind, told, _, _ in model.constraints.get(table, []):
        yield f"- {_constraint(kind, told)}"
    yield from (f"- Index `{_index(told)}`" for (told,) in model.indexes.get(table, []))
    for name, using, check in model.policies.get(table, []):
        yield f"- Row-level security `{name}`: `{_flat(using or check)}`"
    yield from (f"- Trigger `{name}`: `{_trigger(told)}`" for name, told in model.triggers.get(table, []))


def _constraint(kind: str, told: str) -> str:
    word = {"p": "Primary key", "u": "Unique", "f": "Foreign key", "c": "Check"}[kind]
    rest = re.sub(r"^(PRIMARY KEY|UNIQUE|FOREIGN KEY|CHECK) ?", "", told)
    return f"{word} `{_flat(rest)}`"


def _index(told: str) -> str:
    return _flat(re.sub(r"^CREATE (UNIQUE )?INDEX (\S+) ON (?:public\.)?\S+ USING (\w+) ", r"\2: \1\3 ", told))


def _trigger(told: str) -> str:
    return _flat(re.sub(r"^CREATE (CONSTRAINT )?TRIGGER \S+ | ON public\.\S+| EXECUTE FUNCTION", "", told))


def _flat(told: str) -> str:
    return " ".join(told.split())


def _short(kind: str) -> str:
    return kind.replace("timestamp with time zone", "timestamptz")


def _diagram(model: Model, tables: list[str]) -> str:
    """Tables with what identifies their rows and what refers to other tables, which are drawn by name."""
    lines = ["erDiagram", "    direction LR"]
    for table in tables:
        keys: dict[str, list[str]] = {}
        for kind, _, target, columns in model.constraints.get(table, []):
            for column in columns if kind in "pf" else ():
                keys.setdefault(column, []).append({"p": "PK", "f": "FK"}[kind])
            if kind == "f" and target != table:
                lines.append(f'    {target} ||--o{{ {table} : ""')
        shown = [f"        {_word(kind)} {name} {', '.join(dict.fromkeys(keys[name]))}" for name, kind, *_ in
                 model.columns[table] if name in keys]  # fmt: skip
        lines += [f"    {table} {{", *shown, "    }"]
    return "\n".join(lines) + "\n"


def _word(kind: str) -> str:
    return re.sub("[^a-z0-9]+", "_", _short(kind)).strip("_")


def main() -> int:
    """Make a database, and write what it says."""
    with tempfile.TemporaryDirectory() as home, embedded.running(Path(home)) as url:
        migrate.migrate(url)
        with psycopg.connect(url) as conn:
            for path, text in pages(conn).items():
                path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
