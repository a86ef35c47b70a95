"""tools.set_batch: every data layer of every training net, of whatever kind, and nothing else."""

import shutil

import pytest
from google.protobuf import text_format

from dsrg.io.errors import UserError
from tests.conftest import ROOT
from tools.set_batch import main


def read(pb, path):
    return text_format.Parse(path.read_text(), pb.NetParameter())


@pytest.mark.parametrize("experiment", ["voc12-vgg16", "voc12-sec", "demo"])
def test_batches_alone_change(pb, tmp_path, experiment):
    folder = ROOT / "prototxts" / experiment
    for path in folder.glob("*.prototxt"):
        shutil.copy(path, tmp_path)
    main(["3", str(tmp_path)])
    for path in folder.glob("*.prototxt"):
        if path.name.startswith("solver") or "deploy" in path.name:
            assert (tmp_path / path.name).read_bytes() == path.read_bytes()
            continue
        net = read(pb, tmp_path / path.name)
        before = read(pb, path)
        assert net != before
        for layer, was in zip(net.layer, before.layer, strict=True):
            if layer.type == "ImageData":
                assert layer.image_data_param.batch_size == 3
                layer.image_data_param.batch_size = was.image_data_param.batch_size
            if layer.python_param.layer == "ImageSegDataLayer":
                assert "'batch_size': 3" in layer.python_param.param_str
                layer.python_param.param_str = was.python_param.param_str
        assert net == before


def test_a_folder_without_data_layers_is_refused(tmp_path):
    with pytest.raises(UserError, match="no prototxt with a batch_size there"):
        main(["3", str(tmp_path)])
    shutil.copy(ROOT / "prototxts/demo/deploy.prototxt", tmp_path)
    with pytest.raises(UserError, match="no prototxt with a batch_size there"):
        main(["3", str(tmp_path)])


def test_a_net_that_cannot_be_read_is_named_with_its_line(tmp_path):
    (tmp_path / "train-s.prototxt").write_text("layer {\n  nmae: 'x'\n}\n")
    with pytest.raises(UserError, match="train-s.prototxt:2:"):
        main(["3", str(tmp_path)])
