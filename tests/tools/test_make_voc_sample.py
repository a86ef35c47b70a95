"""The made data set has VOC's layout, agrees with itself, and passes through the commands."""

import numpy as np
import pytest
from PIL import Image

from dsrg.datasets import voc_sample
from dsrg.io.errors import UserError
from dsrg.io.image_labels import read_image_labels
from dsrg.io.label_png import load_label_png
from dsrg.io.lists import read_ids
from dsrg.io.photos import load_image_bgr
from tools import evaluate, make_lists, make_voc_sample


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """22 small photos."""
    root = tmp_path_factory.mktemp("voc") / "data"
    make_voc_sample.main(["--out", str(root), "--photos", "22", "--size", "60", "80"])
    return root


def test_layout_and_lists(root):
    sets = root / "ImageSets" / "Segmentation"
    train, aug, val = (read_ids(sets / f"{name}.txt") for name in ("train", "trainaug", "val"))
    assert (len(train), len(aug), len(val)) == (11, 16, 6)
    assert set(train) < set(aug) and not set(aug) & set(val)
    for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml"), ("SegmentationClassAug", "png")):
        assert {path.stem for path in (root / folder).glob(f"*.{suffix}")} == set(aug + val)
    assert {path.stem for path in (root / "SegmentationClass").iterdir()} == set(train + val)


def test_photos_and_masks_are_of_one_size_and_hold_every_class(root):
    seen = set()
    for path in (root / "SegmentationClassAug").iterdir():
        mask = load_label_png(path)
        assert mask.shape == load_image_bgr(root / "JPEGImages" / f"{path.stem}.jpg").shape[:2]
        seen |= set(np.unique(mask).tolist())
    assert seen == {*range(21), 255}


def test_masks_of_sbd_are_gray_and_have_no_borders_of_their_own(root):
    of_voc = {path.name for path in (root / "SegmentationClass").iterdir()}
    for path in (root / "SegmentationClassAug").iterdir():
        with Image.open(path) as image:
            assert image.mode == "L"
        mask = load_label_png(path)
        if path.name in of_voc:
            with Image.open(root / "SegmentationClass" / path.name) as image:
                assert image.mode == "P"
            np.testing.assert_array_equal(mask, load_label_png(root / "SegmentationClass" / path.name))
        assert (255 in mask) == (path.name in of_voc)


def test_lists_take_labels_from_the_annotations_and_agree_with_the_masks(root, tmp_path):
    make_lists.main(["--data", str(root), "--out", str(tmp_path)])
    for image_id, labels in read_image_labels(tmp_path / "image_labels.txt").items():
        mask = load_label_png(root / "SegmentationClassAug" / f"{image_id}.png")
        assert labels == sorted(set(np.unique(mask).tolist()) - {0, 255})
    result = evaluate.evaluate(root / "SegmentationClass", root / "SegmentationClass",
                               read_ids(tmp_path / "val_id.txt"), 21)
    assert result.miou == 1


def test_same_seed_draws_the_same(root):
    image_bgr, mask, _ = voc_sample.draw_sample(3, 60, 80, np.random.default_rng([0, 3]))
    np.testing.assert_array_equal(mask, load_label_png(root / "SegmentationClass" / "2012_000003.png"))
    other, _, _ = voc_sample.draw_sample(3, 60, 80, np.random.default_rng([1, 3]))
    assert (image_bgr != other).any()


def test_random_weights_are_those_of_the_net(tmp_path):
    from training.findcaffe import caffe

    make_voc_sample.write_weights(tmp_path / "w.caffemodel", seed=3)
    net = caffe.Net(str(make_voc_sample.DEPLOY), str(tmp_path / "w.caffemodel"), caffe.TEST)
    assert net.params["conv5_3"][0].data.std() == pytest.approx(np.sqrt(2 / (512 * 9)), rel=0.01)
    assert net.params["fc6_4"][0].data.std() == pytest.approx(np.sqrt(2 / (512 * 9)), rel=0.01)
    weights = caffe.proto.caffe_pb2.NetParameter.FromString((tmp_path / "w.caffemodel").read_bytes())
    assert {layer.name for layer in weights.layer} == {n for n in net.params if not n.startswith("fc8")}


def test_folders_with_content_are_left_alone(root):
    with pytest.raises(UserError, match="is not empty; choose another --out"):
        make_voc_sample.main(["--out", str(root)])
