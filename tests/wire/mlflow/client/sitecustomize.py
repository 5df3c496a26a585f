"""Started by Python itself in the client's processes: writes down what its HTTP library logs of each request."""

import logging
import os
import re


class _Writer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if not isinstance(record.args, tuple):
            return
        if len(record.args) == 8:
            _scheme, _host, _port, verb, path, _protocol, status, _length = record.args
        elif record.name.startswith("httpx") and len(record.args) == 5:
            verb, url, _protocol, status, _reason = record.args
            path = re.sub("^[a-z]+://[^/]+", "", str(url))
        else:
            return
        with open(os.environ["TWINLENS_TEST_REQUESTS"], "a") as log:
            log.write(f"{verb} {path} {status}\n")


if "TWINLENS_TEST_REQUESTS" in os.environ:
    for _name in ("urllib3.connectionpool", "httpx", "httpx2"):
        _log = logging.getLogger(_name)
        _log.setLevel(logging.DEBUG)
        _log.propagate = False
        _log.addHandler(_Writer())
