"""param_str: what is read, and texts that cost or escape."""

import time

import pytest

from dsrg.io.param_str import parse_param_str, shown


@pytest.mark.parametrize(("text", "value"), [
    ("", {}), ("{'a': (1, 2.5), 'b': True}", {"a": (1, 2.5), "b": True}),
    ("a: [1, 2]\nb: true", {"a": [1, 2], "b": True}),
    ("[1, {'a': None}]", [1, {"a": None}]), ("{'a': -3, 'b': 1e-3}", {"a": -3, "b": 1e-3}),
    ("a: -1.0e+3", {"a": -1000.0}),
    ("{'a': 9223372036854775807}", {"a": 2**63 - 1}),
])
def test_literals_and_yaml(text, value):
    assert parse_param_str(text) == value


@pytest.mark.parametrize("text", [
    "{[]: 1}", "{{}: 1}", "? [a]\n: 1", '!!int ""', '!!float ""', "!!timestamp x", "!!bool x", "a: !!int 0x",
    "2001-02-30",
    "!!binary '\xff'", "{" * 100_000, "[" * 1000, "[(" * 300, "- " * 20_000, "? " * 10_000, "1" * 400, "1" * 5000,
    "1_" * 20_000, "1:" * 20_000 + "1", "a: &x [1]\nb: *x", "&a [*a]", "<<: 1", "1+1j", "...", "a: =", "\0", "\ud800",
    "!!python/object/apply:os.system [id]", "%YAML 9.9\n---\na", "[" * 31 + "]" * 31, ".nan", "'" * 20_001,
], ids=lambda text: ascii(text[:20]))
def test_texts_that_are_no_settings(text):
    started = time.process_time()
    with pytest.raises(ValueError, match="param_str is not readable") as caught:
        parse_param_str(text)
    assert len(str(caught.value)) < 1000 and time.process_time() - started < 5


def test_aliases_that_unfold_without_end():
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 20))
    with pytest.raises(ValueError, match=r"aliases \(\*name\) are not read; write the value out"):
        parse_param_str("l0: &l0 [x, x]\n" + levels)


def test_values_in_messages_are_short():
    endless = [1]
    endless.append(endless)
    assert len(shown("x" * 10**6)) < 250 and shown({"a": list(range(1000))}) == "a dict" and shown(10**5000) == "a int"
    assert shown([1, 2]) == "[1, 2]"
