"""Resident memory of this process, for the benchmarks that compare peaks (Linux)."""

from pathlib import Path


def resident(field):
    """A field of /proc/self/status in MiB: VmRSS as it stands, VmHWM at its peak."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def growth(function, *arguments):
    """MiB by which a call raises the resident memory at its peak."""
    Path("/proc/self/clear_refs").write_text("5")   # forgets the peak until now
    before = resident("VmRSS")
    function(*arguments)
    return resident("VmHWM") - before
