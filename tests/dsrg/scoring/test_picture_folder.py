"""When the map of a picture counts as done."""

import os
import shutil
import time

from dsrg.scoring.picture_folder import PictureFolder


def test_a_map_is_done_while_its_picture_has_not_changed_since_whatever_the_clocks_say(tmp_path):
    photo, older, out = tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "out"
    older.write_bytes(b"other")
    os.utime(older, (1e9, 1e9))
    photo.write_bytes(b"photo")
    os.utime(photo, (4e9, 4e9))         # by a camera whose clock was wrong
    (out / "overlays").mkdir(parents=True)
    folder = PictureFolder(out, {}, {}, {"a": photo}, ["background"])

    def make():
        time.sleep(0.02)                # the kernel's clock of files goes in steps of up to 10 ms
        for path in (folder.overlay_path("a"), folder.path("a")):
            path.write_bytes(b"made")

    assert not folder.is_done("a")
    make()
    assert folder.is_done("a")
    time.sleep(0.02)
    shutil.copy2(older, photo)          # which keeps the time of 2001
    assert not folder.is_done("a")
    make()
    assert folder.is_done("a")
    os.utime(folder.path("a"), (time.time() + 1000,) * 2)       # made before the clock was set back
    assert not folder.is_done("a")
