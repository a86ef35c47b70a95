"""dsrg.io.image_ids: a path becomes an id and back, in one way everywhere."""

import pytest

from dsrg.io import image_ids
from dsrg.io.errors import UserError
from dsrg.io.photo_lists import labels_of, read_photos


@pytest.mark.parametrize(("photo", "image_id"), [
    ("a.jpg", "a"), ("/2007_000032.jpg", "2007_000032"), ("sub/img1.JPG", "sub/img1"), ("./sub/a.png", "sub/a"),
    ("scan.v2.png", "scan.v2"), ("a b/c d.jpeg", "a b/c d"), ("no_suffix", "no_suffix"),
])
def test_a_photo_has_the_id_of_its_path_and_its_files_lie_under_it(tmp_path, photo, image_id):
    assert image_ids.id_of(photo) == image_id
    assert image_ids.file_of(tmp_path, image_id) == tmp_path / f"{image_id}.png"
    assert image_ids.id_below(tmp_path, image_ids.file_of(tmp_path, image_id)) == image_id
    assert image_ids.photo_file(tmp_path, photo).is_relative_to(tmp_path)


@pytest.mark.parametrize("photo", ["../a.jpg", "a/../../b.jpg", "", ".", "/", "a\x1b[2J.jpg", "a\0.jpg", "a\n.jpg"])
def test_what_leads_out_of_the_folder_or_is_no_name_is_refused(photo):
    with pytest.raises(UserError, match=r"leads out|is not a name|control character"):
        image_ids.id_of(photo)


def test_photos_of_one_id_are_refused():
    assert image_ids.by_id([("s/a.jpg", 1), ("t/a.png", 2)]) == {"s/a": 1, "t/a": 2}
    with pytest.raises(UserError, match=r"'s/a\.jpg' and 's/a\.png' have the same id 's/a'"):
        image_ids.by_id([("s/a.jpg", 1), ("s/a.png", 2)])


def test_labels_of_listed_photos_go_by_the_whole_id(tmp_path):
    """Two folders with one file name; the original's slash in front changes nothing."""
    for place in ("one", "two"):
        (tmp_path / "photos" / place).mkdir(parents=True)
        (tmp_path / "photos" / place / "img.jpg").touch()
    (tmp_path / "list.txt").write_text("one/img.jpg 4\n/two/img.jpg 9\n")
    (tmp_path / "labels.txt").write_text("one/img 1\ntwo/img 2\n")
    photos = read_photos(tmp_path / "list.txt", tmp_path / "photos")
    assert [photo.id for photo in photos.values()] == ["one/img", "two/img"]
    assert labels_of(photos, tmp_path / "labels.txt") == {4: [1], 9: [2]}
