"""Trains the network on the rendered images, in two steps.

`python train.py first` writes `build/first-stage.keras`. MLPerf Tiny's recipe (Adam at 0.001, L2 decay, raw pixels,
batches of 32), shortened: seven epochs of a cosine laid out for twelve.

`python train.py anneal` goes on from there with 400 batches that take the rate to zero and let the batch norm
averages settle, and writes `build/street-digits.keras`: the model that is shipped.

Seeded, one thread, TensorFlow's deterministic operations: the same machine gives the same weights again.
Another kind of processor sums in another order and ends at other weights of the same quality.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import sys

import keras
import tensorflow as tf

import dataset
import model
import paths

SEED = 7
BATCH = 32
LEARNING_RATE = 1e-3
COSINE_EPOCHS = 12
EPOCHS = 7
ANNEAL_RATE = 4e-4  # about where the first stage ends
ANNEAL_BATCHES = 400
FIRST_STAGE = paths.BUILD / "first-stage.keras"


def _seed():
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(SEED)


def _fit(network, images, labels, rate, steps, epochs):
    network.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    validation = dataset.load("validation")
    network.fit(images, labels, batch_size=BATCH, epochs=epochs, validation_data=validation, verbose=2)


def first_stage(images, labels):
    network = model.resnet8()
    _fit(network, images, labels, LEARNING_RATE, COSINE_EPOCHS * (len(images) // BATCH), EPOCHS)
    network.save(FIRST_STAGE)


def anneal(images, labels):
    """Starts from the stored first stage with a fresh optimizer; sees the first ANNEAL_BATCHES * BATCH images."""
    network = keras.models.load_model(FIRST_STAGE)
    count = ANNEAL_BATCHES * BATCH
    _fit(network, images[:count], labels[:count], ANNEAL_RATE, ANNEAL_BATCHES, 1)
    network.save(paths.KERAS)


STAGES = {"first": first_stage, "anneal": anneal}


def main(stage):
    images, labels = dataset.load("train")
    _seed()
    STAGES[stage](images, labels)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in STAGES:
        sys.exit(f"usage: train.py {'|'.join(STAGES)}")
    main(sys.argv[1])
