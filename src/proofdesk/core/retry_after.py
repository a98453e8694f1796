"""How long an upstream asks to be left alone."""

import email.utils
import time
from collections.abc import Mapping


def seconds(headers: Mapping[str, str]) -> float | None:
    """From `retry-after-ms`, or from `Retry-After` in either of its forms (RFC 9110, 10.2.3); None without them.

    Names of the headers are expected in lower case, or to be found whatever their case.
    """
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        return max(0.0, float(headers["retry-after"]))
    except KeyError:
        return None
    except ValueError:
        return _until(headers["retry-after"]) if "retry-after" in headers else None


def _until(moment: str) -> float | None:
    try:
        return max(0.0, email.utils.parsedate_to_datetime(moment).timestamp() - time.time())
    except ValueError:
        return None
