"""Which version of the code a result was made with."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def git_commit(root=ROOT):
    """Commit of a checkout with '+' when files differ from it, or 'unknown' outside a git checkout.

    Nothing is written: `describe --dirty` would refresh the index, and a git that a full disk ends while it does leaves
    the checkout locked.

    Parameters
    ----------
    root : path

    Returns
    -------
    str
    """
    commit = _git(root, "describe", "--always", "--abbrev=12")
    if not commit:
        return "unknown"
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return commit if changed == "" else commit + "+"


def _git(root, *words):
    """What git says, or None where it fails."""
    try:
        done = subprocess.run(["git", "--no-optional-locks", "-C", root, *words], capture_output=True, text=True,
                              timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
