"""Places of a directed graph's nodes in a drawing: layers by longest path, few crossings, straight lines.

The steps are those of Sugiyama, Tagawa and Toda (1981): ranks, dummy nodes where an edge passes a rank, order by the
mean of the neighbours, then positions.
"""

from collections import defaultdict

SWEEPS = 24


class Layout:
    """Places of nodes 0..count-1 and the ways of their edges.

    Parameters
    ----------
    count : int
    edges : list of (int, int)
        From a node to one with a higher number; the same edge once.
    node_width, way_width : float
        Room, from centre line to centre line, that a node and a passing edge take on a rank.

    Attributes
    ----------
    rank : list of int
        Rank of each node, from 0 at the top.
    x : dict
        Node, or (edge, rank) of a passing edge -> position across, from 0 on.
    ways : dict of (int, int) to list of (float, int)
        Edge -> (x, rank) of the points it goes through, both ends included.
    """

    def __init__(self, count, edges, node_width=1.0, way_width=0.3):
        self._half = (node_width / 2, way_width / 2)
        self.rank = _ranks(count, edges)
        self._up, self._down = defaultdict(list), defaultdict(list)
        chains = {edge: self._chain(edge) for edge in edges}
        rows = [[] for _ in range(max(self.rank, default=-1) + 1)]
        for node in range(count):
            rows[self.rank[node]].append(node)
        for chain in chains.values():
            for key in chain[1:-1]:
                rows[key[1]].append(key)
        self._order(rows)
        self.x = self._positions(rows)
        self.ways = {edge: [(self.x[key], self._rank_of(key)) for key in chain] for edge, chain in chains.items()}

    def _chain(self, edge):
        a, b = edge
        chain = [a, *((edge, rank) for rank in range(self.rank[a] + 1, self.rank[b])), b]
        for upper, lower in zip(chain, chain[1:], strict=False):
            self._down[upper].append(lower)
            self._up[lower].append(upper)
        return chain

    def _rank_of(self, key):
        return key[1] if isinstance(key, tuple) else self.rank[key]

    def _order(self, rows):
        """Sort every row by the mean place of the neighbours above, then below, in turn; keep the best found."""
        best, fewest = [list(row) for row in rows], _crossings(rows, self._down)
        for sweep in range(SWEEPS):
            if not fewest:
                break
            downwards = sweep % 2 == 0
            near = self._up if downwards else self._down
            for r in range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1):
                place = {key: k for k, key in enumerate(rows[r - 1 if downwards else r + 1])}
                own = {key: k for k, key in enumerate(rows[r])}
                rows[r].sort(key=lambda key: _mean([place[n] for n in near[key]], own[key]))
            count = _crossings(rows, self._down)
            if count < fewest:
                best, fewest = [list(row) for row in rows], count
        rows[:] = best

    def _positions(self, rows):
        x = {}
        for row in rows:
            at = 0.0
            for k, key in enumerate(row):
                at += self._gap(row[k - 1], key) if k else 0.0
                x[key] = at
        for sweep in range(SWEEPS):
            near = (self._up, self._down)[sweep % 2]
            for row in rows if sweep % 2 == 0 else rows[::-1]:
                wish = [_mean([x[n] for n in near[key]], x[key]) for key in row]
                self._spread(row, wish, x)
        least = min((x[key] - self._width(key) for key in x), default=0.0)
        return {key: value - least for key, value in x.items()}

    def _spread(self, row, wish, x):
        """The wishes, moved apart where they are too near: the mean of pushing right and pushing left."""
        right, left = list(wish), list(wish)
        for k in range(1, len(row)):
            right[k] = max(right[k], right[k - 1] + self._gap(row[k - 1], row[k]))
        for k in range(len(row) - 2, -1, -1):
            left[k] = min(left[k], left[k + 1] - self._gap(row[k], row[k + 1]))
        for key, a, b in zip(row, right, left, strict=True):
            x[key] = (a + b) / 2

    def _width(self, key):
        return self._half[isinstance(key, tuple)]

    def _gap(self, a, b):
        return self._width(a) + self._width(b)


def _ranks(count, edges):
    rank = [0] * count
    for a, b in sorted(edges):
        if a >= b:
            raise ValueError(f"edge {a} -> {b}: edges go to nodes with higher numbers")
        rank[b] = max(rank[b], rank[a] + 1)
    return rank


def _crossings(rows, down):
    """How often edges between neighbouring rows cross."""
    total = 0
    for upper, lower in zip(rows, rows[1:], strict=False):
        place = {key: k for k, key in enumerate(lower)}
        ends = [place[n] for key in upper for n in sorted(down[key], key=place.get)]
        total += sum(a > b for k, a in enumerate(ends) for b in ends[k + 1:])
    return total


def _mean(values, default):
    return sum(values) / len(values) if values else default
