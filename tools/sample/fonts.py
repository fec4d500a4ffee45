"""The fonts the digits are drawn with: which ones qualify, and their digits as masks.

`python fonts.py` scans the installed fonts and writes `fonts.csv` (package, file, family, split). The other
scripts read that list, so that a font installed by chance changes nothing.

A font qualifies if it has ten different, upright-readable digits of nearly equal height (old-style figures,
whose 1 looks like a small capital I and whose 0 looks like an o, do not) and strokes that survive at 32 pixels.
Fonts whose digits look the same as those of an earlier one are left out. Families, not files, are dealt to
the splits: no digit shape of a test family is in the training or calibration images.
"""

import collections
import csv
import functools
import hashlib
import pathlib
import subprocess
import zlib

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT_ROOT = pathlib.Path("/usr/share/fonts")
LIST = pathlib.Path(__file__).with_name("fonts.csv")
DIGIT_HEIGHT = 40  # pixels of the tallest digit in the masks
DIGITS = "0123456789"
TEST_SHARE = 0.2
MAX_PER_FAMILY = 3
MAX_PER_PACKAGE = 12


def digit_masks(path):
    """The ten digits of a font as uint8 masks on one baseline, the tallest scaled to DIGIT_HEIGHT."""
    probe = ImageFont.truetype(str(path), 100)
    top = min(probe.getbbox(d, anchor="ls")[1] for d in DIGITS)
    bottom = max(probe.getbbox(d, anchor="ls")[3] for d in DIGITS)
    if bottom - top < 20:
        raise ValueError("no digits")
    font = ImageFont.truetype(str(path), 100 * DIGIT_HEIGHT / (bottom - top))
    masks = []
    for d in DIGITS:
        left, _, right, _ = font.getbbox(d, anchor="ls")
        image = Image.new("L", (max(1, right - left), DIGIT_HEIGHT), 0)
        y = round(-top * DIGIT_HEIGHT / (bottom - top))
        ImageDraw.Draw(image).text((-left, y), d, font=font, fill=255, anchor="ls")
        masks.append(np.asarray(image))
    return masks


@functools.lru_cache(maxsize=None)
def load(relative):
    """Masks of a font of the list, by its path below the font folder; cached per process."""
    return digit_masks(FONT_ROOT / relative)


def qualifies(masks):
    """Equal height, ten distinct shapes, neither hairline nor blot, none wider than the tile."""
    heights, shares, shapes = [], [], set()
    for mask in masks:
        rows = np.flatnonzero((mask > 96).any(axis=1))
        if not len(rows):
            return False
        heights.append(rows[-1] - rows[0] + 1)
        shares.append(mask.mean() / 255)
        small = Image.fromarray(mask).resize((12, 16), Image.Resampling.BOX)
        shapes.add((np.asarray(small) > 96).tobytes())
    widths = [mask.shape[1] for mask in masks]
    return (
        min(heights) >= 0.88 * max(heights)
        and len(shapes) == len(DIGITS)
        and 0.16 <= min(shares)
        and max(shares) <= 0.85
        and max(widths) <= 1.1 * DIGIT_HEIGHT
        and min(widths) >= 4
    )


def look(masks):
    """Two fonts with equal values look the same at the size we draw."""
    return tuple((np.asarray(Image.fromarray(m).resize((8, 12), Image.Resampling.BOX)) >> 6).tobytes() for m in masks)


def _package(path):
    answer = subprocess.run(["dpkg", "-S", str(path)], capture_output=True, text=True).stdout
    return answer.split(":")[0]


def _split(family):
    """Deals a family by a hash of its name, so that adding a font moves no other one."""
    return "test" if zlib.crc32(family.encode()) % 1000 < TEST_SHARE * 1000 else "train"


def scan():
    """All qualifying fonts below FONT_ROOT, in path order."""
    rows, looks, counts = [], set(), collections.Counter()
    for path in sorted(FONT_ROOT.rglob("*")):
        if path.suffix.lower() not in (".ttf", ".otf"):
            continue
        try:
            family = ImageFont.truetype(str(path), 20).getname()[0]
            masks = digit_masks(path)
        except (OSError, ValueError):
            continue
        if not qualifies(masks) or look(masks) in looks or counts[family] >= MAX_PER_FAMILY:
            continue
        package = _package(path)
        if not package or counts[package] >= MAX_PER_PACKAGE:
            continue
        looks.add(look(masks))
        counts.update((family, package))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        rows.append([package, str(path.relative_to(FONT_ROOT)), family, _split(family.split()[0]), digest])
    return rows


@functools.lru_cache(maxsize=None)
def chosen(split):
    """Paths (below the font folder) of the listed fonts of a split, `train` or `test`."""
    with LIST.open(newline="") as file:
        return [row["file"] for row in csv.DictReader(file) if row["split"] == split]


if __name__ == "__main__":
    found = scan()
    with LIST.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["package", "file", "family", "split", "sha256_16"])
        writer.writerows(found)
    print(len(found), "fonts,", sum(row[3] == "test" for row in found), "of them for the test images")
