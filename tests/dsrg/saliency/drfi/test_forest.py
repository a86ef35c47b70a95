"""The flat forest, its file, and the reader of the authors' file, against scikit-learn and a scalar walk."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from dsrg.io.errors import UserError
from dsrg.saliency.drfi import authors_file as authors
from dsrg.saliency.drfi import filters
from dsrg.saliency.drfi import model as model_file
from dsrg.saliency.drfi.features import region_features
from dsrg.saliency.drfi.forest import Forest, as_single, from_scikit_learn
from dsrg.saliency.drfi.model import Model, load_model, save_model
from dsrg.saliency.drfi.photo_map import saliency_map
from dsrg.saliency.drfi.pixels import pixel_data
from dsrg.saliency.drfi.segmentation import Level, segmentations


@pytest.fixture(scope="module")
def regressor():
    rng = np.random.default_rng(3)
    rows = rng.random((300, 93))
    return RandomForestRegressor(8, max_features=15, random_state=1).fit(rows, rows[:, 3] > rows[:, 50] * rows[:, 80])


def stump(**change):
    """x[1] <= 0.5: 10, else x[0] <= 2: 20, else 30; and a tree of one leaf, 4."""
    arrays = {"roots": np.array([0, 5]), "feature": np.array([1, 0, 0, 0, 0, 0], np.int16),
              "threshold": np.array([0.5, -2, 2, -2, -2, -2.0]),
              "children": np.array([[1, 2], [1, 1], [3, 4], [3, 3], [4, 4], [5, 5]], np.int32),
              "value": np.array([0, 10, 0, 20, 30, 4.0]), "columns": 2, "single": False}
    return Forest(**{**arrays, **change})


def test_predicts_by_hand():
    rows = [[9, 0.5], [2, 0.6], [2.1, 0.6]]
    np.testing.assert_array_equal(stump().predict(rows), [(10 + 4) / 2, (20 + 4) / 2, (30 + 4) / 2])
    with pytest.raises(ValueError, match=r"rows is \(3,\), expected \(R, 2\)"):
        stump().predict([1, 2, 3])


def test_predicts_as_scikit_learn(regressor, monkeypatch):
    rows = np.random.default_rng(4).random((40, 93))
    forest = from_scikit_learn(regressor)
    np.testing.assert_allclose(forest.predict(rows), regressor.predict(rows), rtol=1e-12)
    monkeypatch.setattr("dsrg.saliency.drfi.forest._WALKERS", 100)       # two trees at a time
    np.testing.assert_allclose(forest.predict(rows), regressor.predict(rows), rtol=1e-12)


def test_rows_on_a_threshold_go_left_as_in_scikit_learn(regressor):
    """Thresholds lie between float32 numbers; rows are rounded to them first."""
    forest = from_scikit_learn(regressor)
    rows = np.random.default_rng(5).random((50, 93))
    root = regressor.estimators_[0].tree_
    rows[:, root.feature[0]] = root.threshold[0]
    np.testing.assert_allclose(forest.predict(rows), regressor.predict(rows), rtol=1e-12)


def test_features_beyond_float32_count_as_its_largest_number():
    forest = stump(single=True)
    np.testing.assert_array_equal(forest.predict([[1e199, 0.6], [-1e199, 0.6]]), [(30 + 4) / 2, (20 + 4) / 2])
    assert np.isfinite(as_single(np.array([1e199, -1e199]))).all()


@pytest.mark.parametrize(("change", "message"), [
    ({"children": np.array([[1, 2], [1, 1], [3, 0], [3, 3], [4, 4], [5, 5]])}, "do not stand after it"),
    ({"children": np.array([[1, 6], [1, 1], [3, 4], [3, 3], [4, 4], [5, 5]])}, "do not stand after it"),
    ({"feature": np.array([2, 0, 0, 0, 0, 0])}, "feature 2 of 2"),
    ({"roots": np.array([0, 6])}, "root of a tree lies outside"),
    ({"roots": np.zeros(0, int)}, "it has no trees"),
    ({"value": np.array([0, 10, 0, 20, np.nan, 4])}, "value of a leaf is not finite"),
    ({"feature": np.zeros(6)}, "whole numbers in roots, feature and children"),
    ({"threshold": np.zeros(5)}, r"threshold is \(5,\), expected \(6,\)"),
])
def test_arrays_that_make_no_forest_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        stump(**change)


def make_model(regressor):
    return Model(from_scikit_learn(regressor), (Level(0.8, 100, 20), Level(1, 300, 30)), "clean",
                 filters.texture_filters(), 500, {"photos": 3})


def test_file_gives_the_model_back(regressor, tmp_path):
    model = make_model(regressor)
    save_model(tmp_path / "m.npz", model)
    read = load_model(tmp_path / "m.npz")
    assert (read.levels, read.variant, read.max_side, read.training) == (model.levels, "clean", 500, {"photos": 3})
    np.testing.assert_array_equal(read.filters, model.filters)
    rows = np.random.default_rng(4).random((9, 93))
    np.testing.assert_array_equal(read.forest.predict(rows), model.forest.predict(rows))
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]


def test_forest_of_other_features_is_refused(regressor, tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "FEATURES", "drfi 93 features, revision 0")
    save_model(tmp_path / "m.npz", make_model(regressor))
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"was trained with other features \(drfi 93 features, revision 0, .*train it "
                                        "again"):
        load_model(tmp_path / "m.npz")
    fewer = RandomForestRegressor(2, random_state=0).fit(np.random.default_rng(0).random((9, 90)), np.arange(9))
    save_model(tmp_path / "m.npz", make_model(fewer))
    with pytest.raises(UserError, match="other features .*90 columns"):
        load_model(tmp_path / "m.npz")


def test_other_files_are_refused(regressor, tmp_path):
    path = tmp_path / "m.npz"
    with pytest.raises(UserError, match="no DRFI model .*train one with python -m localization_cues.drfi train"):
        load_model(path)
    path.write_bytes(b"\x80\x03csklearn.ensemble\n")
    with pytest.raises(UserError, match="is not a DRFI model: expected an .npz"):
        load_model(path)
    np.savez(path, something=np.zeros(3))
    with pytest.raises(UserError, match="is not a DRFI model: it lacks 'about'"):
        load_model(path)
    np.savez(path, about=np.array([{"code": 1}], dtype=object))              # a pickle within
    with pytest.raises(UserError, match="cannot be read .*allow_pickle=False"):
        load_model(path)
    save_model(path, make_model(regressor))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="cannot be read"):
        load_model(path)


class AuthorsFile:
    """Writes drfiModelCpp.data by its format; trees grown at random, node by node."""

    def __init__(self, rng, levels=2, nodes=9, trees=3):
        self.counts = (levels, nodes, trees)
        shape = (trees, nodes)
        self.left, self.right, self.split = (np.zeros(shape, np.int32) for _ in range(3))
        self.status = np.zeros(shape, np.int8)
        self.upper, self.mean = rng.random(shape), rng.random(shape)
        self.sizes = np.zeros(trees, np.int32)
        for t in range(trees):
            self._grow(t, rng, nodes - 2 * t)
        self.parameters = np.array([[0.8, 0.9], [100, 300], [150, 200.4]])[:, :levels]
        self.filters = rng.random((19, 19, 15))
        self.matrices = {"w": (np.ones((1, levels)), 6), "segPara": (self.parameters, 6), "lDau": (self.left, 4),
                         "rDau": (self.right, 4), "mBest": (self.split, 4), "nodeStatus": (self.status, 1),
                         "upper": (self.upper, 6), "avNode": (self.mean, 6), "mlFilters": (self.filters, 118),
                         "ndTree": (self.sizes[None], 4)}

    def _grow(self, t, rng, most):
        used, k = 1, 0
        while k < used:
            if used + 2 <= most:
                self.status[t, k] = -3
                self.left[t, k], self.right[t, k] = used + 1, used + 2      # numbered from 1
                self.split[t, k] = rng.integers(1, 94)
                used += 2
            else:
                self.status[t, k] = -1
            k += 1
        self.sizes[t] = used

    def bytes(self, **change):
        parts = [b"DrfiData\0", struct.pack("<3i", *self.counts)]
        for array, code in {**self.matrices, **change}.values():
            parts += [b"CmMat", struct.pack("<3i", array.shape[1], array.shape[0], code), array.tobytes()]
        return b"".join(parts)

    def predict(self, row):
        """The program's walk, one row and one node at a time."""
        total = 0
        for t in range(len(self.sizes)):
            k = 0
            while self.status[t, k] != -1:
                m = self.split[t, k] - 1
                k = (self.left[t, k] if row[m] <= self.upper[t, k] else self.right[t, k]) - 1
            total += self.mean[t, k]
        return total / len(self.sizes)


def test_authors_file_predicts_as_a_scalar_walk(rng, tmp_path):
    written = AuthorsFile(rng, nodes=21, trees=4)
    (tmp_path / "drfiModelCpp.data").write_bytes(written.bytes())
    model = load_model(tmp_path / "drfiModelCpp.data")
    rows = rng.random((60, 93))
    rows[0, written.split[0, 0] - 1] = written.upper[0, 0]                    # equal goes left, in doubles
    rows[1, written.split[0, 0] - 1] = np.nextafter(written.upper[0, 0], 2)
    np.testing.assert_allclose(model.forest.predict(rows), [written.predict(row) for row in rows], rtol=1e-12)
    assert model.variant == "authors" and model.max_side == 0
    assert model.levels == (Level(0.8, 100, 150), Level(0.9, 300, 200))
    np.testing.assert_array_equal(model.filters, written.filters)


def test_authors_file_makes_the_map_their_program_makes(rng, tmp_path):
    """Their features with the file's own filters, the levels summed, stretched to 0..1."""
    written = AuthorsFile(rng, nodes=31)
    written.upper[:] = 0.3 + 0.1 * rng.random(written.upper.shape)           # splits that tell regions apart
    written.parameters[2] = (20, 30)
    (tmp_path / "m.data").write_bytes(written.bytes())
    image = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    pixels = pixel_data(image, "authors", written.filters)
    total = np.zeros(image.shape[:2])
    for regions in segmentations(image, [Level(0.8, 100, 20), Level(0.9, 300, 30)]):
        scores = np.array([written.predict(row) for row in region_features(pixels, regions)])
        total += scores[regions]
    assert np.ptp(total) > 0
    expected = (total - total.min()) / np.ptp(total)
    np.testing.assert_allclose(saliency_map(image, load_model(tmp_path / "m.data")), expected, atol=1e-6)


def test_authors_file_of_another_shape_of_node_matrices(rng, tmp_path):
    """MATLAB's columns arrive as rows or not: only the order of the elements counts."""
    written = AuthorsFile(rng)
    turned = {name: (array.reshape(array.shape[::-1]), code) for name, (array, code) in written.matrices.items()
              if name in ("lDau", "rDau", "mBest", "nodeStatus", "upper", "avNode", "ndTree")}
    (tmp_path / "m.data").write_bytes(written.bytes(**turned))
    rows = rng.random((5, 93))
    np.testing.assert_allclose(load_model(tmp_path / "m.data").forest.predict(rows),
                               [written.predict(row) for row in rows])


def test_authors_file_cut_off_anywhere_is_refused(rng, tmp_path):
    path = tmp_path / "m.data"
    whole = AuthorsFile(rng).bytes()
    for length in [9, 15, 21, 24, 30, 38, 200, 700, len(whole) - 1, *rng.integers(25, len(whole), 20).tolist()]:
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"m\.data is not a usable drfiModelCpp\.data: it ends within .*download it "
                                            "again"):
            load_model(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(UserError, match="1 bytes follow its last matrix"):
        load_model(path)


def test_authors_file_with_wrong_contents_is_refused(rng, tmp_path):
    written = AuthorsFile(rng)
    path = tmp_path / "m.data"

    def refuse(message, data=None, **change):
        path.write_bytes(written.bytes(**change) if data is None else data)
        with pytest.raises(UserError, match=message) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)

    whole = written.bytes()
    refuse("matrix w does not start with CmMat at byte 21", whole.replace(b"CmMat", b"CmMap", 1))
    refuse("counts 2 levels, -9 nodes", whole[:9] + struct.pack("<3i", 2, -9, 3) + whole[21:])
    refuse(r"matrix upper has OpenCV type 5, expected 6 \(CV_64F\)", upper=(written.upper, 5))
    refuse("matrix lDau is 3 x 8, expected 27 elements", lDau=(written.left[:, :8], 4))
    refuse("matrix segPara is 2 x 3, expected 3 x 2", segPara=(np.ones((2, 3)), 6))
    refuse("ndTree goes from 5 to 99", ndTree=(np.array([[5, 7, 99]], np.int32), 4))
    for name, value, message in (("left", 1, "leads out of its tree or back"), ("right", 10, "leads out of its tree"),
                                 ("split", 94, "mBest goes from 1 to 94"), ("split", 0, "mBest goes from 0"),
                                 ("status", -2, "nodeStatus holds -2"), ("upper", np.nan, "upper holds NaN")):
        array = getattr(written, name)
        kept = array[0, 0]
        array[0, 0] = value
        refuse(message)
        array[0, 0] = kept
    written.mean[:] = np.nan
    refuse("value of a leaf is not finite")


def test_reader_reads_nothing_beyond_what_the_head_says(rng, tmp_path):
    """A head that promises 2^31 nodes ends at the file's end, without that much memory."""
    path = tmp_path / "m.data"
    whole = AuthorsFile(rng).bytes()
    path.write_bytes(whole[:9] + struct.pack("<3i", 2, 2**31 - 1, 2**31 - 1) + whole[21:])
    with pytest.raises(UserError, match="matrix lDau is 3 x 9, expected 4611686014132420609 elements"):
        load_model(path)
    assert authors.MARKER == b"DrfiData\0"


@pytest.mark.parametrize("level", [(1e300, 100, 20), (101, 100, 20), (-1, 100, 20), (0.8, 0, 20), (0.8, 1e10, 20),
                                   (0.8, 100, -1), (0.8, 100, 1e18), (float("nan"), 100, 20)])
def test_levels_that_cannot_be_computed_are_refused_in_both_files(regressor, rng, tmp_path, level):
    save_model(tmp_path / "m.npz", replace(make_model(regressor), levels=(Level(*level),)))
    written = AuthorsFile(rng)
    written.parameters[:, 0] = level
    (tmp_path / "m.data").write_bytes(written.bytes())
    for name in ("m.npz", "m.data"):
        with pytest.raises(UserError, match=rf"{name} is .*(sigma|not finite|NaN)"):
            load_model(tmp_path / name)
