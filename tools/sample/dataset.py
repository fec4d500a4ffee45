"""Renders the image sets and writes the archive that is shipped.

`python dataset.py` renders every split into `build/<split>.npz` and packs calibration and test images into
`public/sample/street-digits.tar.gz`. Image i of a split depends only on (SEED, split, i): the number of
processes does not matter.
"""

import io
import multiprocessing
import tarfile
import zlib

import numpy as np
import zopfli.gzip

import fonts
import paths
import render

SEED = 2032
CLASSES = [str(digit) for digit in range(10)]
SPLITS = {  # name: (number of images, fonts)
    "train": (32_000, "train"),
    "validation": (2_000, "test"),
    "calibration": (1_000, "train"),
    "test": (2_000, "test"),
}


def _key(split):
    return [SEED, zlib.crc32(split.encode())]


def _render_one(task):
    split, index = task
    rng = np.random.default_rng([*_key(split), index])
    return render.render(rng, index % 10, fonts.chosen(SPLITS[split][1]))


def make(split, processes):
    """Images (N, 32, 32, 3) uint8 and labels (N,) uint8: equally many per class, in a seeded random order."""
    count = SPLITS[split][0]
    with multiprocessing.Pool(processes) as pool:
        images = np.stack(list(pool.imap(_render_one, ((split, i) for i in range(count)), chunksize=100)))
    order = np.random.default_rng(_key(split)).permutation(count)
    return images[order], (order % 10).astype(np.uint8)


def load(split):
    """(images, labels) of a rendered split."""
    with np.load(paths.BUILD / f"{split}.npz") as stored:
        return stored["images"], stored["labels"]


def cifar10(images, labels):
    """CIFAR-10's binary layout: per image 1 label byte, 1024 red, 1024 green and 1024 blue bytes."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([labels[:, None], planes], axis=1).astype(np.uint8).tobytes()


def pack():
    """Writes the archive; nothing in it depends on the clock, the user or the machine."""
    files = {
        "batches.meta.txt": "".join(f"{name}\n" for name in CLASSES).encode(),
        "calibration_batch.bin": cifar10(*load("calibration")),
        "test_batch.bin": cifar10(*load("test")),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"street-digits/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    paths.PUBLIC.mkdir(parents=True, exist_ok=True)
    paths.ARCHIVE.write_bytes(zopfli.gzip.compress(buffer.getvalue(), numiterations=5))


def main(processes=2):
    paths.BUILD.mkdir(exist_ok=True)
    for split in SPLITS:
        images, labels = make(split, processes)
        np.savez(paths.BUILD / f"{split}.npz", images=images, labels=labels)
        print(split, images.shape, np.bincount(labels).tolist(), flush=True)
    pack()
    print(paths.ARCHIVE.name, paths.ARCHIVE.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
