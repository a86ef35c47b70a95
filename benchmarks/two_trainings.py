"""What trainings cost that share the cores, by what OpenMP's threads do while they wait.

    python -m benchmarks.two_trainings --folder work/two      LeNet, batch 64: alone, then two at once
    python -m benchmarks.two_trainings --folder work/two --jobs 4 --rounds 7

torch computes with a team of OpenMP threads. Those that wait for work spin by default, on cores that another process
may need; told to be passive they sleep, and waking them costs a little. Each round runs every policy alone and with
its neighbours, one after the other, so that other load on the machine hits all; the medians of seconds a step count,
and of CPU seconds a step. The project's own choice (dsrg/io/threads.py) is the row "project".
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from dsrg.io.workers import available_cpus

ROOT = Path(__file__).resolve().parents[1]
#: what libgomp does unless told, in its own terms, so that the engine leaves it be
POLICIES = {"default": {"GOMP_SPINCOUNT": "300000"}, "passive": {"OMP_WAIT_POLICY": "PASSIVE"}, "engine": {}}
LENET = """
layer { name: "data" type: "DummyData" top: "data" top: "label"
        dummy_data_param { shape { dim: 64 dim: 1 dim: 28 dim: 28 } shape { dim: 64 }
                           data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 3 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        convolution_param { num_output: 20 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
        convolution_param { num_output: 50 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1"
        inner_product_param { num_output: 500 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
        inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""
#: trains until a line comes in on stdin or the seconds are over; prints wall and CPU seconds a step
JOB = """
import json, os, sys, tempfile, time
import caffe
folder, seconds = sys.argv[1], float(sys.argv[2])
solver = caffe.get_solver(os.path.join(folder, "solver.prototxt"))
solver.step(3)
print("ready", flush=True)
sys.stdin.readline()
steps, start, cpu = 0, time.perf_counter(), time.process_time()
while time.perf_counter() - start < seconds:
    solver.step(1)
    steps += 1
print(json.dumps([(time.perf_counter() - start) / steps, (time.process_time() - cpu) / steps]), flush=True)
"""


def run(jobs, variables, folder, seconds, threads):
    """(seconds, CPU seconds) a step of so many trainings at once, a pair for each."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_"))}
    environment |= {**variables, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT / "engine"),
                    "GLOG_minloglevel": "2"}
    command = [sys.executable, "-c", JOB, str(folder), str(seconds)]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
               for _ in range(jobs)]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    results = [json.loads(process.stdout.readline()) for process in started]
    for process in started:
        process.communicate()
    return results


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.two_trainings", description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once (default 2)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="length of each measurement (default 4)")
    parser.add_argument("--threads", type=int, default=available_cpus(), help="of each training (default: all cores)")
    parser.add_argument("--folder", type=Path, required=True, help="for the prototxts")
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    (args.folder / "net.prototxt").write_text(LENET)
    (args.folder / "solver.prototxt").write_text(
        f'net: "{args.folder}/net.prototxt" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" solver_mode: CPU')
    found = {(policy, jobs): [] for policy in POLICIES for jobs in (1, args.jobs)}
    for _ in range(args.rounds):
        for (policy, jobs), results in found.items():
            results += run(jobs, POLICIES[policy], args.folder, args.seconds, args.threads)
    print(f"{available_cpus()} cores, {args.threads} threads a training, medians of {args.rounds} rounds, ms a step")
    for policy in POLICIES:
        alone, together = ([statistics.median(column) * 1e3 for column in zip(*found[policy, jobs], strict=True)]
                           for jobs in (1, args.jobs))
        print(f"{policy:>8}: alone {alone[0]:.1f} (CPU {alone[1]:.1f}), {args.jobs} at once {together[0]:.1f} (CPU "
              f"{together[1]:.1f}), {together[0] / alone[0]:.2f} times")


if __name__ == "__main__":
    main()
