"""dsrg.io.prototxt_text: what is wrong with a prototxt, said with file, line and column."""

import pytest

from dsrg.io import prototxt_text
from dsrg.io.errors import UserError
from dsrg.io.prototxt_text import parse_prototxt, read_folder, read_prototxt
from dsrg.pipeline.prototxts import messages


def net():
    return messages()["NetParameter"]()


WRONG = {
    "misspelt field": ('name: "x"\nlayer {\n  nam: "a"\n}\n', r"net\.prototxt:3:3: LayerParameter has no field 'nam'; "
                       r"did you mean 'name'\?$"),
    "field of another fork": ('layer { convolution_param { hole: 2 } }', r"net\.prototxt:1:29: ConvolutionParameter "
                              r"has no field 'hole'; DeepLab-v1's `hole` is `dilation` today$"),
    "value of an enum": ('layer {\n pooling_param { pool: MEAN } }',
                         r"net\.prototxt:2:24: PoolingParameter\.PoolMethod has no value 'MEAN'; "
                         r"it has MAX, AVE, STOCHASTIC$"),
    "given twice": ('name: "a"\nname: "b"\n',
                    r"net\.prototxt:2:7: NetParameter takes one 'name', and more are given"),
    "no text": ("layer { name: conv }", r"net\.prototxt:1:15: expected string but found: 'conv'$"),
    "end within a layer": ("layer {\n", r'net\.prototxt:1:7: expected "}"'),
    "number too large": ("layer { convolution_param { num_output: -1 } }", r"net\.prototxt:1:41: "),
}


@pytest.mark.parametrize("text, message", WRONG.values(), ids=WRONG)
def test_place_and_remedy(text, message):
    with pytest.raises(UserError, match="^" + message):
        parse_prototxt(text, net(), "net.prototxt")


def test_fields_of_other_forks_are_skipped_where_nothing_is_written():
    text = 'layer { name: "a" their_param { depth: 3 } }'
    assert parse_prototxt(text, net(), "net.prototxt", lenient=True).layer[0].name == "a"


def test_files(tmp_path):
    path = tmp_path / "net.prototxt"
    with pytest.raises(UserError, match=f"^net {path} does not exist$"):
        read_prototxt(path, net(), "net")
    path.write_bytes(b"\x0a\xff\x00")
    with pytest.raises(UserError, match=f"^net {path} is not text; expected a prototxt in UTF-8 "):
        read_prototxt(path, net(), "net")
    with pytest.raises(UserError, match=f"^net {tmp_path} is a folder; expected a file$"):
        read_prototxt(tmp_path, net(), "net")
    with pytest.raises(UserError, match=f"^prototxt {path} is not text"):
        read_folder(tmp_path)
    path.write_text('name: "x"')
    assert read_folder(tmp_path) == {"net.prototxt": 'name: "x"'}
    message, text = read_prototxt(path, net(), "net")
    assert (message.name, text) == ("x", 'name: "x"')


def test_a_text_is_read_once_and_each_message_is_its_own(monkeypatch):
    """protobuf takes a second for the text of 10,000 layers, and a training asks for its net three times."""
    calls, parse = [], prototxt_text.text_format.Parse
    monkeypatch.setattr(prototxt_text.text_format, "Parse", lambda *a, **k: calls.append(a) or parse(*a, **k))
    text = 'name: "read once" layer { name: "a" type: "ReLU" }'
    first = parse_prototxt(text, net(), "net.prototxt")
    first.layer[0].name = "changed"
    second = parse_prototxt(text, net(), "net.prototxt")
    assert second.layer[0].name == "a" and len(calls) == 1
