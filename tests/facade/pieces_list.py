"""Names of what pieces.py runs, in order: importable without choosing a Caffe."""

PIECES = ("train_and_resume", "train_fully", "retrain_with_deeplabs_types", "load_the_demos_deploy_nets",
          "refuse_a_gpu_that_is_not_there", "refuse_a_loss_that_is_not_finite", "segment", "make_cues",
          "refuse_weights_that_leave_layers_random", "small_commands")
