"""dsrg.io.atomic_files."""

import os

import numpy as np
import pytest
from caffe import modelfile

from dsrg.io import atomic_files
from dsrg.io.atomic_files import TEMPORARY
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


def test_a_name_as_long_as_names_may_be_is_written_and_a_longer_one_says_so(tmp_path):
    """The temporary file beside it has the process and thread in its name, and must not be the longer one."""
    longest = tmp_path / f"{'ü' * 125}a.png"
    assert len(os.fsencode(longest.name)) == 255
    atomic_files.write_text(longest, "x")
    modelfile.write_atomic(longest, b"whole")
    assert longest.read_text() == "whole" and [p.name for p in tmp_path.iterdir()] == [longest.name]
    with atomic_files.atomic_write(longest) as temporary:
        assert TEMPORARY.fullmatch(temporary.name), "removed where its writer was killed"
        temporary.write_text("x")
    for write in (lambda path: atomic_files.write_text(path, "x"), lambda path: modelfile.write_atomic(path, b"x")):
        with pytest.raises((UserError, modelfile.ModelFileError), match="File name too long; choose a shorter name$"):
            write(longest.with_name("a" + longest.name))


def test_a_text_with_a_name_that_is_no_utf8_says_which(tmp_path):
    with pytest.raises(UserError, match=r"a\.csv: it would hold a name that is no UTF-8, '\\udcff'; rename that file"):
        atomic_files.write_text(tmp_path / "a.csv", os.fsdecode(b"photos/s\xff.jpg"))
    assert not list(tmp_path.iterdir())


def test_a_device_or_a_pipe_is_refused_and_stays_what_it_is(tmp_path):
    """Root may rename a file into the place of /dev/null, and every program would find a file there."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to(os.devnull)
    for name in ("pipe", "null"):
        with pytest.raises(UserError, match=f"cannot write .*/{name}: it is a device or a pipe, expected a file"):
            atomic_files.write_text(tmp_path / name, "x")
        with pytest.raises(modelfile.ModelFileError, match=f"{name}: it is a device or a pipe"), \
                modelfile.atomic_path(tmp_path / name):
            pass
    assert not (tmp_path / "pipe").is_file() and (tmp_path / "null").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["null", "pipe"]
    (tmp_path / "link").symlink_to(tmp_path / "free")
    atomic_files.write_text(tmp_path / "link", "x")
    assert (tmp_path / "link").read_text() == "x"
