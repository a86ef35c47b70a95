"""Forward and backward of a net's convolutions in both layouts of memory, and what the engine's rule picks.

    python -m benchmarks.layouts        VGG16-ASPP on this processor; and the same as one without AVX-512:
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 python -m benchmarks.layouts
    python -m benchmarks.layouts --net demo --batch 16      demo's stage s

Plain torch, photos of 321x321 (demo: 129x129), the least of some runs, by the processor's time of this process, so that
other work on the machine counts little. The sums weigh each shape by how often the net has it: no engine can be faster
than that with these kernels.
"""

import argparse
import time

import torch
import torch.nn.functional as F

#: of a net: channels, outputs, extent of the map, kernel, dilation, how often
SHAPES = {
    "vgg16": ((3, 64, 321, 3, 1, 1), (64, 64, 321, 3, 1, 1), (64, 128, 161, 3, 1, 1), (128, 128, 161, 3, 1, 1),
              (128, 256, 81, 3, 1, 1), (256, 256, 81, 3, 1, 2), (256, 512, 41, 3, 1, 1), (512, 512, 41, 3, 1, 2),
              (512, 512, 41, 3, 2, 3), (512, 1024, 41, 3, 6, 1), (512, 1024, 41, 3, 12, 1), (512, 1024, 41, 3, 18, 1),
              (512, 1024, 41, 3, 24, 1), (1024, 1024, 41, 1, 1, 4), (1024, 21, 41, 1, 1, 4)),
    "demo": ((3, 16, 129, 3, 1, 1), (16, 32, 65, 3, 1, 1), (32, 32, 65, 3, 1, 1), (32, 48, 33, 3, 1, 1),
             (48, 48, 33, 3, 1, 1), (48, 64, 33, 3, 1, 1), (64, 64, 33, 3, 1, 1), (64, 48, 33, 3, 1, 1),
             (64, 48, 33, 3, 4, 1), (64, 48, 33, 3, 8, 1), (48, 7, 33, 1, 1, 3)),
}
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def least(function, repeats):
    """The least seconds of the processor that a call took."""
    function()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        found.append(time.process_time() - start)
    return min(found)


def measure(shape, memory_format, batch, repeats):
    """(forward, backward) seconds of one convolution."""
    channels, outputs, extent, kernel, dilation, _ = shape
    x = torch.randn(batch, channels, extent, extent).contiguous(memory_format=memory_format)
    weight = torch.randn(outputs, channels, kernel, kernel).contiguous(memory_format=memory_format).requires_grad_()
    bias = torch.randn(outputs).requires_grad_()
    learned = [weight, bias] if channels == 3 else [x.requires_grad_(), weight, bias]

    def forward():
        return F.conv2d(x, weight, bias, padding=dilation * (kernel // 2), dilation=dilation)

    y = forward()
    gradient = torch.randn_like(y)
    return (least(lambda: forward().detach(), repeats),
            least(lambda: torch.autograd.grad(y, learned, gradient, retain_graph=True), repeats))


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layouts", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=SHAPES, default="vgg16", help="whose convolutions (%(default)s)")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, of which the least counts (%(default)s)")
    args = parser.parse_args(argv)
    from caffe import layouts

    torch.set_num_threads(args.threads)
    print(f"{torch.backends.cpu.get_cpu_capability()} kernels of torch {torch.__version__}, {args.threads} threads, "
          f"batch {args.batch}; ms forward + backward")
    sums = dict.fromkeys([*FORMATS, "rule", "best"], 0.0)
    for shape in SHAPES[args.net]:
        found = {name: measure(shape, memory_format, args.batch, args.repeats)
                 for name, memory_format in FORMATS.items()}
        picked = layouts.of_convolution(layouts.Window((shape[3],) * 2, (shape[4],) * 2, *shape[:3]))
        rule = next(name for name, memory_format in FORMATS.items() if memory_format is picked)
        totals = {name: sum(times) for name, times in found.items()}
        for name, seconds in {**totals, "rule": totals[rule], "best": min(totals.values())}.items():
            sums[name] += shape[5] * seconds
        print("{} -> {}, {} px, kernel {}, dilation {}, {} times: ".format(*shape)
              + ", ".join(f"{name} {1e3 * a:.0f} + {1e3 * b:.0f}" for name, (a, b) in found.items())
              + f"; rule: {rule}")
    print("all: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in sums.items()))


if __name__ == "__main__":
    main()
