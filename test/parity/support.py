"""What the comparisons share: running our side, and one line of the closing table for each figure."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
failed = False


def ours(script: str, *arguments: object) -> None:
    """Runs one of the TypeScript companions in this folder."""
    run("npx", "--no-install", "tsx", HERE / script, *arguments)


def mates(*arguments: object) -> None:
    """Runs the command line."""
    run("node", "bin/mates.js", *arguments)


def run(*command: object) -> None:
    words = list(map(str, command))
    done = subprocess.run(words, cwd=HERE.parent.parent, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")


def report(what: str, difference: float, limit: float) -> None:
    """Prints `what|difference|limit|verdict`; a difference above its limit, or NaN, makes `finish` fail."""
    global failed
    good = difference <= limit
    failed |= not good
    print(f"{what}|{difference:.1e}|{limit:.0e}|{'ok' if good else 'FAILED'}", flush=True)


def finish() -> None:
    sys.exit(1 if failed else 0)
