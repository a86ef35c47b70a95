"""ImageData: pictures as Caffe reads them, order, resuming, shares of processes, and bad files."""

import shutil

import caffe
import cv2
import numpy as np
import pytest
from caffe import device, picture_files
from caffe.layers import pictures

from tests.engine.layers.nets import make_net
from tests.engine.layers.pictures import PICTURES, batches, image_net

FOUR = [("grad.png", 0), ("noise.png", 1), ("gray.png", 2), ("grad.jpg", 7)]
TWO = [("grad.png", 3), ("noise.png", 4)]
BGR = "mean_value: 104 mean_value: 117 mean_value: 123"

# case: list, root_folder, image_data_param, transform_param
MEASURED = {
    "resize_mean": (FOUR, "", "batch_size: 4 new_height: 33 new_width: 41", BGR),
    "upsize": (TWO, "", "batch_size: 2 new_height: 60 new_width: 90", BGR),
    "noresize_scale": (TWO, "", "batch_size: 2", "scale: 0.0078125 mean_value: 127.5"),
    "gray": (FOUR, "", "batch_size: 4 is_color: false new_height: 20 new_width: 20", ""),
    "crop_test": (TWO, "", "batch_size: 2", f"{BGR} crop_size: 21"),
    "wrap": (FOUR, "", "batch_size: 3 new_height: 8 new_width: 9", BGR),
    "root_folder": ([("a.png", 5)], "sub/", "batch_size: 1 new_height: 8 new_width: 9", ""),
}


@pytest.mark.parametrize("case", MEASURED)
def test_equals_caffe(case, tmp_path):
    lines, root, param, transform = MEASURED[case]
    net = image_net(tmp_path, lines, param, transform, PICTURES / root)
    with np.load(PICTURES / "batches.npz") as golden:
        for step in range(3):
            if f"{case}/data/{step}" in golden:
                net.forward()
                # a JPEG's pixels may differ by one between versions of libjpeg
                np.testing.assert_allclose(net.blobs["data"].data, golden[f"{case}/data/{step}"], atol=1.001)
                exact = np.isclose(net.blobs["data"].data, golden[f"{case}/data/{step}"], atol=1e-5).mean()
                assert exact > 0.99
                assert np.array_equal(net.blobs["label"].data, golden[f"{case}/label/{step}"])


@pytest.fixture
def numbered(tmp_path):
    """A folder of 10 pictures, 6 x 5, the value of picture i is 10 i + column; and its list."""
    for i in range(10):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.tile(np.arange(5) + 10 * i, (6, 1)).astype(np.uint8))
    return tmp_path, [(f"{i}.png", i) for i in range(10)]


def equal(a, b):
    return all(np.array_equal(x[0], y[0]) and x[1] == y[1] for x, y in zip(a, b, strict=True))


AUGMENTED = ("batch_size: 4 shuffle: true", "mirror: true crop_size: 3")


def test_every_epoch_holds_every_picture_in_a_new_order(numbered):
    folder, lines = numbered
    labels = sum((b[1] for b in batches(image_net(folder, lines, "batch_size: 5 shuffle: true", root=folder), 6)), [])
    epochs = [labels[0:10], labels[10:20], labels[20:30]]
    assert all(sorted(e) == list(range(10)) for e in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_seek_continues_the_unbroken_run(numbered):
    folder, lines = numbered
    caffe.set_random_seed(3)
    whole = batches(image_net(folder, lines, *AUGMENTED, root=folder, phase="TRAIN"), 9)
    caffe.set_random_seed(3)
    net = image_net(folder, lines, *AUGMENTED, root=folder, phase="TRAIN")
    batches(net, 1)  # what was read ahead of the jump is dropped
    net.layers[0].seek(6)
    assert equal(batches(net, 3), whole[6:])


def test_seed_decides_the_order(numbered):
    folder, lines = numbered
    runs = []
    for seed in (1, 1, 2):
        caffe.set_random_seed(seed)
        runs.append(batches(image_net(folder, lines, *AUGMENTED, root=folder, phase="TRAIN"), 3))
    assert equal(runs[0], runs[1])
    assert not equal(runs[0], runs[2])


def test_processes_share_the_items_of_a_training_run(numbered, monkeypatch):
    folder, lines = numbered

    def labels(rank, count, phase, batch):
        monkeypatch.setitem(device._state, "solver_rank", rank)
        monkeypatch.setitem(device._state, "solver_count", count)
        caffe.set_random_seed(3)
        net = image_net(folder, lines, f"batch_size: {batch} shuffle: true", root=folder, phase=phase)
        return [b[1] for b in batches(net, 5)]

    alone = sum(labels(0, 1, "TRAIN", 4), [])
    shares = [sum(labels(rank, 2, "TRAIN", 2), []) for rank in (0, 1)]
    assert shares[0] == alone[0::2]
    assert shares[1] == alone[1::2]
    assert labels(1, 2, "TEST", 4) == labels(0, 1, "TEST", 4), "each process tests on everything"


def test_rand_skip_begins_somewhere(numbered):
    folder, lines = numbered
    caffe.set_random_seed(1)
    nets = [image_net(folder, lines, "batch_size: 1 rand_skip: 10", root=folder) for _ in range(20)]
    assert len({batches(net, 1)[0][1][0] for net in nets}) > 4


def test_random_crops_reach_all_places_and_mirrors_both_sides(numbered):
    folder, lines = numbered
    net = image_net(folder, lines[:1], "batch_size: 50 is_color: false", "mirror: true crop_size: 3", folder, "TRAIN")
    rows = {tuple(r) for r in batches(net, 2)[0][0][:, 0, 0].astype(int).tolist()}
    assert rows == {(0, 1, 2), (1, 2, 3), (2, 3, 4), (2, 1, 0), (3, 2, 1), (4, 3, 2)}


def test_rectangular_crop(numbered):
    folder, lines = numbered
    net = image_net(folder, lines, "batch_size: 2", "crop_height: 4 crop_width: 3", folder)
    net.forward()
    assert net.blobs["data"].data.shape == (2, 3, 4, 3)
    assert np.array_equal(net.blobs["data"].data[0, 0], np.tile([1, 2, 3], (4, 1))), "the middle, in phase TEST"


def test_mean_file_is_subtracted_before_the_mirror(numbered, tmp_path):
    folder, lines = numbered
    mean = np.square(np.arange(3 * 6 * 5, dtype=np.float32)).reshape(3, 6, 5)
    blob = caffe.proto.caffe_pb2.BlobProto(channels=3, height=6, width=5, num=1, data=mean.ravel().tolist())
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    transform = f'mean_file: "{tmp_path}/mean.binaryproto" crop_size: 3 scale: 0.5 mirror: true'
    net = image_net(folder, lines[:1], "batch_size: 1", transform, folder)
    expected = (np.array([1, 2, 3]) - mean[:, 1:4, 1:4]) * 0.5
    seen = [net.forward() and net.blobs["data"].data[0].copy() for _ in range(12)]
    mirrored = [np.allclose(x, expected[:, :, ::-1]) for x in seen]
    assert 0 < sum(mirrored) < 12
    assert all(m or np.allclose(x, expected) for m, x in zip(mirrored, seen, strict=True))


def test_mean_file_that_is_none(numbered, tmp_path):
    folder, lines = numbered
    for content, why in ((b"\x89PNG\r\n\x1a\n", "not a binaryproto .*; it is a picture"),
                         (caffe.proto.caffe_pb2.BlobProto(num=2, channels=1, height=1, width=1, data=[1, 2])
                          .SerializeToString(), r"is \(2, 1, 1, 1\); expected \(1, C, H, W\)")):
        (tmp_path / "mean").write_bytes(content)
        with pytest.raises(caffe.LayerError, match=why):
            image_net(folder, lines, "batch_size: 1", f'mean_file: "{tmp_path}/mean"', folder)


def test_pictures_of_other_sizes_change_the_batch(numbered):
    folder, lines = numbered
    cv2.imwrite(str(folder / "1.png"), np.zeros((9, 4), np.uint8))
    net = image_net(folder, lines, "batch_size: 1", root=folder)
    assert [batches(net, 1)[0][0].shape[2:] for _ in range(3)] == [(6, 5), (9, 4), (6, 5)]


def test_cache_stays_within_its_bound(numbered, monkeypatch):
    folder, lines = numbered
    monkeypatch.setattr(pictures, "CACHE_BYTES", pictures.PictureCache.total_nbytes + 3 * 90)
    net = image_net(folder, lines, "batch_size: 5", root=folder)
    first, second = batches(net, 2), batches(net, 2)
    assert equal(first, second)
    # fewer than three where a net of an earlier test still reads ahead: the bound is for all caches together
    assert net.layers[0].cache.nbytes in (90, 2 * 90, 3 * 90)


def test_a_later_net_gets_the_room_of_one_that_is_gone(numbered):
    folder, lines = numbered
    net = image_net(folder, lines, "batch_size: 5", root=folder)
    batches(net, 2)
    before = pictures.PictureCache.total_nbytes
    net.layers[0].cache.__del__()
    assert pictures.PictureCache.total_nbytes == before - 900
    net.layers[0].cache.nbytes = 0


# -- bad files -------------------------------------------------------------------------------------------------------
def test_empty_list(tmp_path):
    with pytest.raises(caffe.LayerError, match=r"layer 'data' \(ImageData\): the source list '.*list.txt' is empty"):
        image_net(tmp_path, [])


def test_missing_list(tmp_path):
    with pytest.raises(caffe.LayerError, match="cannot read the source list 'none.txt': No such file"):
        make_net(tmp_path, '''layer { name: "d" type: "ImageData" top: "a" top: "b"
            image_data_param { source: "none.txt" } }''')


@pytest.mark.parametrize("line, why", [("grad.png", "the label is missing"), ("grad.png x1", "'x1' is not an integer")])
def test_line_without_label(line, why, tmp_path):
    (tmp_path / "list.txt").write_text(f"noise.png 1\n{line}\n")
    with pytest.raises(caffe.LayerError, match=f"list.txt:2: '{line}': .*{why}"):
        make_net(tmp_path, f"""layer {{ name: "d" type: "ImageData" top: "a" top: "b"
            image_data_param {{ source: "{tmp_path}/list.txt" }} }}""")


@pytest.mark.parametrize("text", ["my photo 1.png 7\n", "my photo 1.png\t 7 \r\n", "\ufeffmy photo 1.png 7"])
def test_names_may_hold_blanks_and_the_label_is_the_last_word(text, tmp_path):
    cv2.imwrite(str(tmp_path / "my photo 1.png"), np.full((2, 2), 9, np.uint8))
    net = image_net(tmp_path, [], root=tmp_path, text=text)
    assert batches(net, 1)[0][1] == [7]


def test_a_name_with_an_odd_line_end_of_unicode_is_one_name(tmp_path):
    cv2.imwrite(str(tmp_path / "a\u2028b.png"), np.full((2, 2), 9, np.uint8))
    assert batches(image_net(tmp_path, [("a\u2028b.png", 7)], root=tmp_path), 1)[0][1] == [7]


def test_missing_picture_names_its_line_and_later_batches_go_on(numbered):
    folder, lines = numbered
    net = image_net(folder, [*lines[:2], ("none.png", 2), lines[3]], "batch_size: 2", root=folder)
    batches(net, 1)
    for _ in range(2):  # the net stays as it was
        with pytest.raises(caffe.LayerError, match=r"list.txt:3: cannot read the picture '.*none.png': No such file"):
            net.forward()
    shutil.copy(folder / "9.png", folder / "none.png")
    assert batches(net, 1)[0][1] == [2, 3]


@pytest.mark.parametrize("name", ["grad.jpg", "noise.png"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_picture_cut_short(name, share, tmp_path):
    data = (PICTURES / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(share * len(data))])
    with pytest.raises(caffe.LayerError, match=r"list.txt:1: '.*' \(\d+ bytes\) is truncated or not an image"):
        image_net(tmp_path, [(name, 0)], root=tmp_path)


def test_jpeg_with_bytes_after_its_end_and_a_thumbnail_before_is_whole(tmp_path):
    data = (PICTURES / "grad.jpg").read_bytes()
    thumbnail = b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data  # a whole JPEG inside a segment
    whole = data[:2] + thumbnail + data[2:]
    assert not picture_files.cut_short(whole + b"tail")
    assert picture_files.cut_short(whole[: len(data) + 100]), "the thumbnail's end is not the picture's"
    (tmp_path / "a.jpg").write_bytes(whole + b"tail")
    image_net(tmp_path, [("a.jpg", 0)], root=tmp_path)


def test_not_a_picture(tmp_path):
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(caffe.LayerError, match="not an image that can be decoded; replace the file"):
        image_net(tmp_path, [("a.jpg", 0)], root=tmp_path)


def test_sizes_that_differ_within_a_batch(numbered):
    folder, lines = numbered
    cv2.imwrite(str(folder / "1.png"), np.zeros((9, 4), np.uint8))
    net = image_net(folder, lines, "batch_size: 2", root=folder)
    with pytest.raises(caffe.LayerError, match="list.txt:2 is 9 x 4, .*list.txt:1 6 x 5: the pictures of a batch need"):
        net.forward()


@pytest.mark.parametrize("param, transform, why", [
    ("new_height: 5", "", "new_height 5, new_width 0: give both or neither"),
    ("batch_size: 0", "", "batch_size is 0"),
    ("mirror: true crop_size: 5", "", "crop_size, mirror in ImageDataParameter .* move it to transform_param"),
    ("", "mean_value: 1 mean_value: 2", "mean_value is given 2 times; .* 3 channels"),
    ("", 'mean_file: "none" mean_value: 2', "either mean_file or mean_value"),
    ("", 'mean_file: "none"', "mean_file: Could not open file none"),
    ("", "crop_size: 500", r"'grad.png' is \d+ x \d+, its height less than the crop's, 500"),
    ("", "crop_size: 5 crop_height: 5 crop_width: 5", "either crop_size, or crop_height"),
    ("", "crop_height: 5", "crop_height and crop_width must be given together"),
    ("", "scale_factors: 0.5", "scale_factors is read by ImageSegData only"),
    ("", "force_gray: true", "use is_color"),
])
def test_bad_settings(param, transform, why, tmp_path):
    with pytest.raises(caffe.LayerError, match=why):
        image_net(tmp_path, FOUR, param, transform).forward()
