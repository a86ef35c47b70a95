"""ImageSegData: a label for every pixel, treated like its picture."""

import zlib

import caffe
import cv2
import numpy as np
import pytest

from tests.engine.layers.pictures import image_net


@pytest.fixture
def labelled(tmp_path):
    """Pictures 6 x 8 with labels equal to their first channel."""
    rng = np.random.default_rng(0)
    for i in range(3):
        picture = rng.integers(0, 20, (6, 8, 3)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{i}.png"), picture)
        cv2.imwrite(str(tmp_path / f"{i}_label.png"), picture[:, :, 0])
    return tmp_path, [(f"{i}.png", f"{i}_label.png") for i in range(3)]


def seg_net(folder, lines, param="label_type: PIXEL batch_size: 3", transform="", phase="TRAIN"):
    return image_net(folder, lines, param, transform, folder, phase, "ImageSegData", 3)


def test_labels_get_the_crop_and_the_mirror_of_their_picture(labelled):
    net = seg_net(*labelled, transform="crop_size: 4 mirror: true", param="label_type: PIXEL batch_size: 30")
    net.forward()
    data, label = net.blobs["data"].data, net.blobs["label"].data
    assert data.shape == (30, 3, 4, 4)
    assert label.shape == (30, 1, 4, 4)
    assert np.array_equal(data[:, :1], label)
    assert (net.blobs["size"].data == 4).all()
    assert len({d.tobytes() for d in data}) > 10


def test_small_pictures_are_padded_with_mean_and_ignore_label(labelled):
    net = seg_net(*labelled, transform="crop_size: 9 mean_value: 5 mean_value: 6 mean_value: 7", phase="TEST")
    net.forward()
    data, label = net.blobs["data"].data, net.blobs["label"].data
    assert data.shape == (3, 3, 9, 9)
    assert (data[:, :, 6:] == 0).all() and (data[:, :, :, 8:] == 0).all()
    assert (label[:, :, 6:] == 255).all() and (label[:, :, :, 8:] == 255).all()
    assert np.array_equal(data[:, :1, :6, :8] + 5, label[:, :, :6, :8])
    assert np.array_equal(net.blobs["size"].data, np.broadcast_to([6, 8], (3, 1, 1, 2)))


@pytest.mark.parametrize("kind, value", [("IMAGE", 4), ("NONE", 77)])
def test_labels_of_whole_pictures(kind, value, labelled):
    folder, lines = labelled
    param = f"label_type: {kind} batch_size: 1 ignore_label: 77"
    net = seg_net(folder, [(lines[0][0], 4)], param)
    net.forward()
    assert (net.blobs["label"].data == value).all()


def test_labels_are_resized_without_blending(labelled):
    net = seg_net(*labelled, param="label_type: PIXEL batch_size: 3 new_height: 12 new_width: 16")
    net.forward()
    labels = net.blobs["label"].data
    assert np.array_equal(labels[:, :, ::2, ::2], labels[:, :, 1::2, 1::2])


def test_labels_of_another_size(labelled):
    folder, lines = labelled
    cv2.imwrite(str(folder / "1_label.png"), np.zeros((5, 8), np.uint8))
    with pytest.raises(caffe.LayerError, match=r"list.txt:2: the picture '1.png' is 6 x 8, the labels .* 5 x 8"):
        seg_net(folder, lines).forward()


def test_palette_labels_are_read_as_indices(labelled):
    folder, lines = labelled
    expected = cv2.imread(str(folder / "1_label.png"), cv2.IMREAD_GRAYSCALE)
    write_palette_png(folder / "1_label.png", expected)
    assert not np.array_equal(cv2.imread(str(folder / "1_label.png"), cv2.IMREAD_GRAYSCALE), expected)
    net = seg_net(folder, lines)
    net.forward()
    assert np.array_equal(net.blobs["label"].data[1, 0], expected)


def write_palette_png(path, indices):
    """An 8-bit palette PNG, written chunk by chunk: OpenCV writes none."""

    def chunk(name, content):
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    height, width = indices.shape
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 3, 0, 0, 0])
    rows = b"".join(b"\0" + row.tobytes() for row in indices.astype(np.uint8))
    palette = np.random.default_rng(0).integers(0, 256, (256, 3)).astype(np.uint8).tobytes()
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"PLTE", palette)
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def test_colour_coded_labels_are_refused(labelled):
    folder, lines = labelled
    cv2.imwrite(str(folder / "0_label.png"), np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(caffe.LayerError, match="list.txt:1: '.*0_label.png' is a colour picture; expected labels"):
        seg_net(folder, lines).forward()


def test_mean_file_is_refused_by_image_seg_data(labelled):
    with pytest.raises(caffe.LayerError, match="mean_file is not supported by ImageSegData; use mean_value"):
        seg_net(*labelled, transform='mean_file: "m"')


def test_line_without_label_picture(labelled):
    folder, lines = labelled
    with pytest.raises(caffe.LayerError, match="list.txt:1: '0.png': expected 'picture labels'"):
        seg_net(folder, [("0.png", "")])
