"""Several runs beside each other: one table of mean IoU, time and the settings that differ, and a drawing of it."""

import itertools
import re
from pathlib import Path

from dsrg.io.atomic_files import atomic_write
from dsrg.io.counts import counted
from dsrg.io.errors import UserError
from dsrg.io.param_str import parse_param_str, shown
from dsrg.io.prototxt_text import read_prototxt
from dsrg.report.run_records import read_stamp
from dsrg.report.run_results import ROWS, mean_and_spread, read_run

#: flags that say where and when, not how
PLACES = ("--seed", "--weights", "--device", "--resume", "--workers", "--masks", "--gt")
#: differences that a table shows one by one, and those of one file where there are more
MOST_LINES, MOST_OF_A_FILE = 20, 4
_BEGINS = "| run | seeds |"
#: heads of the columns of mIoU, by the names of dsrg.report.run_results
HEADS = {"cues": "cues", "static": "static", "s": "stage s", "labels": "labels", "f": "stage f", "full": "supervised"}


def group_name(folder):
    """Name of a run's folder without its seed."""
    return re.sub(r"-seed\d+$", "", Path(folder).resolve().name)


def seed_of(folder):
    """The seed that a run's folder is named for.

    Parameters
    ----------
    folder : path

    Returns
    -------
    int
        0 for a name without one.
    """
    match = re.search(r"-seed(\d+)$", Path(folder).resolve().name)
    return int(match[1]) if match else 0


def settings(folder, pb):
    """What the prototxts of a run say.

    Returns
    -------
    dict of str to str
        "train-s.prototxt CRF.param_str.scale" -> "15" and so on; a layer that is there has "... CRF" -> its type; of
        the commands "stage train-s --max-iter" -> "3", and "stage train-s" -> "run".

    Raises
    ------
    UserError
        A prototxt that cannot be read.
    """
    found = {}
    for path in sorted(Path(folder).glob("*.prototxt")):
        message = pb.SolverParameter() if path.name.startswith("solver") else pb.NetParameter()
        read_prototxt(path, message, "solver" if path.name.startswith("solver") else "net")
        if path.name.startswith("solver"):
            found |= {f"{path.name} {key}": value for key, value in _flat(message)}
            continue
        for layer in message.layer:
            found[f"{path.name} {layer.name}"] = layer.type
            found |= {f"{path.name} {layer.name}.{key}": value for key, value in _flat(layer)}
    for path in sorted(Path(folder, "stamps").glob("*.json")):
        command = read_stamp(path).get("command", [])
        found[f"stage {path.stem}"] = "run"
        found |= {f"stage {path.stem} {flag}": value for flag, value in _flags(command) if flag not in PLACES}
    return found


def _flags(command):
    """(flag, values) of a command line; a flag alone has 'set'."""
    starts = [k for k, word in enumerate(command) if word.startswith("--")]
    for start, end in itertools.pairwise([*starts, len(command)]):
        yield command[start], " ".join(command[start + 1:end]) or "set"


def _flat(message):
    """(dotted field, text) of everything set in a message but the names that identify it; param_str by key."""
    for field, value in message.ListFields():
        if field.name in ("name", "type"):
            continue
        if field.name == "param_str":
            try:
                params = parse_param_str(value)
            except ValueError:
                params = None
            if isinstance(params, dict):
                yield from ((f"param_str.{k}", str(v)) for k, v in params.items())
            else:
                yield field.name, shown(value)
        elif field.label == field.LABEL_REPEATED:
            yield field.name, " ".join(" ".join(str(v).split()) for v in value)
        elif field.type == field.TYPE_MESSAGE:
            yield from ((f"{field.name}.{k}", v) for k, v in _flat(value))
        else:
            yield field.name, f"{value:g}" if isinstance(value, float) else str(value)


def differences(base, other):
    """Lines that say what `other` has otherwise than `base` (from `settings`); a layer added or gone is one line."""
    changed = {key for key in base.keys() | other.keys() if base.get(key) != other.get(key)}
    whole = {key for key in changed if key not in base or key not in other if _is_layer(key)}
    alone = {key for key in changed if key.startswith("stage ") and key.count(" ") == 1}  # stages that one has run
    lines = []
    for key in sorted(changed):
        if " ".join(key.split(" ")[:2]) in alone:
            continue
        if key in whole:
            lines.append(f"{key}: {'added' if key in other else 'removed'}")
        elif not any(key.startswith(f"{layer}.") for layer in whole):
            lines.append(f"{key}: {base.get(key, 'default')} → {other.get(key, 'default')}")
    return lines


def brief(lines):
    """Lines of `differences` as a table can show them: where they are very many, as of two backbones, files by counts.

    Examples
    --------
    >>> brief([f"a.prototxt c{k}: {what}" for what in ("added", "removed") for k in range(15)] + ["stage s --x: 1 → 2"])
    ['a.prototxt: 15 layers added, 15 removed (--json names them)', 'stage s --x: 1 → 2']
    """
    if len(lines) <= MOST_LINES:
        return lines
    shown = []
    for file, group in itertools.groupby(lines, lambda line: line.split(" ", 1)[0]):
        group = list(group)
        if file == "stage" or len(group) <= MOST_OF_A_FILE:
            shown += group
            continue
        added, removed = (sum(line.endswith(f": {what}") for line in group) for what in ("added", "removed"))
        counts = [counted(added, "layer") + " added" if added else "",
                  (counted(removed, "layer") if not added else str(removed)) + " removed" if removed else "",
                  counted(len(group) - added - removed, "value") + " changed" if len(group) > added + removed else ""]
        shown.append(f"{file}: {', '.join(filter(None, counts))} (--json names them)")
    return shown


def _is_layer(key):
    name, rest = key.split(" ", 1)
    return name != "stage" and not name.startswith("solver") and "." not in rest


def groups(folders, pb):
    """Runs by name without seed, in the order given.

    Returns
    -------
    dict of str to dict
        "runs": as from dsrg.report.run_results.read_run, with their "seed"; "settings": as from `settings`.

    Raises
    ------
    UserError
        A folder given twice, one that is no run, or seeds of one name that differ in their prototxts.
    """
    found, seen = {}, set()
    for folder in folders:
        if Path(folder).resolve() in seen:
            raise UserError(f"{folder}: given twice; each run counts once")
        seen.add(Path(folder).resolve())
        run, said = read_run(folder), settings(folder, pb)
        group = found.setdefault(group_name(folder), {"runs": [], "settings": said})
        for line in differences(group["settings"], said)[:1]:
            raise UserError(f"{folder}: its settings differ from those of the other seeds ({line}); "
                            "make it again or compare it under another name")
        group["runs"].append({**run, "seed": seed_of(folder)})
    return found


def rows(found):
    """What the table of `groups` says.

    Returns
    -------
    list of str
        Names of dsrg.report.run_results.ROWS that some run has measured.
    list of dict
        For each group "name", "seeds", "values" (mean mIoU with spread as text, for each of the names), "minutes" and
        "differs" (lines; against the first group).
    """
    columns = [name for name, *_ in ROWS if any(name in run["miou"] for g in found.values() for run in g["runs"])]
    base = next(iter(found.values()))["settings"]
    lines = []
    for name, group in found.items():
        cells = []
        for column in columns:
            values = [run["miou"][column] for run in group["runs"] if column in run["miou"]]
            of = "" if len(values) in (0, len(group["runs"])) else f" (of {len(values)})"
            cells.append((mean_and_spread(values) if values else "not run") + of)
        minutes = [sum(s["seconds"] for s in run["stages"].values()) / 60 for run in group["runs"]]
        lines.append({"name": name, "seeds": len(group["runs"]), "values": cells,
                      "minutes": sum(minutes) / len(minutes), "differs": differences(base, group["settings"])})
    return columns, lines


def table(found):
    """Lines of a Markdown table of what `groups` returns."""
    columns, groups_of = rows(found)
    heads = [*(f"{HEADS[c]} mIoU (%)" for c in columns), "stages (min)", "differs in"]
    lines = [f"{_BEGINS} {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for row in groups_of:
        differs = "; ".join(brief(row["differs"])) or "–"
        cells = [row["name"], str(row["seeds"]), *row["values"], f"{row['minutes']:.1f}", differs]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def as_records(found):
    """What `groups` returns, for scripts: a dict a group; mIoU, a share, of each seed by stage (None: not run)."""
    columns, lines = rows(found)
    return [{"name": line["name"], "seeds": line["seeds"], "minutes": line["minutes"], "differs": line["differs"],
             "miou": {column: [run["miou"].get(column) for run in found[line["name"]]["runs"]] for column in columns}}
            for line in lines]


def is_table(path):
    """Whether a file is a table of `table`."""
    with open(path, "rb") as file:
        return file.read(len(_BEGINS)) == _BEGINS.encode()


def drawn_column(found):
    """The column of mIoU that `draw` shows: stage s, or the last that is measured; None where nothing is."""
    measured = {name for group in found.values() for run in group["runs"] for name in run["miou"]}
    return "s" if "s" in measured else next((name for name, *_ in reversed(ROWS) if name in measured), None)


def draw(found, path):
    """Write a PNG: for each row a bar of stage s (or the last column measured), with its seeds as points.

    Raises
    ------
    UserError
        Nothing measured, or a file that cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    column = drawn_column(found)
    if column is None:
        raise UserError("nothing measured in these runs; run the stages segment and evaluate")
    figure, axes = pyplot.subplots(figsize=(7, 0.6 + 0.4 * len(found)))
    for place, group in enumerate(found.values()):
        values = [100 * run["miou"][column] for run in group["runs"] if column in run["miou"]]
        if values:
            axes.barh(place, sum(values) / len(values), color="0.8")
            axes.plot(values, [place] * len(values), "k|")
            axes.annotate(f" {mean_and_spread([v / 100 for v in values])}", (0, place), va="center", fontsize=8)
    axes.set_yticks(range(len(found)), list(found))
    axes.invert_yaxis()
    axes.set_xlabel(f"{HEADS[column]}, mIoU (%)")
    figure.tight_layout()
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=120)
    pyplot.close(figure)
