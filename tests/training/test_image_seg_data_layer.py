"""ImageSegDataLayer: order, crops, padding, mirroring, repeatability, clear refusals."""

import cv2
import numpy as np
import pytest
from PIL import Image

from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from tests.training.nets import digest, one_layer_net

PLAIN = "{'source': 'train.txt', 'root_folder': '.', 'batch_size': 2, 'crop_size': (6, 8), 'mean': (10, 20, 30)"
SIZES = [(6, 8), (9, 12), (4, 20), (12, 5), (6, 8)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Five photos whose every pixel differs, with masks that hold the same number as the photo's blue channel."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "masks").mkdir()
    lines = []
    for k, (height, width) in enumerate(SIZES):
        mask = (np.arange(height * width).reshape(height, width) % 20 + k).astype(np.uint8)
        image_bgr = np.dstack([mask, mask + 100, np.full_like(mask, k)])
        cv2.imwrite(str(tmp_path / f"JPEGImages/{k}.png"), image_bgr)
        save_label_png(tmp_path / f"masks/{k}.png", mask)
        lines.append(f"/JPEGImages/{k}.png /masks/{k}.png\n")
    (tmp_path / "train.txt").write_text("".join(lines))
    return tmp_path


def data_net(folder, text=PLAIN + "}", seed=3):
    np.random.seed(seed)  # noqa: NPY002 (the layer draws its seed from the global generator, as train.py has it)
    return one_layer_net(folder, "ImageSegDataLayer", {}, text, ("data", "label"), module="pylayers.layer")


def photo_numbers(net):
    """Which photo each item of the batch shows: its red channel, where it is not padding."""
    red, label = net.blobs["data"].data[:, 2] + 30, net.blobs["label"].data[:, 0]
    return [int(round(float(r[m != 255][0]))) for r, m in zip(red, label, strict=True)]


def test_the_first_epoch_follows_the_file_and_later_ones_are_shuffled(folder):
    net = data_net(folder)
    order = []
    for _ in range(10):
        net.forward()
        order += photo_numbers(net)
    epochs = [order[start:start + 5] for start in range(0, 20, 5)]
    assert epochs[0] == [0, 1, 2, 3, 4]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert any(epoch != epochs[0] for epoch in epochs[1:])


def test_photo_and_mask_are_cut_alike_and_the_mean_is_taken_off(folder):
    net = data_net(folder, PLAIN + ", 'mirror': True}")
    seen = set()
    for _ in range(10):
        net.forward()
        image, label = net.blobs["data"].data, net.blobs["label"].data
        assert image.shape == (2, 3, 6, 8) and label.shape == (2, 1, 6, 8)
        inside = label[:, 0] != 255
        np.testing.assert_array_equal(image[:, 0][inside] + 10, label[:, 0][inside])
        np.testing.assert_array_equal(image[:, 1][inside] + 20, label[:, 0][inside] + 100)
        seen |= {item.tobytes() for item in label}
    assert len(seen) > 5


def test_small_photos_are_padded_below_and_right_with_zeros_and_ignored_labels(folder):
    """Zeros after the mean is taken off, as in the original."""
    (folder / "train.txt").write_text("/JPEGImages/2.png /masks/2.png\n/JPEGImages/3.png /masks/3.png\n")
    net = data_net(folder)
    net.forward()
    image, label = net.blobs["data"].data, net.blobs["label"].data
    assert (label[0, 0, 4:] == 255).all() and (label[0, 0, :4] != 255).all()    # 4 rows high
    assert (image[0][:, 4:] == 0).all()
    assert (label[1, 0, :, 5:] == 255).all() and (label[1, 0, :, :5] != 255).all()  # 5 columns wide
    assert (image[1][:, :, 5:] == 0).all()


def test_phase_test_cuts_the_middle(folder):
    (folder / "train.txt").write_text("/JPEGImages/1.png /masks/1.png\n")
    net = data_net(folder, PLAIN.replace("'batch_size': 2", "'batch_size': 1") + ", 'phase': 'Test'}")
    net.forward()
    whole = np.array(Image.open(folder / "masks/1.png"))
    np.testing.assert_array_equal(net.blobs["label"].data[0, 0], whole[1:7, 2:10])


def test_scale_multiplies_after_the_mean(folder):
    net = data_net(folder, PLAIN + ", 'scale': 0.5}")
    net.forward()
    np.testing.assert_array_equal(2 * net.blobs["data"].data[0, 0] + 10, net.blobs["label"].data[0, 0])


def test_scale_jitter_resizes_without_inventing_labels(folder):
    net = data_net(folder, PLAIN + ", 'scale_jitter': [0.5, 2.0]}")
    sizes = set()
    for _ in range(10):
        net.forward()
        for k, label in zip(photo_numbers(net), net.blobs["label"].data[:, 0], strict=True):
            mask = np.array(Image.open(folder / f"masks/{k}.png"))
            assert set(np.unique(label)) <= set(np.unique(mask)) | {255}
            sizes.add((k, int((label != 255).sum())))
    assert len(sizes) > 5


def test_batches_repeat_with_the_seed_and_after_a_seek(folder):
    """Whatever the reading threads do; across the end of an epoch, too."""
    def run(batches, first=0, seed=3):
        net = data_net(folder, PLAIN + ", 'mirror': True}", seed)
        net.layer_dict["L"].seek(first)
        hashes = []
        for _ in range(batches):
            net.forward()
            hashes.append(tuple(digest(net, ("data", "label"))))
        return hashes

    unbroken = run(9)
    assert unbroken == run(9)
    assert unbroken[4:] == run(5, first=4)
    assert unbroken != run(9, seed=4)


def test_processes_share_the_batches_among_them(folder, monkeypatch):
    text = PLAIN + ", 'mirror': True}"
    whole, alone = [], data_net(folder, text)
    for _ in range(4):
        alone.forward()
        whole.append(digest(alone, ("data", "label")))
    monkeypatch.setattr("caffe.solver_count", lambda: 2)
    for rank in (0, 1):
        monkeypatch.setattr("caffe.solver_rank", lambda rank=rank: rank)
        net = data_net(folder, text)
        for step in range(2):
            net.forward()
            assert digest(net, ("data", "label")) == whole[2 * step + rank]


def colour_coded(folder):
    Image.open(folder / "masks/1.png").convert("RGB").save(folder / "masks/1.png")


def other_size(folder):
    save_label_png(folder / "masks/1.png", np.zeros((9, 11), np.uint8))


def missing_photo(folder):
    (folder / "JPEGImages/1.png").unlink()


def cut_photo(folder):
    path = folder / "JPEGImages/1.png"
    path.write_bytes(path.read_bytes()[:-20])


def label_out_of_range(folder):
    save_label_png(folder / "masks/1.png", np.full((9, 12), 77, np.uint8))


@pytest.mark.parametrize(("harm", "message"), [
    (colour_coded, r"layer 'L' \(ImageSegDataLayer\): label map \./masks/1\.png is colour-coded"),
    (other_size, r"mask \./masks/1\.png is \(9, 11\), its photo \./JPEGImages/1\.png \(9, 12\)"),
    (missing_photo, r"photo \./JPEGImages/1\.png does not exist"),
    (cut_photo, r"photo \./JPEGImages/1\.png is (cut off before its end|not a readable picture)"),
    (label_out_of_range, r"mask \./masks/1\.png has label 77, expected 0\.\.29 or, for ignored, 255; make it"),
])
def test_files_that_do_not_fit_are_named(harm, message, folder):
    harm(folder)
    with pytest.raises(UserError, match=message):
        data_net(folder, PLAIN + ", 'classes': 30}").forward()


@pytest.mark.parametrize(("text", "message"), [
    ("{'source': 'train.txt', 'root_folder': '.'}", r"param_str lacks 'batch_size'; it takes source, root_folder"),
    (PLAIN + ", 'new_height': 3}", r"unknown param 'new_height'"),
    (PLAIN + ", 'phase': 'TRAIN'}", r"phase must be Train or Test, got 'TRAIN'"),
    (PLAIN + ", 'scale_jitter': [2, 1]}", r"param 'scale_jitter': expected \[low, high\]"),
    (PLAIN.replace("train.txt", "none.txt") + "}", r"none\.txt does not exist"),
    (PLAIN.replace("'batch_size': 2", "'batch_size': 0") + "}", r"batch_size must be at least 1, got 0"),
])
def test_settings_that_do_not_fit_are_named(text, message, folder):
    with pytest.raises(UserError, match=message):
        data_net(folder, text)


def test_a_line_without_a_mask_is_named(folder):
    (folder / "train.txt").write_text("/JPEGImages/0.png /masks/0.png\n/JPEGImages/1.png\n")
    with pytest.raises(UserError, match=r"train\.txt:2: expected '<photo> <mask>', got '/JPEGImages/1\.png'"):
        data_net(folder)
