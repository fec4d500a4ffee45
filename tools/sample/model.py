"""The network: ResNet8 as MLPerf Tiny's image classification benchmark defines it.

32x32x3 raw pixels (0..255, NHWC) -> 3x3 convolution -> three residual stacks of 16, 32 and 64 channels
-> average pool over the 8x8 map -> dense 10 -> softmax. 78,666 parameters.
"""

import keras
from keras import layers, regularizers

WEIGHT_DECAY = 1e-4
CLASSES = 10


def _conv(x, filters, size, stride):
    """A convolution with bias, He initialisation and L2 decay; no activation."""
    return layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=regularizers.l2(WEIGHT_DECAY),
    )(x)


def _norm_relu(x):
    return layers.Activation("relu")(layers.BatchNormalization()(x))


def _stack(x, filters, stride):
    """Two 3x3 convolutions with a shortcut; the shortcut is a 1x1 convolution where the shape changes."""
    y = _norm_relu(_conv(x, filters, 3, stride))
    y = layers.BatchNormalization()(_conv(y, filters, 3, 1))
    if stride != 1:
        x = _conv(x, filters, 1, stride)
    return layers.Activation("relu")(layers.add([x, y]))


def resnet8():
    """The untrained model; its input is named `input`."""
    inputs = keras.Input((32, 32, 3), name="input")
    x = _norm_relu(_conv(inputs, 16, 3, 1))
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        x = _stack(x, filters, stride)
    x = layers.AveragePooling2D(pool_size=8)(x)
    x = layers.Flatten()(x)
    outputs = layers.Dense(CLASSES, activation="softmax", kernel_initializer="he_normal", name="dense")(x)
    return keras.Model(inputs, outputs, name="resnet8")
