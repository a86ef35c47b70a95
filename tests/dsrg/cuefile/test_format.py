"""The cue file: both formats, files of Python 2, and what is refused."""

import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

from dsrg.cuefile.format import CueError, Cues, load_cues, save_cues
from dsrg.cuefile.label_map import cues_from_map, map_from_cues

# What Python 2 writes in protocol 0 for {'3_labels': array([2]), '3_cues': array([[0, 2], [1, 0], [0, 1]])}:
# the str of the data holds the bytes of eight-byte integers, escaped as repr does.
ZERO = "\\x00" * 7


def python2_array(shape, values):
    data = "".join(f"\\x{value:02x}{ZERO}" for value in values)
    lines = ["cnumpy.core.multiarray", "_reconstruct", "(cnumpy", "ndarray", "(I0", "tS'b'", "tR(I1",
             "(" + "".join(f"I{n}\n" for n in shape) + "tcnumpy",
             "dtype", "(S'i8'", "I0", "I1", "tR(I3", "S'<'",
             f"NNNI-1\nI-1\nI0\ntbI00\nS'{data}'", "tb"]
    return "\n".join(lines)


PYTHON2 = ("(dS'3_labels'\n" + python2_array([1], [2]) + "sS'3_cues'\n"
           + python2_array([3, 2], [0, 2, 1, 0, 0, 1]) + "s.").encode("latin1")


@pytest.fixture
def cues():
    return {3: ([2, 5], [[0, 2, 5], [1, 0, 40], [0, 1, 39]]), 0: ([1], np.empty((3, 0), int))}


def assert_same(cues, expected):
    assert sorted(cues) == sorted(expected)
    for index, (labels, cells) in expected.items():
        np.testing.assert_array_equal(cues[index][0], labels)
        np.testing.assert_array_equal(cues[index][1], cells)
        assert cues[index][0].dtype == cues[index][1].dtype == np.int64


@pytest.mark.parametrize("name", ["c.pickle", "c.pkl", "c.npz", "new/folder/c.npz"])
def test_round_trip(tmp_path, cues, name):
    save_cues(tmp_path / name, cues)
    assert_same(load_cues(tmp_path / name), cues)
    assert not [path for path in (tmp_path / name).parent.iterdir() if path.name.startswith(".")]


def test_python_2_pickle_of_protocol_0(tmp_path):
    path = tmp_path / "localization_cues.pickle"
    path.write_bytes(PYTHON2)
    assert_same(load_cues(path), {3: ([2], [[0, 2], [1, 0], [0, 1]])})


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_python_3_pickles(tmp_path, protocol):
    path = tmp_path / "c.pickle"
    content = {"7_labels": np.array([200]), "7_cues": np.array([[200], [130], [255]])}
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    assert_same(load_cues(path), {7: ([200], [[200], [130], [255]])})


def test_written_pickle_names_the_module_every_numpy_has(tmp_path, cues):
    save_cues(tmp_path / "c.pickle", cues)
    text = (tmp_path / "c.pickle").read_bytes()
    assert b"numpy.core.multiarray" in text and b"numpy._core" not in text and text[:2] == b"\x80\x02"


def test_written_pickle_is_read_as_the_original_reads_it(tmp_path, cues):
    """pickle.load(..., encoding='latin1') and the original's indexing, in a process of its own."""
    save_cues(tmp_path / "c.pickle", cues)
    code = ("import pickle, sys, warnings; warnings.simplefilter('ignore');"
            "d = pickle.load(open(sys.argv[1], 'rb'), encoding='latin1');"
            "c = d['%i_cues' % 3]; print(sorted(d), c.dtype, c[1].tolist(), d['%i_labels' % 3].tolist())")
    command = [sys.executable, "-c", code, tmp_path / "c.pickle"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['0_cues', '0_labels', '3_cues', '3_labels'] int64 [1, 0, 40] [2, 5]"


class Evil:
    def __init__(self, call, *args):
        self.reduction = call, args

    def __reduce__(self):
        return self.reduction


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_a_pickle_that_runs_code_is_refused_by_name(tmp_path, protocol):
    import os

    mark = tmp_path / "it-ran"
    path = tmp_path / "c.pickle"
    path.write_bytes(pickle.dumps({"0_labels": Evil(os.mkdir, str(mark))}, protocol=protocol))
    with pytest.raises(CueError, match=r"c\.pickle: refused.*posix\.mkdir"):
        load_cues(path)
    assert not mark.exists()


@pytest.mark.parametrize("payload", [
    b"cbuiltins\neval\n(S'1'\ntR.",
    b"cnumpy\nload\n(S'x'\ntR.",
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.",
    b"c_codecs\nencode\n(Vx\nVzlib\ntR.",
    b"cnumpy\ndtype\n(S'O8'\ntR.",
    b"cnumpy\ndtype\n(S'i8'\ntR(I3\nS'<'\n(S'a'\nS'b'\ntNNI-1\nI-1\nI63\ntb.",
    b"cnumpy\nndarray\n(I3\ntR.",
    b"\x80\x02]r\xff\xff\xff\x7f.",                                       # a memo of 16 GiB
    b"\x80\x02U\x08" + b"0_labels" + b"cnumpy\nndarray\n.",
])
def test_other_names_are_refused(tmp_path, payload):
    (tmp_path / "c.pickle").write_bytes(payload)
    with pytest.raises(CueError, match="refused|holds a"):
        load_cues(tmp_path / "c.pickle")


@pytest.mark.parametrize(("old", "new"), [
    ("(I1\n(I1\nt", "(I1\n(I-1\nt"),             # an extent below 0
    ("(I1\n(I1\nt", "(I1\n(I200000000000\nt"),   # more numbers than bytes
    ("NNNI-1", "N(S'x'\ntNI-1"),                 # a dtype with fields
    ("S'i8'", "S'O8'"),                           # objects
])
def test_forged_states_of_arrays_are_refused(tmp_path, old, new):
    """numpy would take some of these, and break its dtype for the whole process."""
    text = PYTHON2.decode("latin1")
    assert old in text
    (tmp_path / "c.pickle").write_bytes(text.replace(old, new).encode("latin1"))
    with pytest.raises(CueError, match="refused"):
        load_cues(tmp_path / "c.pickle")


def test_damaged_bytes_are_refused_or_read(tmp_path, rng):
    """Bytes changed at random: a CueError or cues, nothing else, and numpy is whole afterwards."""
    data = {p: pickle.dumps({"1_labels": np.array([1, 2]), "1_cues": np.array([[0, 1], [2, 1], [0, 3]])}, p)
            for p in (0, 1, 2, 4)}
    refused = 0
    for k in range(400):
        damaged = bytearray(data[(0, 1, 2, 4)[k % 4]])
        for place in rng.integers(len(damaged), size=2):
            damaged[place] = rng.integers(256)
        (tmp_path / "c.pickle").write_bytes(damaged)
        try:
            load_cues(tmp_path / "c.pickle").overlaps()
        except CueError:
            refused += 1
    assert 100 < refused < 400 and np.arange(3).sum() == 3


@pytest.mark.parametrize(("content", "message"), [
    (b"", "refused"),
    (PYTHON2[:-20], "refused"),
    (pickle.dumps([1, 2], 2), "holds a list, expected"),
    (pickle.dumps({"a": 1}, 2), "unknown key 'a'"),
    (pickle.dumps({"1_labels": np.array([1])}, 2), "image 1 has no '1_cues'"),
    (pickle.dumps({"1_cues": np.zeros((3, 0), int)}, 2), "image 1 has no '1_labels'"),
    (pickle.dumps({"1_labels": np.array([1.5]), "1_cues": np.zeros((3, 0), int)}, 2), "expected integers"),
    (pickle.dumps({"1_labels": np.array([1]), "1_cues": np.zeros((2, 4), int)}, 2), r"cues of shape \(2"),
    (pickle.dumps({"1_labels": np.array([], int), "1_cues": np.zeros((3, 1), int)}, 2), "1 has no labels"),
    (pickle.dumps({"1_labels": np.array([0]), "1_cues": np.zeros((3, 1), int)}, 2), "label 0"),
    (pickle.dumps({"1_labels": np.array([1]), "1_cues": -np.ones((3, 1), int)}, 2), "cue -1"),
    (pickle.dumps({"1_labels": np.array([255]), "1_cues": np.zeros((3, 0), int)}, 2), "has label 255, expected below"),
    (pickle.dumps({"1_labels": np.array([1]), "1_cues": np.array([[2**40], [0], [0]])}, 2), "has class 1099511627776"),
    (pickle.dumps({"1_labels": np.array([1]), "1_cues": np.array([[1], [0], [2**15]])}, 2), "has row or column 32768"),
    (pickle.dumps({"9" * 19 + "_labels": 1}, 2), "unknown key '999"),
])
def test_bad_pickles(tmp_path, content, message):
    (tmp_path / "c.pickle").write_bytes(content)
    with pytest.raises(CueError, match=message):
        load_cues(tmp_path / "c.pickle")


def test_missing_file_names_the_command(tmp_path):
    with pytest.raises(CueError, match="no such cue file; make it with"):
        load_cues(tmp_path / "none.pickle")


@pytest.mark.parametrize(("change", "message"), [
    ({"labels": None}, "no array 'labels'"),
    ({"label_offsets": np.array([0, 1])}, "do not fit"),
    ({"indices": np.array([3, 3])}, "do not fit"),
    ({"labels": np.array([1, 0, 5])}, "a label is 0"),
    ({"label_offsets": np.array([0, 0, 3])}, "image 0 has no labels"),
    ({"cues": np.array([["a"]])}, "expected integers"),
    ({"labels": np.array([1, 300, 5])}, "has label 300, expected below 255"),
])
def test_bad_npz(tmp_path, cues, change, message):
    arrays = {**Cues(cues).arrays(), **change}
    np.savez(tmp_path / "c.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(CueError, match=message):
        load_cues(tmp_path / "c.npz")


def test_half_an_npz(tmp_path, cues):
    save_cues(tmp_path / "c.npz", cues)
    (tmp_path / "c.npz").write_bytes((tmp_path / "c.npz").read_bytes()[:100])
    with pytest.raises(CueError, match="not a readable .npz"):
        load_cues(tmp_path / "c.npz")


@pytest.mark.parametrize(("limits", "message"), [
    ({"num_classes": 5}, "image 3 has label 5, expected 0 to 4"),
    ({"size": (40, 40)}, "image 3 has row 40, expected 0 to 39; the file was made for another map"),
    ({"size": (41, 39)}, "image 3 has column 39"),
])
def test_check_names_image_and_value(cues, limits, message):
    Cues(cues).check(num_classes=6, size=(41, 41))
    with pytest.raises(CueError, match=message):
        Cues(cues).check(**limits)


def test_overlap_is_found_and_never_written(tmp_path):
    double = {4: ([1, 2], [[1, 2], [5, 5], [6, 6]]), 5: ([1], [[1, 1], [5, 6], [6, 6]])}
    assert Cues(double).overlaps() == [4]
    with pytest.raises(CueError, match="image 4 has a cell with two cues"):
        save_cues(tmp_path / "c.npz", double)
    assert not list(tmp_path.iterdir())


def test_unknown_suffix(tmp_path, cues):
    with pytest.raises(CueError, match=r"ends in \.pickle, \.pkl or \.npz"):
        save_cues(tmp_path / "c.txt", cues)


def test_maps_and_cues():
    label_map = np.array([[0, -1, 3], [3, 3, -1]])
    cells = cues_from_map(label_map)
    assert cells.tolist() == [[0, 3, 3, 3], [0, 0, 1, 1], [0, 2, 0, 1]]
    np.testing.assert_array_equal(map_from_cues(cells, (2, 3)), label_map)


WIDE = b"(" + b"h\x01" * 200 + b"tq\x01"


@pytest.mark.parametrize("steps", [b"2\x86" * 60, b"q\x01h\x01\x86" * 60, WIDE * 4, b"q\x01]q\x02h\x01ah\x01a" * 60],
                         ids=["doubled", "remembered", "wide", "lists"])
@pytest.mark.parametrize("as_key", [True, False])
def test_a_pickle_that_doubles_is_refused_at_once(tmp_path, steps, as_key):
    thing = b"K\x01q\x01" + steps
    body = thing + b"K\x01" if as_key else b"U\x087_labels" + thing
    (tmp_path / "c.pickle").write_bytes(b"\x80\x02}" + body + b"s.")
    started = time.perf_counter()
    with pytest.raises(CueError, match="not a pickle of numpy arrays alone"):
        load_cues(tmp_path / "c.pickle")
    assert time.perf_counter() - started < 3
