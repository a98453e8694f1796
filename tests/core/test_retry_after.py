"""The wait that a service asks for, in every form of the header."""

import email.utils
import time

import httpx2
import pytest

from proofdesk.core import retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Mon, 02 Jan 2006 15:04:05 GMT"}, 0.0),
        ({"Retry-After": "7", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "soon"}, None),
    ],
)
def test_wait_is_read_from_headers(headers: dict[str, str], seconds: float | None):
    assert retry_after.seconds(httpx2.Headers(headers)) == seconds


def test_point_in_time_is_converted_to_seconds():
    moment = email.utils.formatdate(time.time() + 90, usegmt=True)
    assert 60 < (retry_after.seconds({"retry-after": moment}) or 0) <= 90
