"""Requests generated from the OpenAPI document, whose responses must match it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy, one_of
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from proofdesk.http.api import openapi
from tests.support import stories
from tests.support.response_schemas import app
from tests.support.server import Person, create_person

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
EXAMPLES = 2000
SCHEMA = schemathesis.openapi.from_dict(openapi.build_document(app()))
SCHEMA.config.generation.update(with_security_parameters=False)
ELSEWHERE = {
    "/v1/jobs/events": "endless: test_events.py",
    "/v1/webhooks/unsubscribe/{token}": "every text may be a token, none that is made up is one: test_unsubscribe.py",
}
OPERATIONS: list[APIOperation] = [
    operation
    for found in SCHEMA.get_all_operations()
    if isinstance(found, Ok) and (operation := found.ok()).path not in ELSEWHERE
]
# Of each operation that takes anything: half of them as described, half of them not.
TAKING = [o for o in OPERATIONS if o.path_parameters or o.query or o.body]
EACH = settings(
    max_examples=EXAMPLES // len(TAKING) // 2 + 1,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@pytest.fixture
def person(server: str, owner_conn: psycopg.Connection, tidy_url: str) -> Iterator[Person]:
    """A member whose active project has conversations."""
    somebody = create_person(server, owner_conn, "tester")
    row = owner_conn.execute(
        "WITH made AS (INSERT INTO account_scopes (scope_key, name) VALUES ('a', 'a') RETURNING id)"
        " INSERT INTO projects (account_scope_id, name, created_by) SELECT id, 'Studio', %s FROM made RETURNING id",
        [somebody.id],
    ).fetchone()
    assert row is not None
    somebody.project_id = row[0]
    owner_conn.execute(
        "INSERT INTO project_members (project_id, account_scope_id, user_id, role)"
        " SELECT id, account_scope_id, %s, 'manager' FROM projects",
        [somebody.id],
    )
    owner_conn.execute("UPDATE sessions SET active_project_id = %s", [row[0]])
    owner_conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    stories.insert_conversations(owner_conn, row[0])
    yield somebody


@pytest.mark.parametrize("room", sorted({operation.path.split("/")[2] for operation in OPERATIONS}))
def test_every_answer_matches_the_openapi_document(room: str, server: str, person: Person):
    seen: Counter[str] = Counter()
    inside = [operation for operation in OPERATIONS if operation.path.split("/")[2] == room]
    with requests.Session() as session:
        session.trust_env = False
        for operation in inside:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                if operation in TAKING or mode == GenerationMode.POSITIVE:
                    _try(operation, mode, server, person, session, seen)
    assert seen.total() >= 2 * EACH.max_examples * sum(operation in TAKING for operation in inside)
    assert any(answer.endswith(("200", "201")) for answer in seen) or room == "conversations", seen


def test_there_are_two_thousand_examples():
    assert 2 * EACH.max_examples * len(TAKING) >= EXAMPLES


def _try(
    operation: APIOperation,
    mode: GenerationMode,
    server: str,
    person: Person,
    session: requests.Session,
    seen: Counter[str],
) -> None:
    # Whoever signs in or out is somebody else, so that the session lasts.
    signed = {} if operation.path.startswith("/v1/auth/") else {"sid": person.token}
    extra = {"wait": 0} if operation.path.startswith("/v1/jobs/") and operation.method == "post" else {}

    @EACH
    @given(case=_cases(operation, mode, person))
    def examples(case: Any) -> None:
        options = {"cookies": signed, "headers": {"x-csrf-token": person.csrf}, "params": extra}
        answer = case.call(base_url=server, session=session, timeout=20, **options)
        seen[f"{operation.label} {answer.status_code}"] += 1
        case.validate_response(answer, checks=CHECKS)

    examples()


def _cases(operation: APIOperation, mode: GenerationMode, person: Person) -> SearchStrategy[Any]:
    plain = operation.as_strategy(generation_mode=mode)
    if "{project_id}" not in operation.path or operation.path.endswith("/archive"):
        return plain
    inside = operation.as_strategy(generation_mode=mode, path_parameters={"project_id": str(person.project_id)})
    return one_of(plain, inside)
