"""Times steps of a solver on the Caffe that this Python imports; train_step runs it with real Caffe on the path.

    PYTHONPATH=$CAFFE_ROOT/python python benchmarks/caffe_steps.py solver.prototxt 10 arrays.npz

arrays.npz holds the values of the net's inputs, by name. Prints the seconds of each step as JSON.
"""

import json
import sys
import time

import caffe
import numpy as np


def main(solver_file, steps, arrays):
    solver = caffe.get_solver(solver_file)
    with np.load(arrays) as archive:
        for name in archive.files:
            solver.net.blobs[name].data[...] = archive[name]
    solver.step(2)
    seconds = []
    for _ in range(int(steps)):
        start = time.perf_counter()
        solver.step(1)
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
