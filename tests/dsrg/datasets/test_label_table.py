"""dsrg.datasets.label_table: labels as people write them."""

import pytest

from dsrg.datasets.label_table import read_label_table
from dsrg.datasets.photo_names import PhotoNames
from dsrg.io.errors import UserError
from dsrg.io.faults import Faults

PHOTOS = ["a.jpg", "b, c.jpg", "my photo.JPG", "sub/a.jpg", "sub/d.png"]


def table(tmp_path, text, classes=(), photos=PHOTOS):
    """Photo -> labels; a fault is an error here."""
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    faults = Faults("labels.csv")
    found = read_label_table(tmp_path / "labels.csv", tmp_path / "photos", photos, faults, classes)
    faults.refuse()
    return {name: [word for _, word in fields] for name, fields in found.words.items()}


@pytest.mark.parametrize(("text", "expected"), [
    ("a.jpg cow grass\n", {"a.jpg": ["cow", "grass"]}),
    ("a cow\na grass\n", {"a.jpg": ["cow", "grass"]}),
    ("a.jpg,cow,big dog\n", {"a.jpg": ["cow", "big dog"]}),
    ("a.jpg; cow; big dog;\n", {"a.jpg": ["cow", "big dog"]}),
    ("a.jpg\tcow, grass\n", {"a.jpg": ["cow", "grass"]}),
    ("a.jpg cow, grass\n", {"a.jpg": ["cow", "grass"]}),
    ('a.jpg,"cow,grass",sheep\n', {"a.jpg": ["cow", "grass", "sheep"]}),
    ('"b, c.jpg",cow\n', {"b, c.jpg": ["cow"]}),
    ('"a.jpg","big dog"\n', {"a.jpg": ["big dog"]}),
    ('"my photo.JPG" cow grass\n', {"my photo.JPG": ["cow", "grass"]}),
    ("my photo.JPG cow grass\n", {"my photo.JPG": ["cow", "grass"]}),
    ("my photo cow\n", {"my photo.JPG": ["cow"]}),
    ("a.jpg,cow|grass\n", {"a.jpg": ["cow", "grass"]}),
    ("# made by hand\na.jpg cow\n# the end\n", {"a.jpg": ["cow"]}),
    ("image,label\na.jpg,cow\n", {"a.jpg": ["cow"]}),
    ("# exported\nfilename;class 1;class 2\na.jpg;cow;\nsub/d;grass;cow\n",
     {"a.jpg": ["cow"], "sub/d.png": ["grass", "cow"]}),
    ("file_name labels\na cow\n", {"a.jpg": ["cow"]}),
    ("image,cow,big dog\na.jpg,1,0\nsub/d.png,0,1\nsub/a.jpg,1,1\n",
     {"a.jpg": ["cow"], "sub/d.png": ["big dog"], "sub/a.jpg": ["cow", "big dog"]}),
    ("image,cow,grass\na.jpg,True,False\nsub/d.png,,TRUE\n", {"a.jpg": ["cow"], "sub/d.png": ["grass"]}),
    ("./sub/a.jpg cow\nsub\\d.png grass\n", {"sub/a.jpg": ["cow"], "sub/d.png": ["grass"]}),
    ("A.JPG cow\n", {"a.jpg": ["cow"]}),
    ('a.jpg,5" disc\n', {"a.jpg": ['5" disc']}),
    ("\ufeffa.jpg cow\r\n\r\nsub/d grass\r\n", {"a.jpg": ["cow"], "sub/d.png": ["grass"]}),
    ('"a.jpg" cow\n"" ""\n""\n', {"a.jpg": ["cow"]}),
    ("\ta.jpg\tcow\n", {"a.jpg": ["cow"]}),
    ("a.jpg cow grass\t\n", {"a.jpg": ["cow", "grass"]}),
])
def test_forms_of_label_files(tmp_path, text, expected):
    assert table(tmp_path, text) == expected


def test_absolute_paths_below_the_photo_folder(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to("photos")
    assert table(tmp_path, f"{tmp_path}/photos/sub/a.jpg cow\n") == {"sub/a.jpg": ["cow"]}
    with pytest.raises(UserError, match=r"labels.csv:1: '/else/a.jpg' is a path that leads to no photo below"):
        table(tmp_path, "/else/a.jpg,cow\n")
    with pytest.raises(UserError, match=r"'C:\\data\\a.jpg' is a path that leads to no photo"):
        table(tmp_path, "C:\\data\\a.jpg,cow\n")
    with pytest.raises(UserError, match="'http://x.org/a.jpg' is an address"):
        table(tmp_path, "http://x.org/a.jpg,cow\n")


def test_a_relative_path_through_the_photo_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = PhotoNames("photos", PHOTOS)
    assert names.find("photos/sub/a.jpg") == names.find("./photos/sub/a") == ["sub/a.jpg"]


def test_a_file_name_alone_is_that_of_the_photo_in_a_folder(tmp_path):
    """As tables hold it that were written by programs which show one folder at a time."""
    assert table(tmp_path, "D.PNG,cow\na.jpg,dog\n") == {"sub/d.png": ["cow"], "a.jpg": ["dog"]}
    assert table(tmp_path, "e f.jpg cow\n", photos=["e f.jpg", "x/e.jpg", "x/f.jpg"]) == {"e f.jpg": ["cow"]}
    with pytest.raises(UserError, match=r"'a\.jpg' are several photos below the photo folder \(x/a\.jpg, y/a\.jpg\)"):
        table(tmp_path, "a.jpg,cow\n", photos=["x/a.jpg", "y/a.jpg"])
    with pytest.raises(UserError, match="name photos in folders by path, or by file name with the suffix"):
        table(tmp_path, "a.jpg,cow\nd,cow\n")


def test_a_first_line_that_may_be_a_header_of_other_words_says_so(tmp_path):
    text = "Datei;Schlagworte\na.jpg;cow\nx;cow\ny.jpg;cow\n"
    with pytest.raises(UserError, match="3 faults") as caught:
        table(tmp_path, text)
    lines = [line for line in caught.value.details if "csv:" in line]
    assert lines[0].endswith("'Datei' is not a photo below the photo folder; name photos in folders by path, or by "
                             "file name with the suffix (if this is a header, call its first column image)")
    assert not any("header" in line for line in lines[1:])


def test_names_of_classes_with_commas_stay_whole(tmp_path):
    assert table(tmp_path, 'a.jpg,"cow, brown"\n', ["cow, brown"]) == {"a.jpg": ["cow, brown"]}
    assert table(tmp_path, 'a.jpg,"cow, brown"\n') == {"a.jpg": ["cow", "brown"]}


@pytest.mark.parametrize(("text", "message"), [
    ("filename,width,height,class,xmin\na.jpg,500,300,cow,3\n",
     r"a header with columns that are not labels \(width, height, xmin\)"),
    (",image,label\n0,a.jpg,cow\n", "its first column has no name, as where row numbers were written"),
    ("b.gif cow\n", r"'b\.gif' is not a photo below the photo folder; \.gif files are not read, convert them"),
    ("x.jpg cow\n", r"labels\.csv:1: 'x\.jpg' is not a photo below the photo folder; name a \.jpg or \.png file there"),
])
def test_what_is_not_understood_is_named_for_what_it_is(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        table(tmp_path, text)


def test_cells_of_a_table_that_are_neither_0_nor_1_are_named_one_by_one(tmp_path):
    """A word among zeros and ones is a fault of its cell, and no reason to read the table as something else."""
    text = "image,cow,big dog\na.jpg,1,0\nb.jpg,x,\nc c.jpg,maybe,1\nd.jpg,1\n"
    with pytest.raises(UserError, match="2 faults, the first: ") as caught:
        table(tmp_path, text, photos=["a.jpg", "b.jpg", "c c.jpg", "d.jpg"])
    lines = "\n".join(caught.value.details)
    assert "labels.csv:4: 'maybe' in column cow; expected 1 or 0 (or yes, no, true, false, x, nothing)" in lines
    assert "labels.csv:5: 1 cell behind the photo, expected 2, one for each class of the header" in lines
    assert table(tmp_path, "image,cow,big dog\na.jpg,Yes,no\nb.jpg,x,\n", photos=["a.jpg", "b.jpg"]) == {
        "a.jpg": ["cow"], "b.jpg": ["cow"]}


@pytest.mark.parametrize("short", [1, 2, 3])
def test_rows_of_another_length_are_told_as_such_however_many_they_are(tmp_path, short):
    """The header was blamed where half of the rows were cut off."""
    rows = ["a.jpg,1" if k < short else "a.jpg,1,0" for k in range(3)]
    text = "image,cow,big dog\n" + "\n".join(rows) + "\n"
    with pytest.raises(UserError, match="csv:2: 1 cell behind the photo, expected 2, one for each class of the header"):
        table(tmp_path, text)


def test_all_lines_that_name_no_photo_are_told_in_one_go(tmp_path):
    text = "a.jpg cow\n" + "".join(f"x{n}.jpg cow\n" for n in range(12)) + "twin cow\n"
    with pytest.raises(UserError, match="13 faults, the first: .*'x0.jpg' is not a photo") as caught:
        table(tmp_path, text, photos=[*PHOTOS, "twin.jpg", "twin.png"])
    lines = caught.value.details
    assert lines[0] == "lines that name no photo: 12" and "... and 2 more" in lines
    assert any("'twin' are several photos below the photo folder (twin.jpg, twin.png)" in line for line in lines)


def test_names_with_accents_are_found_in_either_coding(tmp_path):
    """macOS writes file names decomposed, editors write them composed."""
    assert table(tmp_path, "caf\u00e9.jpg cow\n", photos=["cafe\u0301.jpg"]) == {"cafe\u0301.jpg": ["cow"]}


def test_a_list_of_many_photos(tmp_path):
    photos = [f"p{n}.jpg" for n in range(50_000)]
    found = table(tmp_path, "".join(f"p{n}.jpg,cow\n" for n in range(50_000)), photos=photos)
    assert len(found) == 50_000


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_line_that_says_what_fields_are_apart_by_and_rows_of_empty_ones_are_passed_over(tmp_path, mark, quoted):
    """As Excel writes them: the header behind sep=; was taken for a photo, the empty rows for photos without a name."""
    said = f'"sep={mark}"' if quoted else f"SEP={mark}"
    labels = ["image,label,label", "a.jpg,cow,", ",,", "sub/d.png,grass,cow", '"",,""', " , , ", ",,", ",,,,"]
    assert table(tmp_path, "\n".join([said, *(row.replace(",", mark) for row in labels)])) == {
        "a.jpg": ["cow"], "sub/d.png": ["grass", "cow"]}
    ticks = ["image,cow,dog,,", "a.jpg,1,0,,", ",,,,", "sub/a.jpg,,,,", "sub/d.png,0,1", "b c.jpg,1,,", "e.jpg,,"]
    text = "\n".join(["", said, "# made by hand", *(row.replace(",", mark) for row in ticks), ""])
    assert table(tmp_path, text, photos=["a.jpg", "sub/a.jpg", "sub/d.png", "b c.jpg", "e.jpg"]) == {
        "a.jpg": ["cow"], "sub/a.jpg": [], "sub/d.png": ["dog"], "b c.jpg": ["cow"], "e.jpg": []}


def test_what_fields_are_apart_by_is_taken_where_it_is_said(tmp_path):
    assert table(tmp_path, "sep=;\nb, c.jpg;cow\n") == {"b, c.jpg": ["cow"]}
    assert table(tmp_path, "sep=;\na.jpg,cow\nsub/d grass dog\n") == {"a.jpg": ["cow"], "sub/d.png": ["grass", "dog"]}
    assert table(tmp_path, "sep=\na.jpg,cow\n") == {"a.jpg": ["cow"]}
    assert table(tmp_path, "sep=;\n;;\n") == {}


def test_a_row_without_a_photo_is_named_as_that(tmp_path):
    with pytest.raises(UserError, match="csv:2: the first field is empty; name the photo there"):
        table(tmp_path, "a.jpg;cow\n;cow\n")
    with pytest.raises(UserError, match="csv:2: 3 cells behind the photo, expected 2"):
        table(tmp_path, "image;cow;dog\na.jpg;1;0;1;\n")
