"""A net as a picture: boxes for layers with the shape of what they make, those that work in place in the same box."""

from dataclasses import dataclass, field

from dsrg.io.atomic_files import atomic_write, write_text
from dsrg.io.errors import UserError
from dsrg.netinspect.graph_layout import Layout

FORMATS = (".svg", ".png", ".pdf")
WIDTH, HEIGHT = 2.3, 0.95  # inches from box to box
COLORS = {"Convolution": "#f4c7b8", "Deconvolution": "#f4c7b8", "InnerProduct": "#dcc9ec", "Pooling": "#fbe2b0",
          "Python": "#bfe0d0"}
LOSS, SOURCE, OTHER = "#f1a9a0", "#dddddd", "#cfdff2"
MOST_PIXELS = 60_000  # a PNG of matplotlib ends at 2^16


@dataclass
class Box:
    """Layers drawn as one: the first, and those that go on in place."""

    node: object
    color: str
    inner: list = field(default_factory=list)

    def text(self):
        """Lines: name; type with what it does; in-place layers; shapes."""
        lines = [self.node.param.name, kind(self.node.param)]
        if self.inner:
            lines.append("+ " + ", ".join(self.inner))
        shapes = ["x".join(map(str, blob.dims)) or "1" for blob in self.node.tops]
        return [*lines, "  ".join(shapes)]


def draw(state, path):
    """Write the picture of a State (checks.py) to `path`; the suffix is the format, .dot is text for graphviz.

    Parameters
    ----------
    state : State
    path : Path

    Raises
    ------
    UserError
        Another suffix, or a file that cannot be written.
    """
    if path.suffix == ".dot":
        from caffe.draw import draw_net
        from caffe.proto import caffe_pb2
        kept = caffe_pb2.NetParameter(name=path.stem, layer=[layer for layer, _ in state.layers])
        write_text(path, draw_net(kept, "TB", "dot").decode())
        return
    if path.suffix not in FORMATS:
        raise UserError(f"--draw {path}: expected a name that ends in {', '.join(FORMATS)} or .dot")
    boxes, edges = graph(state.shapes)
    _paint(boxes, Layout(len(boxes), list(edges), WIDTH), edges, path)


def graph(shapes):
    """Boxes of a ShapeNet and {(from, to): names of the blobs}.

    Parameters
    ----------
    shapes : ShapeNet

    Returns
    -------
    boxes : list of Box
    edges : dict of (int, int) to list of str
        Numbers of two boxes -> names of the blobs that go from one to the other.
    """
    boxes, edges, made = [], {}, {}
    for node in shapes.nodes:
        into = [made[name] for name in node.bottom_names]
        if node.bottom_names and list(node.bottom_names) == list(node.top_names):
            boxes[into[0]].inner.append(node.param.type)
            continue
        for name, k in zip(node.bottom_names, into, strict=True):
            edges.setdefault((k, len(boxes)), []).append(name)
        made.update(dict.fromkeys(node.top_names, len(boxes)))
        boxes.append(Box(node, _color(node)))
    return boxes, edges


def kind(param):
    """'Convolution 3x3, dilation 2 → 64' and the like; the class of a Python layer.

    Parameters
    ----------
    param : LayerParameter

    Returns
    -------
    str
    """
    if param.type in ("Convolution", "Deconvolution"):
        p = param.convolution_param
        sizes = list(p.kernel_size) or [p.kernel_h, p.kernel_w]
        text = f"{param.type} {'x'.join(map(str, sizes * 2 if len(sizes) == 1 else sizes))}"
        for name in ("stride", "dilation"):
            values = set(getattr(p, name)) - {1}
            text += f", {name} {max(values)}" if values else ""
        return f"{text} → {p.num_output}"
    if param.type == "Pooling":
        p = param.pooling_param
        method = p.PoolMethod.Name(p.pool)
        if p.global_pooling:
            return f"Pooling {method}, global"
        size = f"{p.kernel_size or p.kernel_h}x{p.kernel_size or p.kernel_w}"
        return f"Pooling {method} {size}" + (f", stride {p.stride}" if p.stride != 1 else "")
    if param.type == "InnerProduct":
        return f"InnerProduct → {param.inner_product_param.num_output}"
    return param.python_param.layer if param.type == "Python" else param.type


def _color(node):
    if any(node.loss_weights):
        return LOSS
    return SOURCE if not node.bottoms else COLORS.get(node.param.type, OTHER)


def _paint(boxes, layout, edges, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch, PathPatch
    from matplotlib.path import Path

    ranks = max(layout.rank, default=0) + 1
    width = max((x for way in layout.ways.values() for x, _ in way), default=0.0)
    width = max([width, *layout.x]) + WIDTH / 2
    figure = Figure(figsize=(width, ranks * HEIGHT))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(ranks * HEIGHT, 0))
    axes.axis("off")
    half = HEIGHT * 0.36
    for edge, way in layout.ways.items():
        points = [(x, (rank + 0.5) * HEIGHT) for x, rank in way]
        codes, vertices = [Path.MOVETO], [(points[0][0], points[0][1] + half)]
        for k, ((x0, y0), (x1, y1)) in enumerate(zip(points, points[1:], strict=False)):
            top, bottom = y0 + half, y1 - half
            if k:  # straight through the rank that it passes
                codes.append(Path.LINETO)
                vertices.append((x0, top))
            middle = (top + bottom) / 2
            codes += [Path.CURVE4] * 3
            vertices += [(x0, middle), (x1, middle), (x1, bottom)]
        axes.add_patch(PathPatch(Path(vertices, codes), fill=False, edgecolor="0.45", linewidth=0.9))
        x, y = vertices[-1]
        axes.add_patch(PathPatch(Path([(x - 0.04, y - 0.08), (x + 0.04, y - 0.08), (x, y)]), facecolor="0.45",
                                 edgecolor="none"))
        if len(boxes[edge[0]].node.tops) > 1:  # which of its blobs
            axes.text(vertices[0][0] + 0.03 + 0.25 * (points[1][0] - points[0][0]), vertices[0][1] + 0.12,
                      ", ".join(edges[edge]), fontsize=5.5, color="0.25", parse_math=False,
                      bbox=dict(facecolor="white", edgecolor="none", pad=0.3))
    for k, box in enumerate(boxes):
        x, y = layout.x[k], (layout.rank[k] + 0.5) * HEIGHT
        wide = WIDTH * 0.9
        axes.add_patch(FancyBboxPatch((x - wide / 2, y - half), wide, 2 * half,
                                      boxstyle="round,pad=0,rounding_size=0.06",
                                      facecolor=box.color, edgecolor="0.3", linewidth=0.7))
        lines = box.text()
        for i, line in enumerate(lines):
            axes.text(x, y + (i - (len(lines) - 1) / 2) * 0.155, _fit(line), ha="center", va="center",
                      fontsize=8 if i == 0 else 6.5, weight="bold" if i == 0 else "normal", parse_math=False)
    dpi = min(120, MOST_PIXELS / max(width, ranks * HEIGHT))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "net"}), atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=dpi, metadata={"Date": None} if path.suffix == ".svg" else None)


def _fit(text, most=44):
    return text if len(text) <= most else text[:most - 1] + "…"
