"""Converts the trained Keras model to ONNX as an engineer would: tf2onnx with default settings, opset 15.

Keras 3 spells batch normalisation out as Mul + Add, which tf2onnx leaves in the graph: 39 nodes, not folded.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx

import dataset
import paths

OPSET = 15


def main():
    network = keras.models.load_model(paths.KERAS)
    paths.PUBLIC.mkdir(parents=True, exist_ok=True)
    signature = [tf.TensorSpec((None, 32, 32, 3), tf.float32, name="input")]
    model, _ = tf2onnx.convert.from_keras(network, signature, opset=OPSET)
    paths.FLOAT.write_bytes(model.SerializeToString())

    images = dataset.load("test")[0][:200].astype(np.float32)
    session = onnxruntime.InferenceSession(str(paths.FLOAT), providers=["CPUExecutionProvider"])
    difference = np.abs(session.run(None, {"input": images})[0] - network.predict(images, verbose=0)).max()
    print(len(model.graph.node), "nodes; largest difference from Keras on 200 images:", difference)
    assert difference < 1e-5


if __name__ == "__main__":
    main()
