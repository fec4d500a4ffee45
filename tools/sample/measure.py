"""What is measured on the models: predictions, quantization parameters, SQNR, weights at fewer bits.

Everything runs in ONNX Runtime on one thread. Unless said otherwise graph optimizations are disabled, so that
Q and DQ nodes run as they are written, with float arithmetic between them.
"""

import collections

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

BATCH = 100


def session(model, optimized=False):
    """A session on a ModelProto or path."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def probabilities(model, images, optimized=False):
    """Softmax outputs (N, 10), in batches of BATCH in the given order."""
    run = session(model, optimized)
    starts = range(0, len(images), BATCH)
    return np.concatenate([run.run(None, {"input": images[i : i + BATCH].astype(np.float32)})[0] for i in starts])


def accuracy(predicted, labels):
    """Counts in all, per class, and the confusion matrix (rows true, columns predicted)."""
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels, predicted), 1)
    return {
        "correct": int(confusion.trace()),
        "total": int(confusion.sum()),
        "accuracy_percent": round(100 * confusion.trace() / confusion.sum(), 4),
        "per_class": {
            str(c): {"correct": int(confusion[c, c]), "total": int(confusion[c].sum())} for c in range(10)
        },
        "confusion_rows_true_cols_predicted": confusion.tolist(),
    }


def all_tensors(model, images):
    """Every tensor that a node of the model writes, by name, for the images in one batch."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    written = [name for node in model.graph.node for name in node.output]
    outputs = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in written if name not in outputs)
    answers = session(model).run(written, {"input": images.astype(np.float32)})
    return dict(zip(written, answers))


def initializers(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def node_counts(model):
    counts = collections.Counter(node.op_type for node in model.graph.node)
    return {"nodes_total": len(model.graph.node), "op_counts": dict(sorted(counts.items()))}


def _axis(node):
    """The node's axis, or None where the scale is a scalar (per tensor)."""
    return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), None)


def quantized_tensors(model):
    """One row per quantized tensor: activations (a QuantizeLinear and its DequantizeLinear), weights, biases.

    `tensor` is the float tensor's name in the float model; `before` and `after` are the tensors on both sides
    of the Q/DQ pair in the quantized model (`before` is None for stored tensors).
    """
    stored = initializers(model)
    dequantized = {node.input[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    graph_outputs = {output.name for output in model.graph.output}
    rows = []
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            after = dequantized[node.output[0]].output[0]
            name, role, before, integers = node.input[0], "activation", node.input[0], node.output[0]
            if after in graph_outputs:
                name = after
        elif node.op_type == "DequantizeLinear" and node.input[0] in stored:
            integers, before, after = node.input[0], None, node.output[0]
            name = integers.removesuffix("_quantized")
            role = "bias" if stored[integers].dtype == np.int32 else "weight"
        else:
            continue
        scale, zero_point = stored[node.input[1]], stored[node.input[2]]
        rows.append(
            {
                "tensor": name,
                "role": role,
                "dtype": str(zero_point.dtype),
                "scale": float(scale) if scale.size == 1 else scale.tolist(),
                "zero_point": int(zero_point) if zero_point.size == 1 else zero_point.tolist(),
                "axis": _axis(node) if scale.size > 1 else None,
                "scale_name": node.input[1],
                "zero_point_name": node.input[2],
                "integers": integers,
                "before": before,
                "after": after,
            }
        )
    return rows


def sqnr_db(x, y):
    """20 log10(|x| / |x - y|) in float64 over all elements together; None where x equals y everywhere."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    error = np.sum((x - y) ** 2)
    return None if error == 0 else float(10 * np.log10(np.sum(x**2) / error))


def activation_sqnr(float_model, quantized_model, images):
    """Per quantized activation: local (qdq_np), cumulative (xmodel_np) and the cumulative of the worst image."""
    floats, quantized = all_tensors(float_model, images), all_tensors(quantized_model, images)
    result = {}
    for row in quantized_tensors(quantized_model):
        if row["role"] == "activation":
            x, before, after = floats[row["tensor"]], quantized[row["before"]], quantized[row["after"]]
            per_image = [sqnr_db(x[i], after[i]) for i in range(len(x))]
            known = [value for value in per_image if value is not None]
            result[row["tensor"]] = {
                "xmodel_np": sqnr_db(x, after),
                "qdq_np": sqnr_db(before, after),
                "worst_per_image_db": min(known) if known else None,
            }
    return result


def weight_sqnr(float_model, quantized_model):
    """Per stored quantized tensor: the float initializer against scale x (q - zero point)."""
    floats, stored, result = initializers(float_model), initializers(quantized_model), {}
    for row in quantized_tensors(quantized_model):
        if row["role"] != "activation":
            x = floats[row["tensor"]]
            y = np.float64(row["scale"]) * (stored[row["integers"]].astype(np.float64) - row["zero_point"])
            result[row["tensor"]] = {
                "kind": row["role"],
                "shape": list(x.shape),
                "np": sqnr_db(x, y),
                "max_abs_error": float(np.abs(x - y).max()),
            }
    return result


def with_weight_bits(model, bits):
    """A copy of the float model with its convolution and dense kernels rounded to `bits` bits.

    Per tensor, symmetric: scale = max|w| / (2^(bits-1) - 1), q = round half to even, clamped to
    [-2^(bits-1), 2^(bits-1) - 1]. Biases and batch normalisation constants stay float.
    """
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    kernels = {node.input[1] for node in copy.graph.node if node.op_type in ("Conv", "MatMul")}
    for tensor in copy.graph.initializer:
        if tensor.name in kernels:
            w = numpy_helper.to_array(tensor)
            scale = np.abs(w).max() / np.float32(2 ** (bits - 1) - 1)
            q = np.clip(np.round(w / scale), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            tensor.CopyFrom(numpy_helper.from_array((q * scale).astype(np.float32), tensor.name))
    return copy
