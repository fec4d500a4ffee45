"""Trains the network on the rendered images: `python train.py` writes `build/street-digits.keras`.

MLPerf Tiny's recipe (Adam at 0.001, L2 decay, raw pixels) with a shorter cosine instead of a stepped learning rate.
Seeded, one thread, TensorFlow's deterministic operations: the same machine gives the same weights again.
Another kind of processor sums in another order and ends at other weights of the same quality.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

import dataset
import model
import paths

SEED = 7
EPOCHS = 12
BATCH = 32
LEARNING_RATE = 1e-3


def main():
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(SEED)

    images, labels = dataset.load("train")
    network = model.resnet8()
    steps = EPOCHS * (len(images) // BATCH)
    network.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    network.fit(
        images,
        labels,
        batch_size=BATCH,
        epochs=EPOCHS,
        validation_data=dataset.load("validation"),
        verbose=2,
        callbacks=[keras.callbacks.ModelCheckpoint(paths.KERAS)],  # the last epoch wins: nothing is selected
    )


if __name__ == "__main__":
    main()
