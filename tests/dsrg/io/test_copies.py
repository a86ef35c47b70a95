"""Files of the same bytes, found by reading those alone that have another's size."""

import os

from dsrg.io.copies import copies


def test_copies_links_and_hard_links_are_one_group(tmp_path):
    contents = {"a": b"123", "b": b"124", "c": b"123", "d": b"12345", "e": b"", "f": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "g").symlink_to("d")
    os.link(tmp_path / "b", tmp_path / "h")
    paths = {name: tmp_path / name for name in (*contents, "g", "h", "not there")}
    assert copies(paths) == [["a", "c"], ["b", "h"], ["d", "g"]]
    assert copies(paths, of={"g"}) == [["d", "g"]] and copies(paths, of={"e"}) == []
