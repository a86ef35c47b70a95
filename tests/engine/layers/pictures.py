"""Nets of one data layer that reads pictures."""

from tests.engine.layers.cases import FOLDER
from tests.engine.layers.nets import make_net

PICTURES = FOLDER / "pictures"


def image_net(folder, lines, param="", transform="", root=PICTURES, phase="TEST", kind="ImageData", tops=2,
              text=None):
    (folder / "list.txt").write_text(text or "".join(f"{a} {b}\n" for a, b in lines), newline="")
    names = " ".join(f'top: "{t}"' for t in ("data", "label", "size")[:tops])
    return make_net(folder, f"""layer {{ name: "data" type: "{kind}" {names} transform_param {{ {transform} }}
        image_data_param {{ source: "{folder}/list.txt" root_folder: "{root}/" {param} }} }}""", phase)


def batches(net, count):
    """(data, label) of `count` forwards."""
    found = []
    for _ in range(count):
        net.forward()
        found.append((net.blobs["data"].data.copy(), net.blobs["label"].data.astype(int).tolist()))
    return found
