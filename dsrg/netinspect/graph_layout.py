"""Places of a directed graph's nodes in a drawing, by igraph's layered layout (Sugiyama, Tagawa and Toda, 1981)."""


class Layout:
    """Places of nodes 0..count-1 and the ways of their edges.

    Parameters
    ----------
    count : int
    edges : list of (int, int)
        From a node to one with a higher number; the same edge once.
    width : float
        Least room, from centre line to centre line, of what stands on one rank: nodes and passing edges.

    Attributes
    ----------
    rank : list of int
        Rank of each node, from 0 at the top: the length of the longest path that leads to it.
    x : list of float
        Position of each node across, `width / 2` or more.
    ways : dict of (int, int) to list of (float, int)
        Edge -> (x, rank) of the points it goes through, both ends and a point on each rank between included.

    Raises
    ------
    ValueError
        An edge that goes back.
    """

    def __init__(self, count, edges, width=1.0):
        import igraph  # only drawings need it

        self.rank = _ranks(count, edges)
        layers, chains = list(self.rank), {}
        for a, b in edges:  # where an edge passes a rank it is given a vertex, since igraph keeps its own to itself
            passing = range(len(layers), len(layers) + self.rank[b] - self.rank[a] - 1)
            layers += range(self.rank[a] + 1, self.rank[b])
            chains[a, b] = [a, *passing, b]
        links = [link for chain in chains.values() for link in zip(chain, chain[1:], strict=False)]
        graph = igraph.Graph(len(layers), links, directed=True)
        across = [x for x, _ in graph.layout_sugiyama(layers=layers, hgap=width).coords]
        left = min(across, default=0.0) - width / 2
        self.x = [x - left for x in across[:count]]
        self.ways = {edge: [(across[k] - left, layers[k]) for k in chain] for edge, chain in chains.items()}


def _ranks(count, edges):
    ranks = [0] * count
    for a, b in sorted(edges):  # all edges into a node come before those out of it
        if not a < b:
            raise ValueError(f"edge {a} -> {b} goes back")
        ranks[b] = max(ranks[b], ranks[a] + 1)
    return ranks
