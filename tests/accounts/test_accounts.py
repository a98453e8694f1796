"""The owner's account and those of other users."""

import asyncio

import psycopg
import pytest
from pydantic import SecretStr

from proofdesk.accounts import accounts, passwords, sessions
from proofdesk.accounts.queries import UserAccount
from proofdesk.accounts.sessions import InvalidCredentials, LoginAttempt
from proofdesk.database.pool import Database
from proofdesk.errors import Invalid
from proofdesk.settings import Settings


def _settings(password: str | None = None, username: str = "owner") -> Settings:
    return Settings(auth_username=username, auth_password=SecretStr(password) if password else None)


async def _sign_in(db: Database, password: str, username: str = "owner") -> str:
    return (await sessions.sign_in(db, _settings(), LoginAttempt(username, password, "127.0.0.1"))).token


async def test_owner_password_is_generated_and_returned_once(db: Database):
    password = await accounts.ensure_owner(db, _settings())
    assert password and len(password) >= 16
    assert await sessions.load_session(db, await _sign_in(db, password))
    assert await accounts.ensure_owner(db, _settings()) is None
    assert await _sign_in(db, password)


async def test_configured_password_is_not_returned(db: Database):
    assert await accounts.ensure_owner(db, _settings("my own password")) is None
    assert await _sign_in(db, "my own password")


async def test_changed_owner_password_ends_sessions(db: Database):
    await accounts.ensure_owner(db, _settings("the first one"))
    token = await _sign_in(db, "the first one")
    await accounts.ensure_owner(db, _settings("the second one"))
    assert await sessions.load_session(db, token) is None
    with pytest.raises(InvalidCredentials):
        await _sign_in(db, "the first one")
    assert await _sign_in(db, "the second one")


async def test_unchanged_owner_password_changes_nothing(db: Database, owner_conn: psycopg.Connection):
    await accounts.ensure_owner(db, _settings("the same one"))
    token = await _sign_in(db, "the same one")
    before = owner_conn.execute("SELECT password_hash FROM app_users").fetchone()
    await accounts.ensure_owner(db, _settings("the same one"))
    assert owner_conn.execute("SELECT password_hash FROM app_users").fetchone() == before
    assert await sessions.load_session(db, token)


async def test_changed_username_renames_the_owner(db: Database):
    await accounts.ensure_owner(db, _settings("unchanged pw"))
    await accounts.ensure_owner(db, _settings("unchanged pw", "Boss"))
    assert [a.username for a in await accounts.list_accounts(db)] == ["Boss"]


async def test_owner_cannot_take_the_username_of_another_user(db: Database):
    await accounts.create(db, "amina", "long enough pw")
    with pytest.raises(accounts.UsernameTaken):
        await accounts.ensure_owner(db, _settings("pw of owner", "amina"))


async def test_simultaneous_starts_create_one_owner(db: Database):
    passwords_returned = await asyncio.gather(*(accounts.ensure_owner(db, _settings()) for _ in range(4)))
    assert sum(password is not None for password in passwords_returned) == 1
    assert len(await accounts.list_accounts(db)) == 1


@pytest.mark.parametrize(
    ("username", "password", "code"),
    [
        ("ab", "long enough pw", "invalid_username"),
        ("has space", "long enough pw", "invalid_username"),
        ("x" * 33, "long enough pw", "invalid_username"),
        ("amina", "short", "invalid_password"),
        ("amina", "x" * 129, "invalid_password"),
    ],
)
async def test_invalid_usernames_and_passwords_are_refused(db: Database, username: str, password: str, code: str):
    with pytest.raises(Invalid) as refused:
        await accounts.create(db, username, password)
    assert refused.value.code == code


async def test_username_is_unique(db: Database):
    account = await accounts.create(db, "Amina", "long enough pw")
    assert isinstance(account, UserAccount) and account.username == "amina"
    with pytest.raises(accounts.UsernameTaken):
        await accounts.create(db, "amina", "long enough pw")


async def test_new_password_ends_sessions(db: Database):
    await accounts.create(db, "amina", "long enough pw")
    token = await _sign_in(db, "long enough pw", "amina")
    await accounts.set_password(db, "amina", "another long one")
    assert await sessions.load_session(db, token) is None
    assert await _sign_in(db, "another long one", "amina")


async def test_password_is_hashed_even_without_an_account():
    assert not await passwords.verify_password(None, "proofdesk-nobody")
    assert not await passwords.verify_password("not a hash", "anything")
    assert not await passwords.verify_password(await passwords.hash_password("right"), "x" * 5000)
