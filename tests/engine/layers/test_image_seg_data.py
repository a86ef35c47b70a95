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


@pytest.mark.parametrize("factors", [(0.5,), (1.3,), (0.75, 1, 1.25)])
@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_scale_factors_resize_picture_and_labels_alike(factors, phase, labelled):
    """The picture bilinearly, the labels without blending, to int(extent * factor); before padding and crop."""
    folder, lines = labelled
    picture = cv2.imread(str(folder / "0.png"))
    expected = {}
    for factor in factors:
        size = int(8 * factor), int(6 * factor)
        out, labels = np.zeros((11, 11, 3)), np.full((11, 11), 255.0)
        out[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR) - np.array([5, 6, 7.0])
        labels[: size[1], : size[0]] = cv2.resize(picture[:, :, 0], size, interpolation=cv2.INTER_NEAREST)
        expected[factor] = out.transpose(2, 0, 1), labels
    transform = "crop_size: 11 mean_value: 5 mean_value: 6 mean_value: 7 " + "".join(
        f"scale_factors: {f} " for f in factors)
    net = seg_net(folder, lines[:1], "label_type: PIXEL batch_size: 40", transform, phase)
    net.forward()
    drawn = []
    for data, label, size in zip(*(net.blobs[b].data for b in ("data", "label", "size")), strict=True):
        drawn += [f for f, (x, y) in expected.items() if np.allclose(data, x) and np.array_equal(label[0], y)]
        assert size.ravel().tolist() == [6, 8], "the picture as it was read"
    assert len(drawn) == 40 and set(drawn) == set(factors)


def test_a_rectangular_crop_of_a_scaled_picture(labelled):
    folder, lines = labelled
    net = seg_net(folder, lines[:1], "label_type: PIXEL batch_size: 1",
                  "crop_height: 5 crop_width: 9 scale_factors: 2 mean_value: 0", "TEST")
    net.forward()
    picture = cv2.imread(str(folder / "0.png"))
    big = cv2.resize(picture, (16, 12), interpolation=cv2.INTER_LINEAR)[3:8, 3:12]  # the middle
    labels = cv2.resize(picture[:, :, 0], (16, 12), interpolation=cv2.INTER_NEAREST)[3:8, 3:12]
    assert np.array_equal(net.blobs["data"].data[0], big.transpose(2, 0, 1))
    assert np.array_equal(net.blobs["label"].data[0, 0], labels)


@pytest.mark.parametrize(("factor", "why"), [(-1, "expected numbers above 0"), (0.01, "0.png' is 6 x 8; the scale fa")])
def test_scale_factors_that_cannot_be(factor, why, labelled):
    with pytest.raises(caffe.LayerError, match=why):
        seg_net(*labelled, transform=f"crop_size: 4 scale_factors: {factor}").forward()


@pytest.mark.parametrize(("line", "kind", "value"), [
    ("my photo.png masks/p.png", "PIXEL", 3), ("my photo.png my mask 1.png", "PIXEL", 4),
    ("my photo.png 6", "IMAGE", 6), ("my photo.png", "NONE", 255), ("my photo.png my mask 1.png", "NONE", 255),
    ("plain.png x 3", "NONE", 255),
])
def test_names_of_pictures_and_labels_may_hold_blanks(line, kind, value, tmp_path):
    (tmp_path / "masks").mkdir()
    for name, content in (("my photo.png", 1), ("plain.png", 1), ("masks/p.png", 3), ("my mask 1.png", 4)):
        cv2.imwrite(str(tmp_path / name), np.full((3, 3), content, np.uint8))
    net = image_net(tmp_path, [], f"label_type: {kind}", "", tmp_path, kind="ImageSegData", text=line + "\n")
    net.forward()
    assert (net.blobs["label"].data == value).all() and (net.blobs["data"].data == 1).all()


def test_names_with_blanks_that_are_not_there_name_line_and_file(tmp_path):
    with pytest.raises(caffe.LayerError, match=r"list.txt:1: cannot read the picture '.*/my photo.png'"):
        image_net(tmp_path, [], "label_type: PIXEL", "", tmp_path, kind="ImageSegData", text="my photo.png p.png\n")


def test_line_without_label_picture(labelled):
    folder, lines = labelled
    with pytest.raises(caffe.LayerError, match="list.txt:1: '0.png': expected 'picture labels'"):
        seg_net(folder, [("0.png", "")])
