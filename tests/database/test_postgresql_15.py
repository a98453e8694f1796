"""Migration, backup and restore on the oldest supported PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from proofdesk.database import backup, migrate
from proofdesk.database.pool import open_database
from proofdesk.database.poolers import WrongSession
from proofdesk.errors import Unavailable
from tests.support import postgresql15
from tests.support.commands import proofdesk
from tests.support.databases import table_hashes
from tests.support.projects import new_project
from tests.support.worlds import World

pytestmark = pytest.mark.xdist_group("postgresql15")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of the server for its superuser."""
    with postgresql15.running() as url:
        yield url


@pytest.mark.fidelity(
    "PostgreSQL",
    "Older servers refuse settings that a newer `pg_restore` writes.",
    "tried with PostgreSQL 15",
)
async def test_backup_restores_into_postgresql_15_and_back(server: str, database_url: str, ours: World, tmp_path: Path):
    from_18, from_15 = tmp_path / "18.zip", tmp_path / "15.zip"
    backup.dump(database_url, from_18)
    older = postgresql15.create(server, "older")
    backup.restore(older, from_18)
    assert table_hashes(older) == table_hashes(database_url)
    async with open_database(older, 2) as db, db.transaction() as conn:
        assert await (await conn.execute("SELECT count(*) FROM cw_messages")).fetchone() == (0,), "the wall stands"
    backup.dump(older, from_15)
    again = postgresql15.create(server, "again")
    backup.restore(again, from_15)
    assert table_hashes(again) == table_hashes(database_url)
    told = proofdesk("audit", "verify", DATABASE_URL=again)
    assert told.returncode == 0 and "intact" in told.stdout, told.stdout + told.stderr


@pytest.mark.parametrize("locale", ["de-DE", "en-US-u-kn-true", "ja"])
@pytest.mark.fidelity(
    "PostgreSQL",
    "A database can have another locale and provider (ICU).",
    "tried with PostgreSQL 15",
)
async def test_database_with_another_locale_works(server: str, locale: str):
    url = postgresql15.create(server, "elsewhere", f"LOCALE_PROVIDER icu ICU_LOCALE '{locale}'")
    migrate.migrate(url)
    async with open_database(url, 2) as db:
        project = await new_project(db, "Ängström & Söhne")
        async with db.scoped(project) as conn:
            assert (await (await conn.execute("SELECT count(*) > 0 FROM scheduled_jobs")).fetchone()) == (True,)


def test_locale_that_changes_ascii_lower_case_is_refused(server: str):
    url = postgresql15.create(server, "turkish", "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'")
    with pytest.raises(Unavailable, match="lower-cased"):
        migrate.migrate(url)


async def test_role_that_bypasses_row_security_is_refused(server: str):
    url = postgresql15.create(server, "unbound")
    migrate.migrate(url)
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute("ALTER ROLE proofdesk_app BYPASSRLS")
        try:
            with pytest.raises(WrongSession, match="NOBYPASSRLS"):
                async with open_database(url, 2):
                    pass
        finally:
            conn.execute("ALTER ROLE proofdesk_app NOBYPASSRLS")
