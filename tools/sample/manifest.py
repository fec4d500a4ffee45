"""Writes what the page reads before anything else: `classes.txt` and `sample.json`.

Run last: the manifest holds sizes and checksums of everything beside it, and the recorded accuracies.
"""

import hashlib
import json

import dataset
import paths


def _entry(path, role):
    content = path.read_bytes()
    return {"file": path.name, "role": role, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def main():
    classes = paths.PUBLIC / "classes.txt"
    classes.write_text("".join(f"{name}\n" for name in dataset.CLASSES))
    roles = {
        paths.FLOAT: "model: float",
        paths.QUANTIZED["int8"]: "model: int8, QDQ",
        paths.QUANTIZED["uint8"]: "model: uint8, QDQ",
        paths.ARCHIVE: "images: CIFAR-10 binary layout, calibration_batch.bin (1000) and test_batch.bin (2000)",
        classes: "class names",
        paths.PUBLIC / "model-card.md": "model card",
    }
    expected = json.loads((paths.FIXTURES / "expected.json").read_text())
    manifest = {
        "name": "street-digits",
        "title": "Street digits: a ResNet8 reads house numbers",
        "files": [_entry(path, role) for path, role in roles.items()],
        "classes": dataset.CLASSES,
        "input": {"layout": "NHWC", "shape": [32, 32, 3], "range": [0, 255]},
        "images": {"calibration": dataset.SPLITS["calibration"][0], "test": dataset.SPLITS["test"][0]},
        "accuracy": {
            name: {"correct": record["accuracy"]["correct"], "total": record["accuracy"]["total"]}
            for name, record in expected["models"].items()
        },
        "numbers_from": "tests/fixtures/sample/expected.json (onnxruntime, graph optimizations disabled), "
        "recorded by tools/sample/record_expected.py",
    }
    manifest["bytes_total"] = sum(entry["bytes"] for entry in manifest["files"])
    (paths.PUBLIC / "sample.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print(manifest["bytes_total"], "bytes in all")


if __name__ == "__main__":
    main()
