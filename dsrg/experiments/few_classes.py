"""Arguments by the number of classes (`few_classes` of settings.yaml), for experiments made from another.

An experiment has the arguments of its own side of `most` under `arguments`, and under few_classes those of the other:
as `arguments` those for few classes, or as `otherwise` those for more. One made from it for the other side takes these,
and keeps what it leaves for the way back, with whatever was edited there.
"""

import shlex
from dataclasses import replace

from dsrg.experiments.yaml_numbers import replaced

KEY = "few_classes"
COMMENTS = {
    "arguments": "# For experiments made from this one whose data have few classes, `most` with background.\n",
    "otherwise": "# `arguments` are for few classes, `most` with background; experiments made from this one for more "
                 "take these.\n"}


def other_side(template, classes):
    """Where the arguments for so many classes stand under few_classes: "arguments" or "otherwise".

    Parameters
    ----------
    template : dsrg.pipeline.settings.Experiment
    classes : int
        With background.

    Returns
    -------
    str or None
        None where the template has no others, or its own are for so many.
    """
    few = template.few_classes
    wanted = "arguments" if few and classes <= few["most"] else "otherwise"
    return wanted if wanted in few else None


def reasons(template, classes):
    """A line for each command whose arguments are those of the other side.

    Parameters
    ----------
    template : dsrg.pipeline.settings.Experiment
    classes : int
        With background.

    Returns
    -------
    list of str
    """
    side, few = other_side(template, classes), template.few_classes
    why = (f"so few classes ({classes} with background), of none of which much of what is salient is"
           if side == "arguments" else f"more than {few['most']} classes ({classes} with background)" if side else "")
    return [f"{command}: as {template.name} has it for {why}" for command in (few[side] if side else ())]


def changed_sides(template, text, classes):
    """The template as it is for so many classes.

    Parameters
    ----------
    template : dsrg.pipeline.settings.Experiment
    text : str
        Its settings.yaml.
    classes : int
        With background.

    Returns
    -------
    (dsrg.pipeline.settings.Experiment, str)
        With the other side's arguments, and its own where those stood; the text has these too, under few_classes alone.
    """
    side, few, own = other_side(template, classes), template.few_classes, template.arguments
    if side is None:
        return template, text
    back = "otherwise" if side == "arguments" else "arguments"
    left = {command: own[command] for command in few[side] if command in own}
    changed = replace(template, arguments=own | few[side], few_classes={"most": few["most"], back: left})
    written = {"most": few["most"], back: {command: shlex.join(words) for command, words in left.items()}}
    return changed, replaced(text, KEY, written, COMMENTS[back])
