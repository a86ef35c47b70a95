"""Which layers and bottoms take part in the backward pass: the second half of Caffe's Net::Init."""

from .layer import NativeLayer


def find_backward(nodes, force):
    """Set in each node which bottoms and parameters need a gradient.

    Parameters
    ----------
    nodes : list of Node
        All layers in order, their needs as found going forward: from the parameters that learn to the tops.
    force : bool
        force_backward: every bottom that a gradient can reach.
    """
    under_loss, skipped = set(), set()
    for node in reversed(nodes):
        contributes = any(node.loss_weights) or not under_loss.isdisjoint(node.top_names)
        if skipped.issuperset(node.top_names):
            node.needs_backward = False
            node.bottom_needs = [False] * len(node.bottoms)
        if not contributes:
            node.needs_backward = False
            node.bottom_needs = [False] * len(node.bottoms)
        else:
            under_loss.update(node.bottom_names)
        needs = zip(node.bottom_names, node.bottom_needs, strict=True)
        skipped.update(name for name, needed in needs if not needed)
    for node in nodes:
        native = isinstance(node.layer, NativeLayer)
        if force:
            node.needs_backward = True
            node.bottom_needs = [needed or not native or node.layer.allow_force_backward(k)
                                 for k, needed in enumerate(node.bottom_needs)]
            node.param_needs = [True] * len(node.param_needs)
        if native:  # a layer whose gradients are never needed computes without a graph
            node.layer.propagate_down = [n and node.needs_backward for n in node.bottom_needs]
            node.layer.param_propagate_down = [n and node.needs_backward for n in node.param_needs]
