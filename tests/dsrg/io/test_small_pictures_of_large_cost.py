"""Pictures under a megabyte that stand for gigabytes of memory, or for minutes of work: refused by header, or cheap.

Every reader of pictures, the engine's too, reads all of them in one process whose memory and processor time are
limited; JPEG's decoder alone would take 40 seconds for the scans below.
"""

import json
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from caffe import limits, picture_files

from dsrg.io.errors import UserError
from dsrg.io.label_png import value_counts
from dsrg.io.photos import load_image_bgr
from dsrg.io.pictures import read_picture
from tests.conftest import PATIENCE, ROOT

SIDE = 10_000       # 100 megapixels, the limit of maps
#: readers by name, and each alone in a process of this much more memory than its modules take, and of so many seconds
MEMORY, SECONDS = 1 << 30, 5
SCRIPT = """
import json, resource, sys
import cv2
from caffe import picture_arrays
from caffe.layers.pictures import decode_picture
from dsrg.datasets.colour_masks import index_mask
from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png, value_counts
from dsrg.io.orientation import exif_orientation
from dsrg.io.photos import load_gray, load_image_bgr
from dsrg.io.pictures import read_picture
from dsrg.io.voc import palette
from dsrg.scoring.metrics import confusion_matrix
import skimage.io, skimage.color

def counted(path):
    labels = load_label_png(path)
    value_counts(labels), confusion_matrix(labels, labels, 2)

PHOTOS = {"data set": load_image_bgr, "any picture": read_picture, "EXIF": exif_orientation,
          "pycaffe": picture_arrays.load_image,
          "data layer": lambda path: decode_picture(open(path, "rb").read(), cv2.IMREAD_COLOR)}
MAPS = {"gray.png": lambda path: load_gray(path, "map"), "indices.png": counted,
        "colour.png": lambda path: index_mask(path, palette()[:2])}
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(sys.argv[1]),) * 2)
said = {}
for path in sys.argv[3:]:
    file = path.rpartition("/")[2]
    for name, read in {**PHOTOS, **({"map": MAPS[file]} if file in MAPS else {})}.items():
        before = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(before.ru_utime + before.ru_stime) + 1 + int(sys.argv[2]), -1))
        try:
            read(path)
            said[f"{name} {file}"] = "read"
        except (UserError, ValueError) as error:
            said[f"{name} {file}"] = str(error)
print(json.dumps(said))
"""


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, colour_type, extra=b""):
    """A PNG of zeros, of 8 bits a channel."""
    row = bytes(1 + width * {0: 1, 2: 3, 3: 1, 6: 4}[colour_type])
    packer = zlib.compressobj(6)
    pixels = b"".join(packer.compress(row * 100) for _ in range(height // 100)) + packer.flush()
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)) + extra
            + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def progressive(side, scans, between=b""):
    """A gray JPEG whose scans say of all blocks that there is nothing more: a few bytes for 32,767 of them."""
    runs = -(-(side // 8) ** 2 // 32767)
    bits = ("0" + "1" * 14) * runs
    bits += "1" * (-len(bits) % 8)
    entropy = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    one = between + segment(0xDA, b"\x01\x01\x00\x01\x3f\x00") + entropy
    return (b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64)
            + segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\x01\x11\0")
            + segment(0xC4, b"\x10\x01" + bytes(15) + b"\xe0") + segment(0xC4, b"\0\x01" + bytes(16))
            + one * scans + b"\xff\xd9")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    content = {"colour.png": png(SIDE, SIDE, 2), "gray.png": png(SIDE, SIDE, 0),
               "indices.png": png(SIDE, SIDE, 3, chunk(b"PLTE", bytes(768))),
               "scans.jpg": progressive(1000, 40_000, segment(0xFE, b"\xff\xd9"))}
    for name, data in content.items():
        assert len(data) < 1_000_000
        (folder / name).write_bytes(data)
    return folder


def test_small_pictures_of_large_cost_are_refused_or_cheap(pictures):
    words = [str(MEMORY), str(SECONDS), *map(str, sorted(pictures.iterdir()))]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], cwd=ROOT, timeout=PATIENCE, capture_output=True,
                          env={"PYTHONPATH": "engine:training:.", "OMP_NUM_THREADS": "1"}, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    for reader in ("data set", "any picture", "EXIF", "pycaffe", "data layer"):
        for name in ("colour", "gray", "indices"):
            told = said.pop(f"{reader} {name}.png")
            assert "25 megapixels" in told
        assert "more than 100 scans" in said.pop(f"{reader} scans.jpg")
    assert said == {f"map {name}.png": "read" for name in ("colour", "gray", "indices")}


def test_the_limit_by_bytes_is_lifted_by_the_setting(tmp_path, monkeypatch):
    """Flat drawings of many pixels are read where they are meant, and photos of as many always."""
    (tmp_path / "a.png").write_bytes(png(SIDE, 2600, 0))
    with pytest.raises(UserError, match=r"a\.png has 10000x2600 = 26 megapixels in 0\.03 MB, expected at most 25 "
                                        "megapixels of a file that small: is it a photo.* DSRG_MAX_MEGAPIXELS=100"):
        read_picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(png(SIDE, 2600, 0) + bytes(1_050_000))
    assert read_picture(tmp_path / "b.png").rgb.shape == (2600, SIDE, 3)
    monkeypatch.setenv("DSRG_MAX_MEGAPIXELS", "100")
    assert load_image_bgr(tmp_path / "a.png").shape == (2600, SIDE, 3)


def test_a_photo_with_a_video_behind_it_is_read(tmp_path):
    """As phones write them; the bytes of the video hold markers of scans by chance."""
    photo = cv2.imencode(".jpg", np.full((40, 60, 3), 90, np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    data = photo + b"\xff\xda" * 200 + b"\xff\xd9"
    (tmp_path / "a.jpg").write_bytes(data)
    assert read_picture(tmp_path / "a.jpg").rgb.shape == load_image_bgr(tmp_path / "a.jpg").shape == (40, 60, 3)
    assert picture_files.decodable(data)


def test_scans_are_counted_behind_segments_that_hold_an_end(tmp_path):
    data = progressive(16, 101, segment(0xFE, b"\xff\xd9"))
    with pytest.raises(limits.TooMuch, match="more than 100 scans"):
        picture_files.decodable(data)
    assert picture_files.decodable(progressive(16, 100, segment(0xFE, b"\xff\xd9")))
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(UserError, match="more than 100 scans, and photos have about 10"):
        load_image_bgr(tmp_path / "a.jpg")


def test_values_are_counted_a_part_at_a_time():
    labels = np.random.default_rng(0).integers(0, 256, (1500, 1501)).astype(np.uint8)
    np.testing.assert_array_equal(value_counts(labels), np.bincount(labels.ravel(), minlength=256))
    np.testing.assert_array_equal(value_counts(labels[:, ::-1].T), np.bincount(labels.ravel(), minlength=256))
    assert value_counts(labels[:0]).tolist() == [0] * 256
