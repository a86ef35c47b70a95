"""Input sizes for a net of which nobody says any: in proportion to the square that it was trained on."""

from dsrg.io.errors import UserError
from dsrg.io.prototxt_text import parse_prototxt
from dsrg.io.text_files import read_text
from dsrg.scoring.recipe import SIZES

FACTORS = 0.75, 1.0, 1.25           # of 321 the 241, 321 and 401 of the original's test-ms.py
CELL = 8                            # sides are 8 n + 1, as the original's, so that maps of stride 8 line up


def sizes_of_net(net_file, caffe_pb2):
    """Sides of square inputs, at 0.75, 1 and 1.25 of a deploy net's own.

    A net has seen objects at the scale that its square input gave them. Sizes that are larger throughout, such as
    241, 321 and 401 for a net of 241, show them larger than any it learned from.

    Parameters
    ----------
    net_file : path
        Deploy prototxt.
    caffe_pb2 : module

    Returns
    -------
    tuple of int
        Those of 321 where the net is none that can be read, or its input no square above 16.
    """
    try:
        text = read_text(net_file, "net")
        net = parse_prototxt(text, caffe_pb2.NetParameter(), net_file, lenient=True)
    except (OSError, UserError):
        return SIZES                # what is wrong with it is said by whoever opens it
    shapes = [list(shape.dim) for shape in net.input_shape] or [list(net.input_dim)[:4]]
    shapes += [list(shape.dim) for layer in net.layer if layer.type == "Input" for shape in layer.input_param.shape]
    sides = [shape[2] for shape in shapes if len(shape) == 4 and shape[2] == shape[3] > 2 * CELL]
    if not sides:
        return SIZES
    return tuple(max(1, round((factor * sides[0] - 1) / CELL)) * CELL + 1 for factor in FACTORS)
