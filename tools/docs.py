"""Writes the generated pages of ``docs/``; a test compares them with what this would write.

python tools/docs.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import compatibility
import langfuse_compatibility
import langfuse_openapi

from twinlens.settings import FIELDS, Settings, env_name

DOCS = Path(__file__).resolve().parent.parent / "docs"

_INTRODUCTION = """# Configuration

<!-- Written by tools/docs.py from twinlens/settings.py: change it there and run `make docs`. -->

Every setting is a key in a TOML or YAML file, a `TWINLENS_*` variable and, where it is common, an option of `twinlens serve`. Later
sources win:

1. default
2. configuration file: `twinlens serve --config twinlens.toml`, or `TWINLENS_CONFIG=twinlens.toml`
3. `LANGFUSE_INIT_*` variables, so that an existing Langfuse deployment's environment works as it is
4. `TWINLENS_*` variables
5. command line

`twinlens config show` prints what is in force and where each value came from. A key that does not exist is an error that names the
nearest known one. Sizes take `K`, `M`, `G` (binary); lists are separated by spaces or commas in variables.

```toml
# twinlens.toml
data = "/var/lib/twinlens"
host = "0.0.0.0"          # needs a user or key: see below
port = [5001, 3000]
base_url = "https://twinlens.example.com"
```

## Open and secured

Without users, and on a loopback address, the server is **open**: no login, any key is taken, and a key that nobody knows lands in the
default project. `Host` and `Origin` are checked, so that no web page can reach it; names and origins you trust go into `allowed_hosts` and
`allowed_origins`.

It is **secured** as soon as it listens on another address or a user exists. Then everybody needs a key pair, a secret key as
bearer token, or e-mail address and password:

```
twinlens user add you@example.com --data /var/lib/twinlens
twinlens key add --project default --data /var/lib/twinlens      # prints LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY
```

| Client | How it signs in |
|---|---|
| Langfuse SDKs | `LANGFUSE_PUBLIC_KEY`, `LANGFUSE_SECRET_KEY` |
| MLflow | `MLFLOW_TRACKING_TOKEN` = secret key, or `MLFLOW_TRACKING_USERNAME`/`_PASSWORD` = key pair or e-mail address and password |
| OpenTelemetry | `OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer sk-lf-…"` |
| Browser | the sign-in page |

A public key alone, as bearer token, may send scores only (feedback from web pages). Listening on another address while nobody could
sign in is refused.

## PostgreSQL

`TWINLENS_CATALOG_URL=postgresql+psycopg://user:password@host/database` keeps experiments, runs, registry, prompts, datasets, users and
keys in PostgreSQL (`pip install 'twinlens[server,postgres]'`). Telemetry stays in the data folder, which one process owns. Set `secret` when
several machines share the catalog.

## All settings

"""


def configuration() -> str:
    """The page about settings."""
    defaults = Settings()
    rows = ["| Setting | Variable | Default | Meaning |", "|---|---|---|---|"]
    for name, field in FIELDS.items():
        value = getattr(defaults, name)
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
        variable = f"`{env_name(name)}`"
        if field.metadata["env"]:
            variable += f" or `{field.metadata['env']}`"
        meaning = field.metadata["help"].replace("|", "\\|")
        rows.append(f"| `{name}` | {variable} | {f'`{shown}`' if shown else ''} | {meaning} |")
    return _INTRODUCTION + "\n".join(rows) + "\n"


sys.path.append(str(DOCS.parent))  # the pages about clients read the tests' tables
PAGES = {
    "configuration.md": configuration,
    "compatibility/mlflow.md": compatibility.page,
    "compatibility/langfuse.md": langfuse_compatibility.page,
    "../twinlens/faces/langfuse/openapi.json": langfuse_openapi.text,
}

if __name__ == "__main__":
    for name, write in PAGES.items():
        (DOCS / name).write_text(write(), "utf-8")
        print(f"docs/{name}")
