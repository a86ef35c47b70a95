"""What the project installs: every file by its hash, every licence told."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.supply import licences, lock


def test_the_lock_covers_the_requirements():
    """The versions are requirements.txt's, and every package that an installed one brings here is there by hash."""
    locked = lock.read(lock.LOCK) | lock.read(lock.TORCH_LOCK)
    wanted = dict(re.findall(r"^([A-Za-z0-9][\w.-]*)==(\S+)", lock.REQUIREMENTS.read_text(), re.M))
    for name, version in wanted.items():
        found = locked[lock.normal(name)][0].partition("+")[0]
        assert found == version, f"{name}: {found} in the lock, {version} wanted: python -m tests.supply.lock"
    assert licences.with_dependencies(map(lock.normal, wanted)) <= locked.keys()
    for name, (_, digests) in locked.items():
        assert digests and all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests), name


def test_the_locks_name_no_place():
    """Neither a host nor a path: where files come from is pip's own setting."""
    for path in (lock.LOCK, lock.TORCH_LOCK):
        lines = path.read_text().splitlines()
        form = re.compile(r"#.*|[\w.-]+==[\w.+]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
        assert all(map(form.fullmatch, lines))
        assert "://" not in path.read_text()


def test_pip_takes_a_file_by_its_hash_and_refuses_another(tmp_path):
    """Without an index, as an offline install: a wheel of the right content, then one that was changed."""
    import hashlib
    import zipfile

    wheel = tmp_path / "made-1.0-py3-none-any.whl"

    def make(text):
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr("made.py", text)
            file.writestr("made-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: made\nVersion: 1.0\n")
            file.writestr("made-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            file.writestr("made-1.0.dist-info/RECORD", "")

    make("right = 1\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (tmp_path / "made.lock").write_text(lock.text("made", ("3",), {"made": ("1.0", {digest})}))
    command = [sys.executable, "-m", "pip", "--isolated", "install", "--dry-run", "--no-index", "--find-links",
               tmp_path, "--require-hashes", "--only-binary=:all:", "--ignore-installed", "-r", tmp_path / "made.lock"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    make("changed = 1\n")
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0 and "DO NOT MATCH THE HASHES" in refused.stderr


@pytest.mark.parametrize("file", [name for names in licences.SETS.values() for name in names])
def test_every_requirement_has_a_row_with_its_licence(file):
    rows = dict(re.findall(r"^\| ([\w.-]+) \| [\w.]+ \| (.+) \|$", licences.PAGE.read_text(encoding="utf-8"), re.M))
    missing = [name for name in licences.named(file) if not rows.get(name, "").strip()]
    assert not missing, f"{missing}: python -m tests.supply.licences"
    assert (ROOT / "LICENSE").is_file()
