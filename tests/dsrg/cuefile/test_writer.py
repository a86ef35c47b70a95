"""Cue files written image by image, and archives that are mapped and not read."""

import errno
import pickle
import tempfile
import tracemalloc
import zipfile

import numpy as np
import pytest

from dsrg.cuefile.format import CueError, Cues, load_cues, save_cues
from dsrg.cuefile.writer import CueWriter
from dsrg.io.errors import UserError
from localization_cues import convert_cues as convert

SUFFIXES = ("pickle", "npz")


def entries(count, cells=400, seed=0):
    """(number, labels, cues) of images numbered in no order; a few have no cue."""
    rng = np.random.default_rng(seed)
    for number in rng.permutation(count):
        chosen = np.sort(rng.choice(41 * 41, 0 if number % 50 == 7 else cells, replace=False))
        yield int(number), rng.integers(1, 81, 2), np.stack([rng.integers(0, 81, len(chosen)), *divmod(chosen, 41)])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_added_is_read_back(tmp_path, suffix):
    path = tmp_path / f"new/c.{suffix}"
    with CueWriter(path) as writer:
        for entry in entries(60):
            writer.add(*entry)
    cues = load_cues(path)
    assert len(cues) == 60 and cues.without_cues() == [7, 57]
    for number, labels, cells in entries(60):
        np.testing.assert_array_equal(cues[number][0], labels)
        np.testing.assert_array_equal(cues[number][1], cells)
        assert cues[number][0].dtype == cues[number][1].dtype == np.int64
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_image_at_all(tmp_path, suffix):
    with CueWriter(tmp_path / f"c.{suffix}"):
        pass
    assert len(load_cues(tmp_path / f"c.{suffix}")) == 0


def test_the_stream_of_pickles_is_one_dict_to_the_plain_unpickler(tmp_path):
    with CueWriter(tmp_path / "c.pickle") as writer:
        for entry in entries(9):
            writer.add(*entry)
    with open(tmp_path / "c.pickle", "rb") as file:
        content = pickle.load(file, encoding="latin1")
        assert file.read() == b""
    assert len(content) == 18
    for number, labels, cells in entries(9):
        assert content[f"{number}_labels"].tolist() == labels.tolist()
        assert content[f"{number}_cues"].tolist() == cells.tolist() and content[f"{number}_cues"].flags.c_contiguous


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("labels", "cells", "message"), [
    ([1, 2], [[1, 2], [5, 5], [6, 6]], "image 4 has a cell with two cues"),
    ([], [[1], [5], [6]], "image 4 has no labels"),
    ([1], [[1], [5]], r"cues of shape \(2, 1\)"),
    ([0], [[1], [5], [6]], "label 0"),
])
def test_a_refused_image_leaves_the_earlier_file_as_it_was(tmp_path, suffix, labels, cells, message):
    path = tmp_path / f"c.{suffix}"
    save_cues(path, {1: ([1], [[1], [0], [0]])})
    before = path.read_bytes()
    with pytest.raises(CueError, match=message), CueWriter(path) as writer:
        writer.add(3, [1], [[1], [0], [0]])
        writer.add(4, labels, cells)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_an_image_given_twice_and_another_suffix_are_refused(tmp_path):
    with pytest.raises(CueError, match="image 4 is given twice"), CueWriter(tmp_path / "c.npz") as writer:
        for _ in range(2):
            writer.add(4, [1], [[1], [0], [0]])
    with pytest.raises(CueError, match=r"ends in \.pickle, \.pkl or \.npz"):
        CueWriter(tmp_path / "c.txt")


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *exception):
            pass

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **options: Full())
    with pytest.raises(UserError, match="cannot write .*c.npz: No space left"), CueWriter(tmp_path / "c.npz") as writer:
        writer.add(4, [1], [[1], [0], [0]])


def test_equal_images_make_equal_files(tmp_path):
    for name in ("a", "b"):
        for suffix in SUFFIXES:
            save_cues(tmp_path / f"{name}.{suffix}", {n: (labels, cells) for n, labels, cells in entries(9)})
    for suffix in SUFFIXES:
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_reading_a_stored_archive_allocates_a_fraction_of_it(tmp_path):
    """3000 images, 3.4 MiB of cues: mapped, so that opening, checking and reading each image once takes little."""
    path = tmp_path / "c.npz"
    with CueWriter(path) as writer:
        for entry in entries(3000):
            writer.add(*entry)
    tracemalloc.start()
    cues = load_cues(path)
    cues.check(81, (41, 41), overlaps=False)
    assert sum(cells.shape[1] for _, cells in cues.values()) == 400 * (3000 - 60)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = path.stat().st_size
    assert size > 3 * 400 * 2940 and peak < size / 2 and held < size / 4
    for array in (cues.arrays()["labels"], cues.arrays()["cues"]):
        assert isinstance(array.base, np.memmap) and not array.flags.writeable
        assert array.dtype == np.int8


def test_writing_allocates_no_more_for_many_images(tmp_path):
    def peak(count, suffix):
        tracemalloc.start()
        with CueWriter(tmp_path / f"c.{suffix}") as writer:
            for entry in entries(count, cells=1200):
                writer.add(*entry)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    for suffix in SUFFIXES:  # the cues of 600 images are 17 MiB as the original's arrays
        assert peak(600, suffix) - peak(60, suffix) < 4 << 20, suffix


def test_convert_changes_the_kind_of_file_alone(tmp_path, capsys):
    save_cues(tmp_path / "a.pickle", {n: (labels, cells) for n, labels, cells in entries(9)})
    for source, target in (("a.pickle", "b.npz"), ("b.npz", "c.pickle")):
        convert.main([str(tmp_path / source), str(tmp_path / target)])
        assert "9 images" in capsys.readouterr().out
    assert (tmp_path / "a.pickle").read_bytes() == (tmp_path / "c.pickle").read_bytes()
    with pytest.raises(UserError, match="no such cue file"):
        convert.main([str(tmp_path / "none.npz"), str(tmp_path / "d.npz")])
    with pytest.raises(UserError, match=r"ends in \.pickle, \.pkl or \.npz"):
        convert.main([str(tmp_path / "b.npz"), str(tmp_path / "d.txt")])


def test_convert_keeps_cells_with_two_cues_as_the_annotation_layer_takes_them(tmp_path, capsys):
    double = {3: ([1, 2], [[1, 2, 0], [1, 1, 0], [2, 2, 0]]), 4: ([1], [[1], [0], [0]])}
    with pytest.raises(CueError, match="image 3 has a cell with two cues"):
        save_cues(tmp_path / "a.pickle", double)
    save_cues(tmp_path / "a.pickle", double, overlaps=True)
    for source, target in (("a.pickle", "b.npz"), ("b.npz", "c.pickle")):
        convert.main([str(tmp_path / source), str(tmp_path / target)])
        assert "note: 1 image has a cell with two cues, the first is 3; the cues are kept" in capsys.readouterr().err
    assert (tmp_path / "a.pickle").read_bytes() == (tmp_path / "c.pickle").read_bytes()
    assert load_cues(tmp_path / "b.npz")[3][1].tolist() == [[1, 2, 0], [1, 1, 0], [2, 2, 0]]


def test_compressed_archives_of_numpy_are_read_too(tmp_path):
    cues = Cues({n: (labels, cells) for n, labels, cells in entries(9)})
    np.savez_compressed(tmp_path / "c.npz", **cues.arrays())
    again = load_cues(tmp_path / "c.npz")
    assert all((again[n][1] == cues[n][1]).all() for n in cues)


def test_the_content_and_not_the_name_tells_an_archive(tmp_path):
    save_cues(tmp_path / "c.npz", {1: ([1], [[1], [0], [0]])})
    (tmp_path / "c.pickle").symlink_to("c.npz")
    assert load_cues(tmp_path / "c.pickle")[1][0].tolist() == [1]


@pytest.mark.parametrize("cut", [10, 45, 200, -30])
def test_a_damaged_archive_is_refused(tmp_path, cut):
    path = tmp_path / "c.npz"
    save_cues(path, {n: (labels, cells) for n, labels, cells in entries(9)})
    data = path.read_bytes()
    path.write_bytes(data[:cut])
    with pytest.raises(CueError, match="not a readable .npz"):
        load_cues(path)


def test_a_header_that_promises_more_than_the_member_holds_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive, archive.open("indices.npy", "w") as out:
        np.lib.format.write_array_header_1_0(out, {"descr": "<i8", "fortran_order": False, "shape": (1 << 40,)})
        out.write(b"12345678")
    with pytest.raises(CueError, match="not a readable .npz.*indices"):
        load_cues(tmp_path / "c.npz")


def test_overlaps_are_found_across_blocks(monkeypatch):
    monkeypatch.setattr("dsrg.cuefile.format.BLOCK", 5)
    double = {4: ([1], [[1, 2], [5, 5], [6, 6]]), 5: ([1], [[1] * 12, [3] * 12, list(range(12))]),
              6: ([1], [[1], [5], [6]]), 9: ([1], [[1, 1, 1], [0, 1, 0], [0, 0, 0]]), 11: ([1], np.empty((3, 0), int))}
    assert Cues(double).overlaps() == [4, 9]
