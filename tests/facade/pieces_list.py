"""Names of what pieces.py runs, in order: importable without choosing a Caffe."""

PIECES = ("train_and_resume", "train_fully", "refuse_a_loss_that_is_not_finite", "segment", "make_cues",
          "small_commands")
