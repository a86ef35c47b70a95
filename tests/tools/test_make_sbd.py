"""tools.make_sbd: masks of MATLAB files, VOC's own before them, and the list of the training photos."""

import numpy as np
import pytest
from scipy.io import savemat

from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png, save_label_png
from tools.make_sbd import main


@pytest.fixture
def roots(tmp_path):
    """VOC: a (train), b (val). SBD: a, b, c (train) and d (val)."""
    data, sbd = tmp_path / "VOC2012", tmp_path / "dataset"
    (data / "ImageSets/Segmentation").mkdir(parents=True)
    (sbd / "cls").mkdir(parents=True)
    for name, ids in (("train", "a"), ("val", "b")):
        (data / f"ImageSets/Segmentation/{name}.txt").write_text(f"{ids}\n")
        save_label_png(data / f"SegmentationClass/{ids}.png", np.full((2, 3), 255))
    (sbd / "train.txt").write_text("c\na\nb\n")
    (sbd / "val.txt").write_text("d\n")
    for k, image_id in enumerate("abcd"):
        mask = np.array([[0, 20, k], [1, 2, 3]], np.uint8)
        savemat(sbd / f"cls/{image_id}.mat", {"GTcls": {"Segmentation": mask, "CategoriesPresent": [[1]]}})
    return data, sbd


def make(roots):
    main(["--sbd", str(roots[1]), "--data", str(roots[0])])


def test_masks_and_list(roots, capsys):
    make(roots)
    masks = {path.stem: load_label_png(path).tolist() for path in (roots[0] / "SegmentationClassAug").iterdir()}
    of_voc = [[255] * 3] * 2
    assert masks == {"a": of_voc, "b": of_voc, "c": [[0, 20, 2], [1, 2, 3]], "d": [[0, 20, 3], [1, 2, 3]]}
    assert (roots[0] / "ImageSets/Segmentation/trainaug.txt").read_text() == "a\nc\nd\n"
    assert "4 masks in SegmentationClassAug, 3 photos in trainaug.txt" in capsys.readouterr().out


@pytest.mark.parametrize(("content", "message"), [
    ({"GTcls": {"Segmentation": np.full((2, 3), 21, np.uint8)}}, "expected classes from 0 to 20"),
    ({"GTcls": {"Segmentation": np.ones((2, 3))}}, "is float64"),
    ({"GTcls": {"Boundaries": np.ones((2, 3))}}, "not a mask of SBD"),
    ({"GTinst": 3}, "not a mask of SBD"),
    (None, "not a mask of SBD"),
])
def test_other_files_are_refused(roots, content, message):
    path = roots[1] / "cls/c.mat"
    savemat(path, content) if content else path.write_bytes(b"MATLAB 5.0")
    with pytest.raises(UserError, match=f"c.mat: .*{message}"):
        make(roots)
    assert not (roots[0] / "ImageSets/Segmentation/trainaug.txt").exists()


def test_a_missing_file_is_named_and_a_second_run_goes_on(roots):
    path = roots[1] / "cls/d.mat"
    data = path.read_bytes()
    path.unlink()
    with pytest.raises(UserError, match="d.mat does not exist; give SBD's folder dataset"):
        make(roots)
    kept = (roots[0] / "SegmentationClassAug/c.png").stat().st_mtime_ns
    path.write_bytes(data)
    make(roots)
    assert (roots[0] / "SegmentationClassAug/c.png").stat().st_mtime_ns == kept
