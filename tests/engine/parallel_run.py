"""A process of a training run of two, started by test_parallel.py: python parallel_run.py SOLVER OUT."""

import sys

import caffe
import numpy as np


class Shard(caffe.Layer):
    """Rows of a fixed array: each process reads its share, a row a forward."""

    def setup(self, bottom, top):
        self.rows = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
        self.place = caffe.solver_rank()

    def reshape(self, bottom, top):
        top[0].reshape(1, 3)
        top[1].reshape(1)

    def forward(self, bottom, top):
        top[0].data[...] = self.rows[self.place % 8]
        top[1].data[...] = self.place % 4
        self.place += caffe.solver_count()

    def backward(self, top, propagate_down, bottom):
        pass


def main(solver_file, out):
    sys.modules["parallel_run"] = sys.modules[__name__]
    solver = caffe.get_solver(solver_file)
    first = solver.net.params["ip"][0].data.copy()
    solver.solve()
    np.savez(f"{out}{caffe.solver_rank()}.npz", first=first, last=solver.net.params["ip"][0].data,
             count=caffe.solver_count())


if __name__ == "__main__":
    main(*sys.argv[1:])
