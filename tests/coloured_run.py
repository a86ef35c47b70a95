"""A run folder as the pipeline leaves it, with a net of one layer that scores each class by its colour."""

import cv2
import numpy as np

from dsrg.find_caffe import the_caffe
from tools import segment

CLASSES = ["background", "red", "blue"]
COLOURS_RGB = np.array([(120, 120, 120), (220, 40, 40), (40, 60, 220)], np.uint8)
MEAN_BGR = (100.0, 110.0, 120.0)
DEPLOY = """
layer { name: "in" type: "Input" top: "photo" input_param { shape { dim: 1 dim: 3 dim: 64 dim: 64 } } }
layer { name: "pool" type: "Pooling" bottom: "photo" top: "pool"
        pooling_param { pool: AVE kernel_size: 3 pad: 1 stride: 2 } }
layer { name: "fc8" type: "Convolution" bottom: "pool" top: "fc8" convolution_param { num_output: 3 kernel_size: 1 } }
"""
#: stage -> how sure its net is; a little less each, so that no two stages give the same scores
STAGES = {"f": 1.0, "static": 0.5, "s": 0.8, "full": 0.9}


def scene(k, height=60, width=80):
    """A photo, uint8 RGB: a red and a blue box, not symmetric, on gray with noise."""
    rng = np.random.default_rng(k)
    truth = np.zeros((height, width), int)
    truth[height // 10:height // 2, width // 8:width // 8 + width * 3 * (k + 2) // 40] = 1
    truth[height * 2 // 3:, :width * 5 // 16] = 2
    return np.clip(COLOURS_RGB[truth] + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)


def make_coloured_run(folder, stages=("f",)):
    """Make a run with five val photos, weights and segmentations of the stages; the current folder is `folder`."""
    for name in ("models", "lists", "data/JPEGImages"):
        (folder / name).mkdir(parents=True)
    (folder / "deploy.prototxt").write_text(DEPLOY)
    (folder / "lists/classes.txt").write_text("\n".join(CLASSES))
    for k in range(5):
        cv2.imwrite(str(folder / f"data/JPEGImages/{k}.jpg"), scene(k)[:, :, ::-1])
    (folder / "lists/val_id.txt").write_text("\n".join(map(str, range(5))))
    net = the_caffe().Net(str(folder / "deploy.prototxt"), the_caffe().TEST)
    colours = COLOURS_RGB[:, ::-1].astype(float) - MEAN_BGR
    for stage in stages:
        sure = STAGES[stage]
        net.params["fc8"][0].data[...] = sure * (2 * colours / 500)[:, :, None, None]   # -|x - c|^2 up to -|x|^2
        net.params["fc8"][1].data[...] = -sure * (colours ** 2).sum(axis=1) / 500
        net.save(str(folder / f"models/{stage}_iter_30.caffemodel"))
        segment.main(["--net", "deploy.prototxt", "--weights", f"models/{stage}_iter_30.caffemodel", "--list",
                      "lists/val_id.txt", "--images", "data/JPEGImages", "--out", f"segmentations/{stage}", "--scales",
                      "0.75", "1", "--crf-scale", "3", "--mean", *map(str, MEAN_BGR), "--flip"])
    return folder
