"""Every method of the generated client of Langfuse's JavaScript SDK 5: ``python -m examples.langfuse_methods``.

Calls each with good arguments against a fresh secured server, and compares what is answered with the types that the client declares,
by TypeScript's own checker (from ``ui/node_modules``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.envs import ensure_node, node_command
from tests.servers import LiveServer

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(__file__).resolve().parent / "langfuse_js"
ENVIRONMENT = "langfuse-js5"
KEYS = ("pk-lf-own", "sk-lf-own-0123456789")
SECURED = {
    "TWINLENS_MODE": "secured", "ADMIN_API_KEY": "the-admin-key",
    "LANGFUSE_INIT_PROJECT_PUBLIC_KEY": KEYS[0], "LANGFUSE_INIT_PROJECT_SECRET_KEY": KEYS[1],
}  # fmt: skip


def main() -> int:
    """Run; 1 when a method was not called, failed, or answered something else than it declares."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.json"
        with LiveServer(Path(folder) / "data", env=SECURED) as server:
            # the organization that the project of the variables is in
            with server.client(headers={"Authorization": "Bearer the-admin-key"}) as admin:
                [own] = admin.get("/api/admin/organizations").raise_for_status().json()["organizations"]
                key = admin.post(f"/api/admin/organizations/{own['id']}/apiKeys", json={}).raise_for_status().json()
            env = os.environ | {
                "LANGFUSE_BASE_URL": server.url, "LANGFUSE_PUBLIC_KEY": KEYS[0], "LANGFUSE_SECRET_KEY": KEYS[1],
                "ORG_PK": key["publicKey"], "ORG_SK": key["secretKey"],
            }  # fmt: skip
            walk = node_command(ENVIRONMENT, PROGRAMS / "every_method.mjs")
            subprocess.run([*walk, answers], env=env, check=True)
        declared = ensure_node(ENVIRONMENT) / "node_modules" / "@langfuse" / "core" / "dist" / "index.d.ts"
        typescript = ROOT / "ui" / "node_modules" / "typescript"
        compare = [walk[0], PROGRAMS / "types.mjs", answers, typescript, declared]
        done = subprocess.run(compare, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    for line in [*found["problems"], *(f"{method} was not called" for method in found["uncalled"])]:
        print(line)
    print(f"{found['methods']} methods answer what they declare" if not found["problems"] else "FAILED")
    return int(bool(found["problems"] or found["uncalled"]))


if __name__ == "__main__":
    sys.exit(main())
