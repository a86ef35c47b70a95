"""Times steps of a solver on whichever Caffe this Python imports; train_step runs it with real Caffe on the path.

    PYTHONPATH=$CAFFE_ROOT/python python benchmarks/caffe_steps.py solver.prototxt 10 arrays.npz

arrays.npz holds the values of the net's inputs, by name. Prints the seconds of each step as JSON.
"""

import argparse
import json
import time

import numpy as np


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python benchmarks/caffe_steps.py", description=__doc__.split("\n")[0])
    parser.add_argument("solver", help="solver prototxt")
    parser.add_argument("steps", type=int, help="steps that count")
    parser.add_argument("arrays", help="npz of the inputs")
    parser.add_argument("--cpu-time", action="store_true", help="processor time instead of elapsed time")
    args = parser.parse_args(argv)
    clock = time.process_time if args.cpu_time else time.perf_counter
    import caffe

    solver = caffe.get_solver(args.solver)
    with np.load(args.arrays) as archive:
        for name in archive.files:
            solver.net.blobs[name].data[...] = archive[name]
    solver.step(2)
    seconds = []
    for _ in range(args.steps):
        start = clock()
        solver.step(1)
        seconds.append(clock() - start)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
