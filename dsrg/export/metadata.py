"""What a program needs to know besides the net: how photos become its inputs, and what its outputs mean."""

import json

from dsrg.io.versions import git_commit

#: key of all of it as JSON, in the metadata of ONNX (metadata_props) and beside TorchScript's code (extra files)
KEY = "dsrg"


def metadata(net, recipe=None, class_names=(), temperature=None):
    """The description of an exported net.

    Parameters
    ----------
    net : dsrg.export.torch_net.TorchNet
    recipe : Recipe, optional
        Without one, sizes and mean are not known and left out.
    class_names : sequence of str
        In index order, background first; empty where they are not known.
    temperature : Temperature, optional
        Of the probabilities, for scores as the recipe sums them.

    Returns
    -------
    dict of str to str
        One entry, `KEY`, JSON: net, input, outputs, any_size, class_names, commit; preprocessing with channel_order
        (BGR), layout (NCHW), value_range (0 to 255, then minus mean_bgr), mean_bgr, resize (corners stay in place,
        bilinear), sizes or scales, flip, max_side; crf_scale (null: without the CRF); probabilities with temperature,
        calibrated and calibration, as of Temperature.about.
    """
    record = {"net": net.name, "input": net.input_name, "input_shape": list(net.shape), "any_size": net.any_size,
              "outputs": net.output_names, "output_is": "scores before softmax", "class_names": list(class_names),
              "commit": git_commit()}
    if recipe is not None:
        said = recipe.settings()
        record["preprocessing"] = {
            "channel_order": "BGR", "layout": "NCHW", "value_range": [0, 255], "mean_bgr": said["mean"],
            "resize": "bilinear, align_corners: corner pixels on corner pixels", "sizes": said["sizes"],
            "scales": said["scales"], "flip": said["flip"], "max_side": said["max_side"],
            "several": "score maps are resized to the photo and added"}
        record["crf_scale"] = said["crf"] or None
    if temperature is not None:
        record["probabilities"] = {"are": "softmax of the summed scores / temperature", **temperature.about()}
    return {KEY: json.dumps(record, ensure_ascii=False)}
