"""dsrg.io.atomic_files."""



import numpy as np
import pytest

from dsrg.io import atomic_files
from dsrg.io.errors import UserError

LABELS = np.array([[0, 1, 2, 255], [3, 4, 20, 254]], np.uint8)


def test_atomic_write_replaces_the_file_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "new" / "a.npz"
    with atomic_files.atomic_write(path) as temporary:
        assert temporary.parent == path.parent and temporary.suffix == ".npz"
        temporary.write_text("one")
        assert not path.exists()
    with pytest.raises(RuntimeError), atomic_files.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "one"
    assert [p.name for p in path.parent.iterdir()] == ["a.npz"]


def test_atomic_write_names_the_file_that_cannot_be_written(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(UserError, match=r"cannot write .*a\.txt: No space left on device; free space"), \
            atomic_files.atomic_write(path):
        raise OSError(28, "No space left on device")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        atomic_files.write_text(tmp_path / "file" / "a.txt", "x")
