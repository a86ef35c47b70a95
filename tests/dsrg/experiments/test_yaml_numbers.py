"""Numbers filled into YAML's text: what is read afterwards is right, and the rest of the text stays."""

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dsrg.experiments.yaml_numbers import filled_in, replaced, without

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


#: a value in every style of YAML, before what must stay; {} for the rest of the file
STYLES = {
    "plain": "arguments:\n  cues: --flip  # why\n{}",
    "plain on two lines": "arguments:\n  cues: --sizes 177\n    241 305  # why\n{}",
    "single quotes": "arguments:\n  cues: '--flip ''a'''  # why\n{}",
    "double quotes on two lines": 'arguments:\n  cues: "--sizes 177\n\n  241"  # why\n{}',
    "folded": "arguments:\n  # why\n  cues: >\n    --sizes 177\n    241 305\n{}",
    "folded before a comment": "arguments:\n  cues: >-\n    --flip\n\n  # why\n{}",
    "folded, a comment behind its mark": "arguments:\n  cues: >-  # why\n    --flip\n{}",
    "folded under a tag": "arguments:\n  cues: !!str >-  # why\n    --flip\n{}",
    "kept with its empty lines": "# why\narguments:\n  cues: |+\n    --flip\n\n\n{}",
    "indented by a number": "arguments:\n  cues: |2-\n        --flip\n      # text\n  # why\n{}",
    "empty block": "arguments:\n  cues: |\n# why\n{}",
    "anchor": "arguments:\n  cues: &here --flip  # why\n{}",
    "braces": "arguments: {{cues: --flip}}  # why\n{}",
    "braces, quoted, more": "arguments: {{'cues':'--flip',  # why\n note: 'a'}}\n{}",
    "nothing": "arguments: {{cues: }}  # why\n{}",
}
RESTS = ["", "# more\nlast: 'x: y'", "\n# more\nlast: 1\n"]
HARD = ["", " ", "a: b #x", "--maps-blob 'a: b #x' --flip", "- a", "? a", "a, b", "[", "]", "a]", "{a: b}", "}", "#",
        "'", '"', "yes", "null", "~", "1", "1.5", "1e-5", "2026-11-28", "2026-99-99", "=", "<<", "*a", "&a", "!x",
        "!!int 1", "%a", "@a", "`a`", "---", "...", "| a", "> a", "a\nb", "a\r\nb\u2028c\x85", "\t", "a\\", "\x7f\0",
        "\ufeff", "\U0001f440 \xe9", "a:", ":a", "a #b", "a# b", "x" * 3000]


@pytest.mark.parametrize("style", STYLES)
def test_hard_texts_and_numbers_read_back_in_every_style(style):
    for k, value in enumerate([*HARD, 3, 1e-5, 1e30, 0.1, float("inf"), True]):
        check_filled_in(style, RESTS[k % 3], value)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(STYLES)), st.sampled_from(RESTS),
       st.text(st.one_of(st.sampled_from("ab:#-?,[]{}&*!|>'\"%@` \n\\~="), st.characters(exclude_categories=["Cs"]))))
@example("folded", RESTS[1], "--sizes 121 161 201")
@example("plain", RESTS[0], "--maps-blob 'a: b #x' --flip")
def test_any_text_reads_back_in_every_style(style, rest, value):
    check_filled_in(style, rest, value)


def check_filled_in(style, rest, value):
    """The value reads back, whatever it replaces; everything else and all comments stay."""
    text = STYLES[style].format(rest)
    expected = yaml.safe_load(text)
    expected["arguments"]["cues"] = value
    made = filled_in(text, {("arguments", "cues"): value})
    assert yaml.safe_load(made) == expected
    assert "# why\n" in made and made.endswith(rest)


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: {b: 3}\nx: {}\na: 1\n", "a: 1\n<<: {a: 3}\na: 4\n"])
def test_a_key_that_stands_there_twice_is_not_filled_in_by_half(text):
    """YAML takes the last, the text has the value of the first."""
    with pytest.raises(KeyError, match="a"):
        filled_in(text, {("a",): 7})


WITH_COMMENTS = """# head

# of make
make: |
  # text
a: 1    # of a
# of few,
# on two lines
few:
  most: 6  # inside
  # inside, the last
# of last
last: 2
"""


def test_a_comment_goes_with_its_key_and_no_other():
    assert without(WITH_COMMENTS, "few") == WITH_COMMENTS.replace(
        "# of few,\n# on two lines\nfew:\n  most: 6  # inside\n  # inside, the last\n", "")
    assert without(WITH_COMMENTS, "last") == WITH_COMMENTS.replace("# of last\nlast: 2\n", "")
    assert without(WITH_COMMENTS, "a") == WITH_COMMENTS.replace("a: 1    # of a\n", "")
    assert without(WITH_COMMENTS, "make") == WITH_COMMENTS.replace("make: |\n  # text\n", "")     # the first key


@pytest.mark.parametrize("text", [
    "a: |\n  b\n  # text\nfew: 1\n", "a: 'b\n# text'\nfew: 1\n", "a: >-\n few\n\n\nfew: 1", "{a: 1, few: 2, c: 3}",
    "{a: 1, few: 2}", "{few: 2}\n", '{"few": {"b": 2},\n "a": 1\n}', "few: |\n  b\n  # text\n\na: 1\n", "few:\na: 1"])
def test_what_stands_above_or_beside_a_key_stays(text):
    whole = yaml.safe_load(text)
    del whole["few"]
    assert (yaml.safe_load(without(text, "few")) or {}) == whole
    new = {"most": 6, "otherwise": {"cues": "--maps-blob 'a: b #x\ny'"}}
    made = replaced(text, "few", new, "# new\n")
    assert yaml.safe_load(made) == whole | {"few": new} and ("# new\n" in made) == (text[0] != "{")
