"""What a house number hangs on: textured walls and plates, as float RGB arrays (size, size, 3), 0..255."""

import numpy as np
from PIL import Image

WALLS = {  # base colours of what fronts, doors and gateposts are made of
    "plaster": [(232, 226, 214), (214, 196, 160), (196, 182, 170), (222, 178, 140), (170, 190, 196), (226, 208, 120)],
    "brick": [(150, 74, 54), (172, 96, 70), (124, 66, 56), (190, 150, 118), (110, 96, 92)],
    "wood": [(128, 84, 50), (92, 60, 42), (164, 122, 80), (60, 72, 64), (108, 30, 30), (40, 62, 92), (200, 200, 192)],
    "stone": [(146, 144, 138), (112, 112, 112), (180, 170, 152), (90, 94, 100)],
    "metal": [(150, 154, 158), (84, 90, 98), (46, 48, 52), (176, 168, 148)],
    "tile": [(236, 234, 226), (40, 70, 130), (210, 190, 150), (60, 110, 100)],
}
PLATES = [(24, 48, 110), (240, 238, 230), (28, 28, 30), (30, 84, 62), (150, 28, 30), (196, 198, 200), (236, 222, 180)]


def noise(rng, size, cells):
    """Smooth noise of about unit deviation, `cells` bumps per side: (rows, columns) or one number."""
    rows, columns = (cells, cells) if isinstance(cells, int) else cells
    coarse = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def jitter(rng, colour, amount=14):
    return np.clip(np.asarray(colour, np.float32) + rng.normal(0, amount, 3) * 0.5 + rng.normal(0, amount), 6, 250)


def _grid(size, pitch, offset, width):
    """1 on lines of `width` every `pitch` pixels, soft by a pixel."""
    phase = (np.arange(size) + offset) % pitch
    distance = np.minimum(phase, pitch - phase)
    return np.clip(width / 2 + 0.5 - distance, 0, 1).astype(np.float32)


def _plaster(rng, size, base):
    rough = noise(rng, size, 5) * rng.uniform(2, 9) + noise(rng, size, 24) * rng.uniform(0, 6)
    return base + rough[..., None]


def _brick(rng, size, base):
    height = int(rng.integers(20, 40))
    length = int(height * rng.uniform(2.0, 3.0))
    row = (np.arange(size) + int(rng.integers(height))) // height
    shift = np.where(row % 2, length // 2, 0)[:, None] + int(rng.integers(length))
    column = (np.arange(size)[None] + shift) // length
    tones = rng.normal(0, 14, (size // height + 2, size // length + 3)).astype(np.float32)
    surface = base + tones[row[:, None], column][..., None] + noise(rng, size, 16)[..., None] * 5
    joint = _grid(size, height, int(-np.flatnonzero(np.diff(row))[0] - 1), 3.0)[:, None]
    upright = (np.arange(size)[None] + shift) % length
    joint = np.maximum(joint, np.clip(2 - np.minimum(upright, length - upright), 0, 1))[..., None]
    mortar = jitter(rng, (168, 160, 150), 10)
    return surface * (1 - joint) + mortar * joint


def _wood(rng, size, base):
    grain = noise(rng, size, (40, 3)) * rng.uniform(3, 9) + noise(rng, size, (9, 2)) * rng.uniform(2, 8)
    gap = _grid(size, int(rng.integers(44, 96)), int(rng.integers(96)), 2.5)[:, None]
    surface = (base + grain[..., None]) * (1 - 0.55 * gap[..., None])
    return surface if rng.random() < 0.6 else surface.transpose(1, 0, 2)


def _stone(rng, size, base):
    speckle = noise(rng, size, 40) * rng.uniform(4, 11) + noise(rng, size, 7) * rng.uniform(3, 9)
    return base + speckle[..., None]


def _metal(rng, size, base):
    sheen = np.sin(np.linspace(0, rng.uniform(2, 6), size) + rng.uniform(0, 6)) * rng.uniform(6, 24)
    return base + (sheen[:, None] + noise(rng, size, (48, 2)) * rng.uniform(1, 5))[..., None]


def _tile(rng, size, base):
    pitch = int(rng.integers(46, 76))
    start = (pitch - size) // 2  # a joint on both sides of the middle tile
    lines = np.maximum(_grid(size, pitch, start, 2.5)[:, None], _grid(size, pitch, start, 2.5)[None])[..., None]
    return (base + noise(rng, size, 4)[..., None] * 4) * (1 - lines) + 120 * lines


_PAINT = {"plaster": _plaster, "brick": _brick, "wood": _wood, "stone": _stone, "metal": _metal, "tile": _tile}


def wall(rng, size):
    """A wall of a random material and colour."""
    kind = list(WALLS)[rng.integers(len(WALLS))]
    base = jitter(rng, WALLS[kind][rng.integers(len(WALLS[kind]))])
    return np.clip(_PAINT[kind](rng, size, base), 0, 255).astype(np.float32)


def plate(rng, surface, width, height):
    """Screws a plate of about width x height over the middle of a surface; returns (surface, plate colour)."""
    size = surface.shape[0]
    base = jitter(rng, PLATES[rng.integers(len(PLATES))], 8)
    middle = (size - 1) / 2
    y, x = np.mgrid[:size, :size].astype(np.float32) - np.float32(middle)
    radius = rng.uniform(0, 10)
    dx = np.maximum(np.abs(x - rng.normal(0, 2)) - width / 2 + radius, 0)
    dy = np.maximum(np.abs(y - rng.normal(0, 2)) - height / 2 + radius, 0)
    inside = np.clip(radius - np.hypot(dx, dy) + 0.5, 0, 1)[..., None]
    shade = np.clip(radius - np.hypot(np.maximum(dx - 2, 0), np.maximum(dy - 3, 0)) + 2, 0, 3)[..., None] / 3
    face = base + (noise(rng, size, 3) * rng.uniform(0, 5))[..., None]
    if rng.random() < 0.4:  # a rim in a lighter or darker tone
        depth = radius - np.hypot(dx, dy)
        edge = np.clip(2.5 - np.abs(depth - 3.0), 0, 1)[..., None]
        face = face * (1 - edge) + (255 - base if rng.random() < 0.5 else base * 0.6) * edge
    surface = surface * (1 - 0.35 * shade)
    return surface * (1 - inside) + face * inside, base
