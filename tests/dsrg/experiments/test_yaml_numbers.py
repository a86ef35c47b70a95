"""Numbers filled into YAML's text: what is read afterwards is right, and the rest of the text stays."""

import pytest
import yaml

from dsrg.experiments.yaml_numbers import filled_in, without

TEXT = """# head
nets:
  classes: 21    # with background
  batch: {cam: 15, s: 20}
name: "a b"
words: --sizes 3   # a comment
make:
  - x
  - y
last: 1
"""


def test_values_change_and_the_rest_of_the_text_stays():
    text = filled_in(TEXT, {("nets", "batch", "s"): 1000, ("nets", "classes"): 4, ("nets", "batch", "cam"): 2,
                            ("name",): 'c "d"', ("words",): "--sizes 33 65", ("last",): 0.5})
    assert text == (TEXT.replace("21 ", "4 ").replace("cam: 15, s: 20", "cam: 2, s: 1000")
                    .replace('"a b"', '"c \\"d\\""').replace("--sizes 3 ", "--sizes 33 65 ")
                    .replace("last: 1", "last: 0.5"))
    assert yaml.safe_load(text) == {"nets": {"classes": 4, "batch": {"cam": 2, "s": 1000}}, "name": 'c "d"',
                                    "words": "--sizes 33 65", "make": ["x", "y"], "last": 0.5}


@pytest.mark.parametrize("keys", [("nets", "size"), ("nets",), ("nets", "classes", "more"), ("none",)])
def test_a_value_that_is_not_there_is_not_made_up(keys):
    with pytest.raises(KeyError, match=keys[0]):
        filled_in(TEXT, {keys: 1})


@pytest.mark.parametrize("key", ["nets", "name", "words", "make", "last"])
def test_a_key_goes_with_all_its_lines(key):
    whole = yaml.safe_load(TEXT)
    del whole[key]
    assert yaml.safe_load(without(TEXT, key)) == whole and without(TEXT, "none") == TEXT
