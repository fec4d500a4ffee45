"""Records what ONNX Runtime answers for the sample into `tests/fixtures/sample/`; the project's tests read it."""

import hashlib
import json

import numpy as np
import onnx
import onnxruntime

import dataset
import measure
import paths

SQNR_IMAGES = 64
INTEGER_IMAGES = 2
BITS = (8, 7, 6, 5, 4, 3)

ABOUT = {
    "runtime": f"onnxruntime {onnxruntime.__version__} CPU, 1 thread, graph optimizations disabled unless named otherwise",
    "images": "test_batch.bin of public/sample/street-digits.tar.gz in file order, NHWC float32 raw 0..255, batches of 100; "
    "SQNR: its first 64 in one batch; integer tensors: its first 2 in one batch",
    "accuracy": "argmax of the softmax output, first index on ties; accuracy_optimized = ORT_ENABLE_ALL (integer "
    "kernels), for information: it depends on the processor",
    "sqnr": "10*log10(sum x^2 / sum (x-y)^2) in dB, float64 numpy, norms over all images together; null = no error at "
    "all. xmodel_np (cumulative): float model's tensor vs the quantized model's dequantized one, run end to end. qdq_np "
    "(local): a tensor before vs after its own Q/DQ pair inside the quantized model. worst_per_image_db: smallest "
    "xmodel over single images. weights.np: float initializer vs scale*(q - zero_point)",
    "quantized": "axis null = per tensor. before and after: the tensors on both sides of the Q/DQ pair",
    "weight_bits": "the float model with convolution and dense kernels rounded per tensor, symmetric: scale = "
    "max|w|/(2^(b-1)-1), half to even, clamped to [-2^(b-1), 2^(b-1)-1]; biases and batch norm constants float",
    "files": "predicted-<model>.npy: class per test image, uint8 (2000,). probs64-<model>.npy: float32 (64, 10). "
    "integers2-int8.npz: output of every QuantizeLinear, key -> tensor in `integers2`",
}


def describe(name, path, images, labels):
    """All answers of one model; writes its arrays."""
    model = onnx.load(path)
    probabilities = measure.probabilities(model, images)
    predicted = probabilities.argmax(axis=1).astype(np.uint8)
    optimized = measure.probabilities(model, images, optimized=True).argmax(axis=1)
    np.save(paths.FIXTURES / f"predicted-{name}.npy", predicted)
    np.save(paths.FIXTURES / f"probs64-{name}.npy", probabilities[:SQNR_IMAGES])
    record = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **measure.node_counts(model),
        "accuracy": measure.accuracy(predicted, labels),
        "accuracy_optimized": {"correct": int((optimized == labels).sum()), "total": len(labels)},
    }
    if name != "float":
        float_model = onnx.load(paths.FLOAT)
        record["quantized"] = measure.quantized_tensors(model)
        record["sqnr"] = {
            "activations": measure.activation_sqnr(float_model, model, images[:SQNR_IMAGES]),
            "weights": measure.weight_sqnr(float_model, model),
        }
    return record


def integers(images):
    """Writes the integer activations of the int8 model; returns key -> tensor."""
    model = onnx.load(paths.QUANTIZED["int8"])
    tensors = measure.all_tensors(model, images[:INTEGER_IMAGES])
    rows = [row for row in measure.quantized_tensors(model) if row["role"] == "activation"]
    keys = {f"t{i:03}": row for i, row in enumerate(rows)}
    np.savez_compressed(
        paths.FIXTURES / "integers2-int8.npz", **{key: tensors[row["integers"]] for key, row in keys.items()}
    )
    return {key: row["tensor"] for key, row in keys.items()}


def weight_bits(images, labels):
    model = onnx.load(paths.FLOAT)
    counts = {}
    for bits in BITS:
        predicted = measure.probabilities(measure.with_weight_bits(model, bits), images).argmax(axis=1)
        counts[str(bits)] = {"correct": int((predicted == labels).sum()), "total": len(labels)}
    return counts


def main():
    images, labels = dataset.load("test")
    paths.FIXTURES.mkdir(parents=True, exist_ok=True)
    models = {"float": paths.FLOAT, **paths.QUANTIZED}
    expected = {
        "_about": ABOUT,
        "models": {name: describe(name, path, images, labels) for name, path in models.items()},
        "weight_bits": weight_bits(images, labels),
        "integers2": integers(images),
    }
    (paths.FIXTURES / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    for name, record in expected["models"].items():
        accuracy = record["accuracy"]
        print(name, record["nodes_total"], "nodes", accuracy["correct"], "/", accuracy["total"], record["accuracy_optimized"])
    print("weight bits", {bits: count["correct"] for bits, count in expected["weight_bits"].items()})


if __name__ == "__main__":
    main()
