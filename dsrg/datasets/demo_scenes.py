"""Draw the scenes of the demo data set: textured creatures of six classes on textured grounds.

What makes them hard, and so worth showing:

- **The class is written in one part.** Every creature has a head with the mark of its class (dots, a ring, discs,
  bars, a cross, a diamond) in an ink of the class's hue. On the body the same mark is repeated small and faint.
  A classifier looks at heads, its class activation map covers part of the creature, and the rest has to be found
  by growing.
- **Colour says little.** The colours and textures of bodies, grounds and stones come from one distribution, drawn
  anew for each creature, ground and stone whatever the class; only the ink differs, and grounds share its hues.
- **Creatures overlap**, so that an image has several classes that touch.

All randomness comes from the generator passed in; a scene depends on nothing else.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from dsrg.datasets.demo_textures import color_distance, noise, random_color, textured

CLASSES = ("background", "beetle", "fish", "owl", "newt", "crab", "snail")
VOID = 255
_SUPERSAMPLE = 2    # scenes are drawn at twice their size and averaged down: soft edges, as in photographs
_SHIFT = 4          # fractional bits of cv2's fixed-point polygon corners


# ---------------------------------------------------------------- outlines, in units of half a body length
def _ellipse(x, y, rx, ry, turn=0.0, n=40):
    """Corners of an ellipse around (x, y); (n, 2)."""
    t = np.linspace(0, 2 * math.pi, n, endpoint=False)
    px, py = rx * np.cos(t), ry * np.sin(t)
    c, s = math.cos(turn), math.sin(turn)
    return np.stack([x + c * px - s * py, y + s * px + c * py], 1)


def _limb(points, width):
    """Outline of a tapering stroke along `points`; (2n, 2)."""
    points = np.asarray(points, dtype=float)
    along = np.gradient(points, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.linalg.norm(along, axis=1, keepdims=True)
    taper = width * np.linspace(1.0, 0.6, len(points))[:, None] / 2
    return np.concatenate([points + across * taper, (points - across * taper)[::-1]])


def _wave(rng, x0, x1, height, n=24):
    """Centre line of a body that winds from x0 to x1; (n, 2)."""
    x = np.linspace(x0, x1, n)
    return np.stack([x, height * np.sin((x - x0) * rng.uniform(2.5, 3.5) + rng.uniform(0, 0.6))], 1)


def _beetle(rng):
    legs = [_limb([(x, s * 0.35), (x + d, s * 0.75), (x + 2 * d, s * 0.95)], 0.16)
            for s in (-1, 1) for x, d in ((-0.55, -0.1), (-0.1, 0.0), (0.3, 0.1))]
    return [*legs, _ellipse(-0.15, 0, 0.85, rng.uniform(0.52, 0.62))], (0.80, 0.0)


def _fish(rng):
    tail = np.array([(-0.65, 0), (-1.2, -0.5), (-1.05, 0), (-1.2, 0.5)])
    fin = np.array([(0.2, -0.3), (-0.45, -0.8), (-0.5, -0.3)])
    return [tail, fin, _ellipse(0, 0, 0.95, rng.uniform(0.40, 0.5))], (0.58, 0.0)


def _owl(rng):
    wings = [_ellipse(-0.2, s * 0.5, 0.7, 0.22, s * 0.2) for s in (-1, 1)]
    feet = [_limb([(-0.9, s * 0.2), (-1.2, s * 0.3)], 0.2) for s in (-1, 1)]
    return [*feet, *wings, _ellipse(-0.2, 0, 0.85, rng.uniform(0.48, 0.58))], (0.68, 0.0)


def _newt(rng):
    line = _wave(rng, 0.75, -1.5, 0.22)
    legs = [_limb([(x, 0), (x - 0.1, s * 0.55)], 0.2) for s in (-1, 1) for x in (0.4, -0.4)]
    return [*legs, _limb(line, rng.uniform(0.62, 0.76))], (0.82, 0.1)


def _crab(rng):
    legs = [_limb([(s * 0.5, y), (s * 1.0, y + 0.1), (s * 1.15, y + 0.4)], 0.15)
            for s in (-1, 1) for y in (-0.1, 0.15, 0.4)]
    arms = [_limb([(s * 0.6, -0.2), (s * 1.0, -0.5), (s * 0.9, -0.8)], 0.26) for s in (-1, 1)]
    claws = [_ellipse(s * 0.88, -0.85, 0.26, 0.18, s) for s in (-1, 1)]
    return [*legs, *arms, *claws, _ellipse(0, 0.1, 0.85, rng.uniform(0.52, 0.62))], (0.0, -0.42)


def _snail(rng):
    foot = _limb([(-1.15, 0.42), (-0.4, 0.45), (0.3, 0.4), (0.75, 0.1)], 0.5)
    return [foot, _ellipse(-0.3, -0.1, rng.uniform(0.6, 0.7), 0.58)], (0.82, -0.05)


_BODIES = dict(zip(CLASSES[1:], (_beetle, _fish, _owl, _newt, _crab, _snail), strict=True))


def _mark(kind):
    """Polygons of the class mark on a head of radius 1: the evidence a classifier can rely on."""
    bar = np.array([(-0.85, -0.17), (0.85, -0.17), (0.85, 0.17), (-0.85, 0.17)])
    turned = bar @ np.array([[0, 1], [-1, 0]])
    ring = [_ellipse(0, 0, 0.8, 0.8), _ellipse(0, 0, 0.5, 0.5)]
    return {
        "beetle": [_ellipse(x, y, 0.3, 0.3) for x in (-0.45, 0.45) for y in (-0.45, 0.45)],
        "fish": [*ring, _ellipse(0, 0, 0.22, 0.22)],
        "owl": [_ellipse(0, y, 0.42, 0.42) for y in (-0.48, 0.48)],
        "newt": [turned + (dx, 0) for dx in (-0.6, 0.0, 0.6)],
        "crab": [bar @ _turn(a) for a in (math.pi / 4, -math.pi / 4)],
        "snail": [np.array([(0, -0.75), (0.75, 0), (0, 0.75), (-0.75, 0)])],
    }[kind]


def _motif(kind):
    """One element of the class mark, in the same units: what is repeated on the body."""
    bar = np.array([(-0.95, -0.35), (0.95, -0.35), (0.95, 0.35), (-0.95, 0.35)])
    return {
        "beetle": [_ellipse(0, 0, 0.62, 0.62)],
        "fish": [_ellipse(0, 0, 0.85, 0.85), _ellipse(0, 0, 0.5, 0.5)],
        "owl": [_ellipse(0, 0, 0.5, 0.9)],
        "newt": [bar @ _turn(math.pi / 2)],
        "crab": _mark("crab"),
        "snail": _mark("snail"),
    }[kind]


def _turn(angle):
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, s], [-s, c]])


# ---------------------------------------------------------------- creatures
def _fill(shape, polygons, even_odd=False):
    """Mask of the union (or the even-odd rule: holes) of polygons in pixels; (H, W) bool."""
    mask = np.zeros(shape, np.uint8)
    corners = [np.round(p * (1 << _SHIFT)).astype(np.int32) for p in polygons]
    if even_odd:
        cv2.fillPoly(mask, corners, 1, shift=_SHIFT)
    else:
        for polygon in corners:
            cv2.fillPoly(mask, [polygon], 1, shift=_SHIFT)
    return mask.astype(bool)


@dataclass(frozen=True)
class Creature:
    """One creature at its place: class index and masks (H, W) bool; `parts` are painted in order, then the head.

    `mark` is the class mark on the head, `motif` its small copies, wherever they fall (only those on parts show).
    """

    label: int
    whole: np.ndarray
    head: np.ndarray
    mark: np.ndarray
    parts: list
    motif: np.ndarray


def _creature(rng, label, shape, half_length):
    """A creature of class `label` at a random place and turn, partly outside the picture at times."""
    kind = CLASSES[label]
    outlines, head_at = _BODIES[kind](rng)
    head_radius = rng.uniform(0.42, 0.5)
    stretch = np.array([rng.uniform(0.9, 1.15), rng.uniform(0.85, 1.1)])
    flip = np.array([rng.choice([-1, 1]), 1])
    turn = _turn(rng.uniform(-0.6, 0.6))
    margin = 0.55 * half_length
    place = np.array([rng.uniform(margin, shape[1] - margin), rng.uniform(margin, shape[0] - margin)])

    def to_pixels(points):
        return (np.asarray(points) * stretch * flip) @ turn * half_length + place

    parts = [_fill(shape, [to_pixels(outline)]) for outline in outlines]
    head = _fill(shape, [to_pixels(_ellipse(*head_at, head_radius, head_radius))])
    marks = [to_pixels(p * head_radius * 0.95 + head_at) for p in _mark(kind)]
    mark = _fill(shape, marks, even_odd=True) & head
    step = 0.85 * head_radius
    motif = _fill(shape, [to_pixels(p * 0.4 * head_radius + (x, y)) for p in _motif(kind)
                          for x in np.arange(-1.4, 1.4, step) for y in np.arange(-1.0, 1.0, step)], even_odd=True)
    return Creature(label, np.logical_or.reduce([head, *parts]), head, mark, parts, motif)


def _ink(rng, label):
    """Colour of a class's mark: its hue, strong; (3,) float32 BGR."""
    hue = (label * 30 + rng.normal(0, 6)) % 180
    return cv2.cvtColor(np.uint8([[[hue, 220, rng.uniform(130, 220)]]]), cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)


def _paint_creature(rng, canvas, creature, grounds):
    """Paint a creature into canvas (H, W, 3) float32, in place."""
    color = random_color(rng)
    for _ in range(20):             # creatures are seen against their ground, as in most photographs
        if min(color_distance(color, ground) for ground in grounds) > 22:
            break
        color = random_color(rng)
    head, ink = creature.head, _ink(rng, creature.label)
    skin = textured(rng, head.shape, color, rng.uniform(10, 26))
    skin[creature.motif] += rng.uniform(0.4, 0.7) * (ink - skin[creature.motif])
    for part in [*creature.parts, head]:
        depth = cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 3)[part]
        shade = 1 - 0.35 * np.exp(-depth / 3) + rng.uniform(-0.08, 0.08)
        canvas[part] = skin[part] * shade[:, None]
    pale = rng.uniform(0.1, 0.4)
    canvas[head] = (1 - pale) * canvas[head] + pale * 255
    canvas[creature.mark] = ink


def _paint_ground(rng, shape):
    """A ground of one to three textured regions with stones and a light gradient; image and region colours."""
    grounds = [random_color(rng) for _ in range(rng.integers(1, 4))]
    canvas = textured(rng, shape, grounds[0], rng.uniform(8, 24))
    y, x = np.indices(shape, dtype=np.float32)
    for color in grounds[1:]:
        angle = rng.uniform(0, 2 * math.pi)
        side = (x - shape[1] / 2) * math.cos(angle) + (y - shape[0] / 2) * math.sin(angle)
        beyond = side + 18 * noise(rng, shape, 48) > rng.uniform(0.05, 0.3) * max(shape)
        canvas[beyond] = textured(rng, shape, color, rng.uniform(8, 24))[beyond]
    for _ in range(rng.integers(0, 4)):
        radius = rng.uniform(8, 28, 2)
        outline = _ellipse(*rng.uniform((0, 0), shape[::-1]), *radius, rng.uniform(0, math.pi))
        stone = _fill(shape, [outline + 0.08 * radius.mean() * rng.standard_normal(outline.shape)])
        depth = cv2.distanceTransform(stone.astype(np.uint8), cv2.DIST_L2, 3)[stone]
        surface = textured(rng, shape, random_color(rng), rng.uniform(8, 24))
        canvas[stone] = surface[stone] * (1 - 0.35 * np.exp(-depth / 3))[:, None]
    light = 1 + 0.15 * ((x / shape[1] - 0.5) * rng.uniform(-1, 1) + (y / shape[0] - 0.5) * rng.uniform(-1, 1))
    return canvas * light[..., None], grounds


# ---------------------------------------------------------------- scenes
def _arrange(rng, shape):
    """Place one to three creatures; later ones lie in front, and no head is hidden."""
    placed = []
    count = rng.choice([1, 2, 3], p=[0.3, 0.45, 0.25])
    for _ in range(60):
        if len(placed) == count:
            break
        half_length = _SUPERSAMPLE * rng.uniform(26, 40)
        new = _creature(rng, int(rng.integers(1, len(CLASSES))), shape, half_length)
        hides = any((old.whole & new.whole).sum() > 0.35 * old.whole.sum()
                    or (old.head & new.whole).sum() > 0.15 * old.head.sum() for old in placed)
        in_picture = new.whole.sum() > 0.3 * half_length**2 and new.head.sum() > 0.35 * half_length**2
        if in_picture and not hides:
            placed.append(new)
    return placed


def draw_scene(rng, height, width):
    """Draw one photo with its mask.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    height, width : int
        Size of the photo.

    Returns
    -------
    image_bgr : (height, width, 3) uint8
    labels : (height, width) uint8
        Class index (see `CLASSES`); 255 on a thin border around each creature, as in VOC.
    heads : (height, width) bool
        Where the class marks are; the data set does not contain it (tests and figures use it).
    """
    shape = (height * _SUPERSAMPLE, width * _SUPERSAMPLE)
    placed = []
    while not placed:
        placed = _arrange(rng, shape)
    canvas, grounds = _paint_ground(rng, shape)
    owner = np.zeros(shape, np.uint8)          # 0 ground, i + 1 the i-th creature
    heads = np.zeros(shape, bool)
    for i, creature in enumerate(placed):
        _paint_creature(rng, canvas, creature, grounds)
        owner[creature.whole], heads[creature.whole] = i + 1, False
        heads |= creature.head
    canvas = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    canvas += rng.normal(0, 3, canvas.shape).astype(np.float32)
    owner = cv2.resize(owner, (width, height), interpolation=cv2.INTER_NEAREST)
    heads = cv2.resize(heads.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    labels = np.array([0, *(creature.label for creature in placed)], np.uint8)[owner]
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    labels[cv2.morphologyEx(owner, cv2.MORPH_GRADIENT, cross) > 0] = VOID
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8), labels, heads.astype(bool)
