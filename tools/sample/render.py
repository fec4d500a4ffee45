"""One street digit: a 32x32 RGB photograph of a house number that never existed.

The sign is composed flat (wall, plate, shadow, digits), seen through a perspective, then lit, dirtied, blurred,
sampled down and given sensor noise. All randomness comes from the generator that is handed in.
"""

import numpy as np
from PIL import Image, ImageFilter

import fonts
import surfaces

SIDE = 32
OVERSAMPLE = 2
SIGN = 128  # side of the flat sign; its digits are fonts.DIGIT_HEIGHT high
LEAST_CONTRAST = 16  # between a digit and its surroundings in the finished picture, RGB distance
LEVEL_STEP = 8  # pixel values are multiples of this: what makes the archive small
INKS = [
    (248, 246, 240), (240, 228, 196), (20, 20, 22), (52, 54, 58), (190, 150, 70), (214, 178, 60),
    (176, 178, 182), (160, 92, 56), (170, 34, 32), (28, 52, 108), (34, 80, 58),
]  # fmt: skip
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def _image(array):
    return Image.fromarray(np.clip(array, 0, 255).astype(np.uint8))


def _blur(array, radius):
    return np.asarray(_image(array).filter(ImageFilter.GaussianBlur(radius)), np.float32)


def _lettering(rng, label, masks):
    """Masks (0..1) on the sign of the whole number and of the label's digit alone, which is in its middle."""
    canvas = np.zeros((SIGN, SIGN), np.float32)
    top = (SIGN - fonts.DIGIT_HEIGHT) // 2
    gap = int(rng.integers(1, 10))

    def put(mask, left):
        first, last = max(left, 0), min(left + mask.shape[1], SIGN)
        if first < last:
            area = canvas[top : top + fonts.DIGIT_HEIGHT, first:last]
            np.maximum(area, mask[:, first - left : last - left], out=area)

    mask = masks[label]
    left = (SIGN - mask.shape[1]) // 2
    put(mask, left)
    alone = canvas / 255
    if rng.random() < 0.55:
        put(masks[rng.integers(10)], left + mask.shape[1] + gap)
    if rng.random() < 0.55:
        other = masks[rng.integers(10)]
        put(other, left - gap - other.shape[1])
    if rng.random() < 0.15:  # a bolder cut
        canvas = np.asarray(_image(canvas).filter(ImageFilter.MaxFilter(3)), np.float32)
    return canvas / 255, alone


def _ink(rng, behind, least):
    """A colour for the digits that stands out from `behind` by at least `least` in luminance."""
    for _ in range(30):
        ink = surfaces.jitter(rng, INKS[rng.integers(len(INKS))], 10)
        if abs((ink - behind) @ LUMA) >= least:
            return ink
    dark = behind @ LUMA > 128
    return np.clip(behind + (-least if dark else least) * 1.05, 0, 255).astype(np.float32)


def _sign(rng, label, masks):
    """The flat sign (SIGN, SIGN, 3) and the mask of the label's digit on it."""
    surface = surfaces.wall(rng, SIGN)
    letters, digit = _lettering(rng, label, masks)
    behind = surface[40:88, 40:88].mean(axis=(0, 1))
    if rng.random() < 0.4:
        surface, behind = surfaces.plate(rng, surface, rng.uniform(44, 110), rng.uniform(50, 84))
    ink = _ink(rng, behind, 22 + 90 * rng.beta(1.1, 1.6))
    if rng.random() < 0.12:  # flaking paint
        letters = letters * np.clip(surfaces.noise(rng, SIGN, 26) + rng.uniform(1.3, 2.2), 0, 1)
    if rng.random() < 0.5:  # raised digits throw a shadow
        shift = rng.integers(-4, 5, 2)
        shadow = _blur(np.roll(letters, tuple(shift), (0, 1)) * 255, rng.uniform(0.3, 2.5)) / 255
        surface = surface * (1 - rng.uniform(0.2, 0.7) * shadow[..., None])
    face = np.broadcast_to(ink, surface.shape)
    if rng.random() < 0.35:  # cast metal: brighter and darker along the height
        swing = np.sin(np.linspace(0, rng.uniform(2, 9), SIGN) + rng.uniform(0, 6)) * rng.uniform(0.05, 0.25)
        face = face * (1 + swing[:, None, None].astype(np.float32))
    if rng.random() < 0.2:  # outlined digits
        wide = np.asarray(_image(letters * 255).filter(ImageFilter.MaxFilter(5)), np.float32)[..., None] / 255
        surface = surface * (1 - wide) + _ink(rng, ink, 60) * wide
    alpha = (letters * rng.uniform(0.85, 1.0))[..., None]
    return surface * (1 - alpha) + face * alpha, digit


def _view(rng, size):
    """Coefficients of the perspective that maps a pixel of the photograph to a point of the sign."""
    scale = rng.uniform(0.68, 1.12)  # sign pixels per (oversampled) photograph pixel
    turn, slant = np.deg2rad(rng.normal(0, 6.5)), rng.normal(0, 0.10)
    stretch = np.exp(rng.normal(0, 0.12))
    rotate = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    shear = np.array([[scale * stretch, scale * slant, 0], [0, scale / stretch, 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, 1, 0], [*rng.normal(0, 0.0022, 2), 1]])
    here = np.array([[1, 0, -size / 2 + rng.normal(0, 2.8)], [0, 1, -size / 2 + rng.normal(0, 2.8)], [0, 0, 1]])
    there = np.array([[1, 0, SIGN / 2], [0, 1, SIGN / 2], [0, 0, 1]])
    matrix = there @ shear @ rotate @ tilt @ here
    return (matrix / matrix[2, 2]).ravel()[:8]


def _light(rng, photo):
    """Exposure, colour of the light, its fall-off, and sometimes a hard cast shadow or a glare."""
    size = photo.shape[0]
    y, x = (np.mgrid[:size, :size].astype(np.float32) / size) - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    gain = 1 + along * rng.uniform(0, 0.7)
    if rng.random() < 0.3:  # an eave, a branch, a passer-by
        edge = np.cos(angle := rng.uniform(0, 2 * np.pi)) * x + np.sin(angle) * y - rng.normal(0, 0.22)
        gain = gain * (1 - rng.uniform(0.25, 0.6) / (1 + np.exp(-edge * rng.uniform(20, 90))))
    tint = 1 + rng.normal(0, 0.05, 3)
    photo = photo * gain[..., None] * (np.exp(rng.normal(-0.08, 0.25)) * tint)
    bright = np.percentile(photo @ LUMA, 95)  # the camera's automatic exposure has its limits too
    photo = photo * np.clip(bright, 60, 238) / max(bright, 1)
    if rng.random() < 0.12:
        centre = rng.uniform(-0.5, 0.5, 2)
        spot = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / rng.uniform(0.01, 0.08))
        photo = photo + spot[..., None] * rng.uniform(20, 90)
    return photo


def _clutter(rng, photo):
    """Sometimes a cable, twig or rail across the picture, sometimes a stain."""
    size = photo.shape[0]
    y, x = (np.mgrid[:size, :size].astype(np.float32) / size) - 0.5
    if rng.random() < 0.14:
        angle, bend = rng.uniform(0, np.pi), rng.normal(0, 0.5)
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        line = np.clip((rng.uniform(0.012, 0.04) - np.abs(v - rng.normal(0, 0.25) - bend * u * u)) * 50 + 0.5, 0, 1)
        photo = photo * (1 - line[..., None]) + surfaces.jitter(rng, (70, 66, 56), 30) * line[..., None]
    if rng.random() < 0.15:
        stain = np.clip(surfaces.noise(rng, size, 4) - 0.3, 0, 1) * rng.uniform(0.1, 0.5)
        photo = photo * (1 - stain[..., None]) + np.float32([70, 62, 50]) * stain[..., None]
    return photo


def _camera(rng, photo):
    """Lens and motion blur, sampling down to 32x32, sensor noise, rounding to the level step."""
    photo = _blur(photo, 0.3 + 1.9 * rng.beta(1.2, 2.2))
    if rng.random() < 0.12:
        length, axis = int(rng.integers(2, 5)), int(rng.integers(2))
        photo = sum(np.roll(photo, k, axis) for k in range(length)) / length
    photo = photo.reshape(SIDE, OVERSAMPLE, SIDE, OVERSAMPLE, 3).mean(axis=(1, 3))
    sigma = 3.5 * rng.beta(1.2, 2.5)
    photo = photo + rng.normal(0, sigma, (SIDE, SIDE, 1)) + rng.normal(0, sigma * 0.3, (SIDE, SIDE, 3))
    return np.clip(np.round(photo / LEVEL_STEP) * LEVEL_STEP, 0, 255).astype(np.uint8)


def _legible(photo, digit):
    """Whether the digit's mean colour differs enough from that of the ring around it."""
    size = (SIDE * OVERSAMPLE,) * 2
    ring = np.asarray(_image(digit * 255).resize(size).filter(ImageFilter.MaxFilter(9)).resize((SIDE, SIDE))) > 128
    inside = np.asarray(_image(digit * 255).resize((SIDE, SIDE), Image.Resampling.BOX)) > 150
    around = ring & ~inside
    if inside.sum() < 12 or not around.any():
        return False
    return np.linalg.norm(photo[inside].mean(axis=0) - photo[around].mean(axis=0)) >= LEAST_CONTRAST


def render(rng, label, font_files):
    """A photograph (32, 32, 3) uint8 of the digit `label` in one of the fonts; illegible ones are taken again."""
    size = SIDE * OVERSAMPLE
    while True:
        masks = fonts.load(font_files[rng.integers(len(font_files))])
        sign, digit = _sign(rng, label, masks)
        view = ((size, size), Image.Transform.PERSPECTIVE, tuple(_view(rng, size)), Image.Resampling.BILINEAR)
        scene = np.asarray(_image(sign).transform(*view), np.float32)
        photo = _camera(rng, _light(rng, _clutter(rng, scene)))
        if _legible(photo, np.asarray(_image(digit * 255).transform(*view), np.float32) / 255):
            return photo
