"""Started by Python itself in the client's processes: writes down what its HTTP library logs of each request."""

import logging
import os


class _Writer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.args, tuple) and len(record.args) == 8:
            _scheme, _host, _port, verb, path, _protocol, status, _length = record.args
            with open(os.environ["TWINLENS_TEST_REQUESTS"], "a") as log:
                log.write(f"{verb} {path} {status}\n")


if "TWINLENS_TEST_REQUESTS" in os.environ:
    _log = logging.getLogger("urllib3.connectionpool")
    _log.setLevel(logging.DEBUG)
    _log.propagate = False
    _log.addHandler(_Writer())
