"""What papers report for the experiments, mIoU in %: theirs, not this project's, to compare a run with."""

from dsrg.report.comparison import group_name

#: name of a run without its seed -> row of run_results.ROWS -> (mIoU on val, whose). DSRG: Huang et al., CVPR 2018, as
#: quoted in the READMEs of the experiments and docs/voc12.md; SEC: Kolesnikov and Lampert, ECCV 2016.
PAPER_MIOU = {
    "voc12-vgg16": {"s": (57.4, "DSRG paper"), "f": (59.0, "DSRG paper")},
    "voc12-vgg16-baseline": {"s": (52.5, "DSRG paper, static seeds")},
    "voc12-resnet101": {"f": (61.4, "DSRG paper")},
    "voc12-sec": {"s": (50.7, "SEC paper")},
    "coco-vgg16": {"f": (26.0, "DSRG paper, COCO val2014")},
}


def paper_miou(folder):
    """The rows that a run can be compared with, by the name of its folder, <experiment>[-<ablation>][-seed<N>].

    Examples
    --------
    >>> paper_miou("work/voc12-resnet101-seed2"), paper_miou("work/voc12-resnet101-static"), paper_miou("work/demo")
    ({'f': (61.4, 'DSRG paper')}, {}, {})
    """
    return PAPER_MIOU.get(group_name(folder), {})
