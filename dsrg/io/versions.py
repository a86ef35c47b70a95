"""Which version of the code a result was made with."""

import subprocess
from pathlib import Path


def git_commit():
    """Commit of this checkout with '+' when files differ from it, or 'unknown' outside a git checkout."""
    root = Path(__file__).resolve().parents[2]
    try:
        commit = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty=+", "--abbrev=12"],
                                capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return commit.stdout.strip() or "unknown"
