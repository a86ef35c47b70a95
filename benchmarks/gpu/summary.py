"""The machine that steps ran on, and what they found, as a table."""

import os
import platform
import xml.etree.ElementTree as ET

import torch

from dsrg.io.errors import UserError


def machine(device):
    """What a figure depends on, as a dict of texts."""
    found = {"python": platform.python_version(), "torch": torch.__version__, "cores": str(os.cpu_count())}
    if device != "cpu":
        if not device.isdecimal() or int(device) >= torch.cuda.device_count():
            raise UserError(f"--device {device}: torch {torch.__version__} finds {torch.cuda.device_count()} CUDA "
                            "device(s), numbered from 0; DEVICE=cpu rehearses without one")
        gpu = torch.cuda.get_device_properties(int(device))
        found |= {"device": gpu.name, "memory": f"{gpu.total_memory / 2**30:.0f} GiB", "cuda": str(torch.version.cuda),
                  "cudnn": str(torch.backends.cudnn.version())}
    return found


def counted(path):
    """Counts of a junit file: 'passed 225, failed 0, skipped 3', and the names of what failed."""
    if not path.is_file():
        return "no result", []
    suites = list(ET.parse(path).getroot().iter("testsuite"))
    total, bad, skipped = (sum(int(suite.get(key, 0)) for suite in suites for key in keys)
                           for keys in (("tests",), ("failures", "errors"), ("skipped",)))
    failed = [f"{case.get('classname')}::{case.get('name')}" for suite in suites for case in suite.iter("testcase")
              if case.find("failure") is not None or case.find("error") is not None]
    return f"passed {total - bad - skipped}, failed {bad}, skipped {skipped}", failed


def table(report, out):
    """The report as lines of a Markdown table, one or more a step."""
    where = ", ".join(f"{key} {value}" for key, value in report["machine"].items())
    lines = [f"{where}; commit {report['commit']}{'; rehearsal, figures mean nothing' if report['quick'] else ''}", "",
             "| step | what | result |", "|---|---|---|"]
    for name, step in report["steps"].items():
        status = "" if step["status"] == 0 else f" (status {step['status']})"
        rows = step["figures"] or {}
        if name in ("goldens", "marked"):
            counts, failed = counted(out / f"{name}.xml")
            rows = {"tests": counts, **{f"failed {k + 1}": text for k, text in enumerate(failed[:20])}}
        lines += [f"| {name} | {what} | {text} |" for what, text in rows.items()]
        lines.append(f"| {name} | time | {step['seconds']} s{status} |")
    return "\n".join(lines)
