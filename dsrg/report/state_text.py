"""The state of a run (dsrg.report.run_state) in words."""

from tqdm import tqdm

from dsrg.io.errors import printable


def plain_lines(state):
    """One line on the run and its stage, one on its losses, one on its last warning, as far as there is something."""
    lines = [": ".join(filter(None, [state["run"], ", ".join(filter(None, [state_words(state), stage_words(state),
                                                                           progress_words(state)]))]))]
    if losses := loss_words(state):
        lines.append(f"  {losses}")
    if state["warnings"]:
        lines.append(f"  warning: {state['warnings'][-1]}{more_words(state)}")
    return [printable(line) for line in lines]      # names come from the files of the run, which may be a stranger's


def stage_words(state):
    """'stage 7 of 21, train-s', or what is known of it; '' where nothing is."""
    if not state["stage"] or state["state"] == "done":
        return ""
    return (f"stage {state['number']} of {state['of']}, " if state["number"] else "stage ") + state["stage"]


def loss_words(state):
    """'loss-Seed 0.49, loss-Constrain 0.17, lr 0.00379, 0.65 s an iteration'."""
    training = state["training"]
    if not training or state["state"] == "done":
        return ""
    words = [f"{name} {'not finite' if mean is None else f'{mean:.4g}'}" for name, mean in training["losses"].items()]
    words += [f"lr {training['rate']:.3g}"] if training["rate"] is not None else []
    words += [f"{training['seconds']:.2g} s an iteration"] if training["seconds"] is not None else []
    return ", ".join(words)


def state_words(state):
    """'running for 02:10', 'failed with status 1 after 00:12'."""
    failed = f" with status {state['status']}" if state["state"] == "failed" and state["status"] else ""
    if not state["seconds"] or state["state"] not in ("running", "done", "stopped", "failed"):
        return state["state"] + failed
    since = "for" if state["state"] == "running" else "after"
    return f"{state['state']}{failed} {since} {tqdm.format_interval(state['seconds'])}"


def progress_words(state):
    """'iteration 120 of 150, 00:19 left' of a stage that is not done."""
    progress = state["progress"]
    if not progress or state["state"] == "done":
        return ""
    left = progress["seconds_left"]
    of = f" of {progress['of']}" if progress["of"] else ""
    words = f"{progress['done']}{of} {progress['unit']}"
    if state["state"] != "running":
        return words
    words += f", {tqdm.format_interval(left)} left" if left is not None else ""
    age = (state["training"] or {}).get("age", 0)
    return words + (f", the last one {tqdm.format_interval(age)} ago" if age >= 60 else "")


def more_words(state):
    """' (and 2 more)' warnings than the one shown."""
    more = len(state["warnings"]) - 1
    return f" (and {more} more)" if more else ""
