"""What a layer costs: parameters, multiply-adds, memory."""

from dataclasses import asdict, dataclass
from math import prod

BYTES = 4  # of a float32


@dataclass(frozen=True)
class Row:
    """A layer in the table.

    `tops` holds (name, shape) of each; `params` counts the numbers in its own parameters (a shared one with its
    owner); `multiply_adds` counts those of its matrix products; `bytes` is the float32 memory of the blobs it adds
    (none where it works in place).
    """

    line: int
    name: str
    type: str
    tops: tuple
    params: int
    multiply_adds: int
    bytes: int


def rows(state):
    """The Rows of a State (checks.py), in order; layers whose shapes are not known are left out.

    Parameters
    ----------
    state : State

    Returns
    -------
    list of Row
    """
    seen, found, owned = set(), [], {id(entry.blob) for entry in state.shapes.learnable}
    for node in state.shapes.nodes:
        tops = tuple((name, blob.dims) for name, blob in zip(node.top_names, node.tops, strict=True))
        size = BYTES * sum(prod(shape) for name, shape in tops if name not in seen)
        seen.update(name for name, _ in tops)
        params = sum(blob.count for blob in node.layer.blobs if id(blob) in owned)
        found.append(Row(state.line(node.param.name), node.param.name, node.param.type, tops, params,
                         multiply_adds(node), size))
    return found


def multiply_adds(node):
    """Multiply-adds of one forward: those of convolutions, inner products and recurrent layers; the rest is nothing
    beside them (bias, activation, pooling and normalisation count 0, as in torch's FlopCounterMode).

    Every output of a convolution takes channels / group * kernel of them; a deconvolution as many for every input.

    Parameters
    ----------
    node : caffe.graph_nodes.Node
        With shapes.

    Returns
    -------
    int
    """
    kind, weights = node.param.type, [blob.dims for blob in node.layer.blobs]
    if kind == "Convolution":
        return sum(top.count for top in node.tops) * prod(weights[0][1:])
    if kind == "Deconvolution":
        return sum(bottom.count for bottom in node.bottoms) * prod(weights[0][1:])
    if kind == "InnerProduct":
        return node.tops[0].count * prod(weights[0]) // node.param.inner_product_param.num_output
    if kind in ("LSTM", "RNN"):
        steps, items = node.bottoms[0].dims[:2]
        matrices = [shape for shape in weights if len(shape) == 2]
        once = prod(matrices.pop(1)) if node.layer.static else 0  # the static input is the same at every step
        return items * (steps * sum(map(prod, matrices)) + once)
    return 0


def readable(count, unit=""):
    """1234567 -> '1.23 M'; bytes by 1024 with unit 'B'.

    Parameters
    ----------
    count : int or float
    unit : str
        "B" for bytes, "" for counts.

    Returns
    -------
    str
    """
    step, names = (1024, ("", "Ki", "Mi", "Gi", "Ti")) if unit else (1000, ("", "K", "M", "G", "T"))
    value = float(count)
    for name in names:
        if value < step or name == names[-1]:
            break
        value /= step
    text = f"{value:.0f}" if not name or value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return f"{text} {name}{unit}".rstrip()


def as_record(rows):
    """What `table` says, for scripts: a dict a layer, and the sums.

    Parameters
    ----------
    rows : list of Row

    Returns
    -------
    dict
        "layers": list of dict; "params", "multiply_adds", "bytes": int.
    """
    layers = [{**asdict(row), "tops": {name: list(shape) for name, shape in row.tops}} for row in rows]
    sums = {name: sum(row[name] for row in layers) for name in ("params", "multiply_adds", "bytes")}
    return {"layers": layers, **sums}


def table(rows):
    """Lines of the table of Rows, with the sums.

    Parameters
    ----------
    rows : list of Row

    Returns
    -------
    list of str
    """
    cells = [("line", "layer", "type", "tops", "params", "mult-adds", "memory")]
    for row in rows:
        tops = ", ".join(f"{name} {'x'.join(map(str, shape)) or '1'}" for name, shape in row.tops)
        cells.append((str(row.line), row.name, row.type, tops, f"{row.params:,}" if row.params else "",
                      readable(row.multiply_adds) if row.multiply_adds else "",
                      readable(row.bytes, "B") if row.bytes else "in place" if row.tops else ""))
    params, adds, size = (sum(getattr(row, name) for row in rows) for name in ("params", "multiply_adds", "bytes"))
    cells.append(("", f"{len(rows)} layers", "", "", f"{params:,}", readable(adds), readable(size, "B")))
    widths = [max(len(line[k]) for line in cells) for k in range(7)]
    lines = ["  ".join(cell.rjust(width) if k in (0, 4, 5, 6) else cell.ljust(width)
                       for k, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip() for line in cells]
    lines.insert(1, "-" * max(map(len, lines)))
    lines.insert(-1, lines[1])
    held = size + 4 * params
    return [*lines, f"parameters {params:,} ({readable(4 * params, 'B')}), multiply-adds of a forward {adds:,}",
            f"float32 blobs and parameters: {readable(held, 'B')} forward; with their gradients and one solver history "
            f"{readable(2 * held + 4 * params, 'B')} (workspace of the kernels comes on top)"]
