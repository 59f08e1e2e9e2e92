"""A log filter: link tokens, and ID tokens that Clients send as hints, don't belong in access logs."""

from __future__ import annotations

import logging
import re
from typing import Any, Final

_TOKEN: Final = re.compile(r"((?:login/link|login/report|enrol)/)[^\s/?\"']{22,}|(\bid_token_hint=)[^\s&\"']+")


class HideLinkTokens(logging.Filter):
    """Masks the token in the path of a link, and ``id_token_hint`` in a query (it says who the person is), in the
    message and in its arguments.

    For loggers of requests: ``django.server``, ``django.request``, ``gunicorn.access``, ``uvicorn.access``::

        LOGGING = {
            "filters": {"hide_link_tokens": {"()": "passwordless_auth.logs.HideLinkTokens"}},
            "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["hide_link_tokens"]}},
            …
        }

    A proxy in front writes a log of its own: the documentation says how to mask it there.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _hide(record.msg)
        if isinstance(record.args, dict):
            for name in list(record.args):  # in place: gunicorn's own kind of dict answers for names that it lacks
                record.args[name] = _hide(record.args[name])
        elif isinstance(record.args, tuple):
            record.args = tuple(_hide(value) for value in record.args)
        return True


def _hide(value: Any) -> Any:
    return _TOKEN.sub(lambda found: f"{found[1] or found[2]}…", value) if isinstance(value, str) else value
