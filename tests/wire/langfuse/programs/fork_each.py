"""Runs programs side by side, each in a fork of one process that has imported the heavy libraries once.

    python fork_each.py MODULE,MODULE… PROGRAM…

Ends with 1, and prints what a program said, when one failed.
"""

import atexit
import importlib
import os
import runpy
import sys
import tempfile
import traceback


def _run(program: str, said: int) -> None:
    os.dup2(said, 1)
    os.dup2(said, 2)
    code = 0
    try:
        sys.path.insert(0, os.path.dirname(program))
        runpy.run_path(program, run_name="__main__")
        atexit._run_exitfuncs()  # what an exporter still holds
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main(modules: list[str], programs: list[str]) -> int:
    """Import, fork, wait."""
    for module in modules:
        importlib.import_module(module)
    children: dict[int, tuple[str, int]] = {}
    for program in programs:
        said, _ = tempfile.mkstemp()
        child = os.fork()
        if child == 0:
            _run(program, said)
        children[child] = program, said
    failed = 0
    for child, (program, said) in children.items():
        _, status = os.waitpid(child, 0)
        if status:
            failed = 1
            os.lseek(said, 0, os.SEEK_SET)
            print(f"{program}:\n{os.read(said, 20_000).decode(errors='replace')}")
    return failed


if __name__ == "__main__":
    sys.exit(main([name for name in sys.argv[1].split(",") if name], sys.argv[2:]))
