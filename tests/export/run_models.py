"""Runs every exported model below a folder in PyTorch and says how far it is from what is expected.

Each folder has model.py (or model_pt2e.py), model.pt, model.safetensors and case.npz with in_<n> and out_<n>. Prints a JSON object.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch

torch.set_num_threads(1)

# Of the largest output: what counts as near.
NEAR = 0.01


def module_of(path):
    """The module of a file."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}".replace("-", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listed(arrays, word):
    """The arrays of a word, in order."""
    return [arrays[f"{word}_{at}"] for at in range(sum(key.startswith(word + "_") for key in arrays))]


def check(folder):
    """What one export gives."""
    arrays = np.load(folder / "case.npz")
    report = {}
    for file in sorted(folder.glob("model*.py")):
        model = module_of(file).load(folder / "model.pt")
        with torch.no_grad():
            found = model(*[torch.from_numpy(array) for array in listed(arrays, "in")])
        found = found if isinstance(found, tuple) else (found,)
        expected = listed(arrays, "out")
        assert len(found) == len(expected), (len(found), len(expected))
        worst = []
        for f, e in zip(found, expected, strict=True):
            assert list(f.shape) == list(e.shape), (list(f.shape), list(e.shape))
            same_kind = f.is_floating_point() == np.issubdtype(e.dtype, np.floating)
            assert same_kind, (str(f.dtype), str(e.dtype))
            f, e = f.to(torch.float64).numpy(), e.astype(np.float64)
            scale = max(1.0, float(np.abs(e).max())) if e.size else 1.0
            report["near_" + file.stem] = float((np.abs(f - e) <= NEAR * scale).mean()) if e.size else 1.0
            worst.append(float(np.abs(f - e).max()) / scale if e.size else 0.0)
            if e.ndim == 2:
                report["alike_" + file.stem] = float((f.argmax(1) == e.argmax(1)).mean())
        report[file.stem] = max(worst)
    state = torch.load(folder / "model.pt", weights_only=True)
    try:
        from safetensors.torch import load_file

        other = load_file(folder / "model.safetensors")
        report["same_weights"] = sorted(other) == sorted(state) and all(
            torch.equal(other[key].nan_to_num(), state[key].nan_to_num()) and other[key].dtype == state[key].dtype for key in state
        )
    except ImportError:
        pass
    report["tensors"] = len(state)
    return report


def main():
    """Prints the reports."""
    reports = {}
    for folder in sorted(path.parent for path in Path(sys.argv[1]).glob("*/case.npz")):
        try:
            reports[folder.name] = check(folder)
        except Exception as error:  # noqa: BLE001: every failure is a finding of its case
            reports[folder.name] = {"error": f"{type(error).__name__}: {error}"[:400]}
    json.dump(reports, sys.stdout)


if __name__ == "__main__":
    main()
