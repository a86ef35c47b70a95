"""The commit that results are labelled with, and that asking for it writes nothing."""

import os
import resource
import subprocess

import pytest

from dsrg.io.versions import git_commit


@pytest.fixture
def checkout(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True,
                       capture_output=True)

    git("init")
    for name in range(20):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "-m", "first")
    return tmp_path


def test_a_changed_file_is_a_plus_a_touched_or_new_one_is_not(checkout):
    clean = git_commit(checkout)
    assert len(clean) == 12 and int(clean, 16)
    os.utime(checkout / "1.py", (1, 1))
    (checkout / "new.py").write_text("y = 1\n")
    assert git_commit(checkout) == clean
    (checkout / "1.py").write_text("x = 2\n")
    assert git_commit(checkout) == clean + "+"
    assert git_commit(checkout / "nowhere") == "unknown"


def test_a_full_disk_leaves_no_lock_in_the_checkout(checkout):
    """The index has to be refreshed and cannot be written: git is killed by SIGXFSZ where it tries."""
    for path in checkout.glob("*.py"):
        os.utime(path, (1, 1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        found = git_commit(checkout)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(found) == 12 and not list((checkout / ".git").glob("*.lock"))
