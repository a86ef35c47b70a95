"""The stages of the pipeline: a table, one row a stage.

    check -> lists -> cam -> cues -> static, train-s -> label -> train-f, full -> segment -> calibrate -> evaluate
    -> report

A row says what the stage reads, what it makes, by which command, and which stages it follows. Commands run in the
folder of the run; all that a stage's result depends on is read or is a word of its command: stamps.py makes a stamp of
it. A new stage is a row here, and a command.
"""

from dsrg.io.errors import UserError
from dsrg.pipeline.data_and_cue_stages import (
    classifier_quality,
    cue_evaluation,
    cues,
    data_check,
    lists,
    made_data,
)
from dsrg.pipeline.label_map_stages import calibration, evaluation, no_model, segmentation
from dsrg.pipeline.stage import Stage, python
from dsrg.pipeline.training_stages import cam_is_given, no_reference, s_is_taken, training

#: (name of a model, the stage that trains it, whose arguments it is segmented with)
MODELS = (("static", "static", "segment-s"), ("s", "train-s", "segment-s"), ("f", "train-f", "segment-f"),
          ("full", "full", "segment-f"))

STAGES = (
    made_data("data", ()),
    data_check("check", ("data",)),
    lists("lists", ("data",)),
    training("cam", "cam", ("lists",), left_out=cam_is_given, reads=("lists/image_labels.txt",)),
    classifier_quality("cam-quality", ("lists", "cam")),
    cues("cues", ("lists", "cam")),
    training("static", "static", ("lists", "cam", "cues")),
    training("train-s", "s", ("lists", "cam", "cues"), left_out=s_is_taken),
    segmentation("label", "s", ("lists", "train-s"), "lists/train_id.txt", "labels", "label", labels=True),
    training("train-f", "f", ("lists", "train-s", "label")),
    training("full", "full", ("lists", "cam", "train-s"), left_out=no_reference),
    *(segmentation(f"segment-{model}", model, ("lists", stage), "lists/val_id.txt", f"segmentations/{model}", which,
                   group="segment", left_out=no_model(model, stage)) for model, stage, which in MODELS),
    calibration("calibrate", "f", ("lists", "label", "segment-f")),
    cue_evaluation("evaluate-cues", ("lists", "cues")),
    evaluation("labels", "labels", ("lists", "label"), "lists/train_id.txt"),
    *(evaluation(model, f"segmentations/{model}", ("lists", f"segment-{model}"), "lists/val_id.txt")
      for model, *_ in MODELS),
    Stage("report", ("calibrate", "evaluate-cues", "evaluate-labels", *(f"evaluate-{model}" for model, *_ in MODELS)),
          command=lambda run: python("tools.report", ".", "--device", run.settings.device), always=True),
)
#: words that ask for stages, in their order
GROUPS = tuple(dict.fromkeys(stage.group for stage in STAGES))
#: what an ablation takes from the plain run, and what it leaves out unless asked: it is one of stage s, ..
OF_THE_PLAIN_RUN = ("data", "check", "lists", "cam", "cues")
NOT_OF_AN_ABLATION = ("static", "label", "train-f", "full")
#: .. or of the retraining, where it changes nothing before
BEFORE_RETRAINING = (*OF_THE_PLAIN_RUN, "train-s")
NOT_OF_A_RETRAINING = ("static", "full")


def selected(words, skip=()):
    """The rows that these words ask for, in the table's order; without words all but `skip`.

    Parameters
    ----------
    words : sequence of str
    skip : sequence of str

    Returns
    -------
    list of Stage

    Raises
    ------
    UserError
        A word that is neither a stage nor a group of stages.
    """
    known = set(GROUPS) | {stage.name for stage in STAGES}
    for word in (*words, *skip):
        if word not in known:
            raise UserError(f"unknown stage '{word}'; expected some of: {' '.join(GROUPS)}")
    if words:
        return [stage for stage in STAGES if {stage.name, stage.group} & set(words)]
    return [stage for stage in STAGES if not {stage.name, stage.group} & set(skip)]
