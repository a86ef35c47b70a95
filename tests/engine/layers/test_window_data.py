"""WindowData: boxes of pictures, drawn, warped and padded."""

import caffe
import cv2
import numpy as np
import pytest
from caffe.layers.window_data import place_window

from tests.engine.layers.nets import make_net


def window_net(folder, param, transform, windows, head="# 0\np.png\n3 10 20\n"):
    cv2.imwrite(str(folder / "p.png"), np.tile(np.arange(20, dtype=np.uint8), (10, 1)))
    text = f"{head}{len(windows)}\n" + "\n".join(" ".join(map(str, w)) for w in windows)
    (folder / "windows.txt").write_text(text)
    return make_net(
        folder,
        f"""layer {{ name: "w" type: "WindowData" top: "data" top: "label"
        transform_param {{ {transform} }} window_data_param {{ source: "{folder}/windows.txt" {param}
        root_folder: "{folder}/" }} }}""",
    )


def test_windows_background_first_then_foreground(tmp_path):
    windows = [(2, 0.9, 4, 2, 7, 5), (3, 0.8, 8, 2, 11, 5), (1, 0.2, 0, 0, 3, 3), (1, 0.45, 12, 0, 15, 3)]
    net = window_net(
        tmp_path, "batch_size: 40 fg_fraction: 0.25 bg_threshold: 0.3", "crop_size: 4 mean_value: 1", windows
    )
    net.forward()
    data, label = net.blobs["data"].data, net.blobs["label"].data
    assert (label[:30] == 0).all()
    assert set(label[30:]) == {2, 3}
    assert np.array_equal(data[0, 0, 0], np.arange(0, 4) - 1), "below bg_threshold only: not the one of 0.45"
    for item, target in zip(data[30:], label[30:], strict=True):
        assert np.array_equal(item[2, 3], np.arange(4, 8) - 1 + 4 * (target == 3))


def test_window_is_scaled_and_mirrored(tmp_path):
    net = window_net(
        tmp_path, "batch_size: 20 fg_fraction: 1", "crop_size: 4 mirror: true scale: 0.5", [(1, 1.0, 4, 2, 7, 5)]
    )
    net.forward()
    rows = {tuple(r) for r in net.blobs["data"].data[:, 0, 0].tolist()}
    assert rows == {(2.0, 2.5, 3.0, 3.5), (3.5, 3.0, 2.5, 2.0)}


def test_context_outside_the_picture_is_zero(tmp_path):
    net = window_net(
        tmp_path, "batch_size: 1 fg_fraction: 1 context_pad: 2", "crop_size: 8 mean_value: 100", [(1, 1.0, 0, 0, 3, 3)]
    )
    net.forward()
    item = net.blobs["data"].data[0, 0]
    assert (item[:2] == 0).all() and (item[:, :2] == 0).all()
    assert (item[2:, 2:] < -90).all()


def test_place_window_by_hand():
    # a box of 10 x 20 in the middle, 16 of 20 result pixels its own: enlarged by 20 / 16 around its centre
    box, pads, size = place_window((40, 30, 59, 39), (100, 100), 20, 2, False)
    assert (box, pads, size) == ((38, 29, 63, 41), (0, 0, 0), (20, 20))
    box, pads, size = place_window((40, 30, 59, 39), (100, 100), 20, 0, True)
    assert box == (40, 25, 60, 45), "the square around the box"


@pytest.mark.parametrize(
    "param, transform, windows, why",
    [
        ("batch_size: 2", "", [(1, 1.0, 0, 0, 3, 3)], "crop_size .transform_param. 0: both must be at least 1"),
        ("batch_size: 2", "crop_size: 4", [(1, 1.0, 0, 0, 3, 3)], "has no background windows"),
        ("batch_size: 4", "crop_size: 4", [(1, 0.1, 0, 0, 3, 3)], "has no foreground windows"),
        ("batch_size: 1", "crop_size: 4", [(0, 1.0, 0, 0, 3, 3)], "a foreground window .* has class 0"),
        ("batch_size: 1", "crop_size: 4", [(1, 1.0, 0, 0)],
         "windows.txt:5: not a window file: the file ends in the middle of an image's entry"),
        ("batch_size: 1", "crop_size: 4", [(1, 1.0, 0, 0, 3, "x")],
         "windows.txt:5: .*expected a number, the y2, found 'x'"),
        ("batch_size: 1 fg_fraction: 1", "crop_size: 4", [(1, 1.0, 30, 0, 33, 3)],
         r"windows.txt:5: the window \(30, 0, 33, 3\) lies outside '.*p.png', of width 20 and height 10"),
        ("batch_size: 1 crop_mode: 'x'", "crop_size: 4", [(1, 1.0, 0, 0, 3, 3)], "expected 'warp' or 'square'"),
        ("batch_size: 1 context_pad: 2", "crop_size: 4", [(1, 1.0, 0, 0, 3, 3)], "leaves nothing of a crop of 4"),
    ],
)
def test_bad_window_files(param, transform, windows, why, tmp_path):
    with pytest.raises(caffe.LayerError, match=why):
        window_net(tmp_path, param, transform, windows).forward()


@pytest.mark.parametrize("head", ["# 0\nmy photo 1.png\n3\n10\n20\n", "# 0\nmy photo 1.png 3 10 20\n",
                                  "# 0 my photo 1.png 3\n10 20\n"])
def test_names_of_pictures_in_a_window_file_may_hold_blanks(head, tmp_path):
    cv2.imwrite(str(tmp_path / "my photo 1.png"), np.tile(np.arange(20, dtype=np.uint8), (10, 1)))
    net = window_net(tmp_path, "batch_size: 1 fg_fraction: 1", "crop_size: 4", [(1, 1.0, 4, 2, 7, 5)], head)
    net.forward()
    assert net.blobs["data"].data[0, 0, 0].tolist() == [4, 5, 6, 7]


def test_a_missing_picture_of_a_window_file_is_named_with_its_line(tmp_path):
    net = window_net(tmp_path, "batch_size: 1 fg_fraction: 1", "crop_size: 4", [(1, 1.0, 4, 2, 7, 5)],
                     "# 0\nnone.png\n3 10 20\n")
    with pytest.raises(caffe.LayerError, match=r"windows.txt:2: cannot read the picture '.*none.png'"):
        net.forward()


def test_channels_that_differ_name_their_lines(tmp_path):
    with pytest.raises(caffe.LayerError, match=r"gives channels as 1 \(line 3\), 3 \(line 6\); expected 1 or 3"):
        window_net(tmp_path, "batch_size: 1", "crop_size: 4", [(1, 1.0, 4, 2, 7, 5)],
                   "# 0\np.png\n1 10 20 0\n# 1\np.png\n3 10 20\n")
