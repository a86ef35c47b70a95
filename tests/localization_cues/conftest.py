"""Photos with coloured boxes for the classifier of coloured_boxes.py."""

import cv2
import numpy as np
import pytest


@pytest.fixture
def box_folder(tmp_path, monkeypatch):
    """Twelve photos with a red box of growing size in every second and a blue one in every third."""
    monkeypatch.setenv("ENGINE", "embedded")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    lines = []
    for k in range(12):
        image = np.full((18, 18, 3), 120, np.uint8)
        classes = [1] * (k % 2 == 0) + [2] * (k % 3 == 0) + [3] * (k % 6 in (1, 5))
        if 1 in classes:
            image[2:6 + k // 2, 2:8] = (0, 0, 255)
        if 2 in classes:
            image[9:14 + k // 4, 9:15] = (255, 0, 0)
        cv2.imwrite(f"photos/{k}.png", image)
        lines.append(f"{k} " + " ".join(map(str, classes)))
    (tmp_path / "labels.txt").write_text("\n".join(lines))
    (tmp_path / "list.txt").write_text("".join(f"{k}.png {k}\n" for k in range(12)))
    (tmp_path / "classes.txt").write_text("background\nred\nblue\nother\n")
    return tmp_path
