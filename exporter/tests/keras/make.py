"""Makes the models of this folder: python make.py

Keras writes them through tf2onnx; each NAME.onnx comes with NAME.input.pb and NAME.output.pb, a batch of 2 and what Keras
gives for it. Written with Python 3.11, keras 3.15.1, tensorflow-cpu 2.21.0, tf2onnx 1.17.0, onnx 1.23.2, numpy 2.4.6.
"""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers
from onnx import numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))


def dcgan():
    """TensorFlow's tutorial's generator, smaller."""
    return keras.Sequential([
        keras.Input((12,)), layers.Dense(4 * 4 * 8, use_bias=False), layers.BatchNormalization(), layers.LeakyReLU(),
        layers.Reshape((4, 4, 8)),
        layers.Conv2DTranspose(6, 5, strides=1, padding="same", use_bias=False), layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.Conv2DTranspose(4, 5, strides=2, padding="same", use_bias=False), layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.Conv2DTranspose(1, 4, strides=2, padding="same", use_bias=False, activation="tanh")])


def upsampling():
    """A decoder that doubles images by both interpolations and has color channels last."""
    return keras.Sequential([
        keras.Input((8,)), layers.Dense(3 * 3 * 12, activation="relu"), layers.Reshape((3, 3, 12)),
        layers.UpSampling2D(2), layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(momentum=0.8),
        layers.Activation("elu"),
        layers.UpSampling2D((2, 2), interpolation="bilinear"), layers.Conv2D(6, 3, padding="same"),
        # The exact form is made of Erfc, which tf2onnx does not know.
        layers.Activation(lambda x: keras.activations.gelu(x, approximate=True)),
        layers.ZeroPadding2D(((1, 0), (2, 1))), layers.Conv2D(3, 3, activation="sigmoid"), layers.Cropping2D(((0, 1), 1))])


def encoder():
    """Convolutions and pools, a global mean, a vector of length 1."""
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(12, 3, padding="valid", activation="swish")(x)
    x = layers.AveragePooling2D(2, strides=1, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(8)(x)
    return keras.Model(inputs, layers.UnitNormalization()(x))


def mobile():
    """Depthwise and separable convolutions, ReLU6, a gate, a classifier."""
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="valid", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Conv2D(12, 1, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(4, 1, activation="relu")(gate)
    gate = layers.Conv2D(12, 1, activation="hard_sigmoid")(gate)
    x = layers.Multiply()([x, gate])
    y = layers.SeparableConv2D(12, 3, padding="same", activation="hard_swish")(x)
    x = layers.Concatenate()([layers.Add()([x, y]), x])
    x = layers.GlobalMaxPooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def residual():
    """Residual blocks with LayerNormalization and GroupNormalization, PReLU, a mean and a score."""
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same")(x)
    y = layers.LayerNormalization()(x)
    y = layers.PReLU(shared_axes=[1, 2])(y)
    y = layers.Conv2D(6, 3, padding="same")(y)
    x = layers.Add()([x, y])
    y = layers.GroupNormalization(3)(x)
    y = layers.Conv2D(6, 3, strides=2, padding="same")(layers.Activation("softplus")(y))
    x = layers.Add()([layers.AveragePooling2D(2)(x), y])
    x = layers.LayerNormalization(axis=[1, 2, 3])(x)
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    return keras.Model(inputs, layers.Dense(5)(x))


MODELS = {"dcgan": dcgan, "upsampling": upsampling, "encoder": encoder, "mobile": mobile, "residual": residual}


def randomize(model, rng):
    """Statistics, scales and biases that matter."""
    for variable in model.weights:
        name = variable.path.split("/")[-1]
        ranges = {"gamma": (0.5, 1.5), "beta": (-0.5, 0.5), "moving_mean": (-0.5, 0.5), "moving_variance": (0.2, 2.0),
                  "bias": (-0.3, 0.3), "alpha": (-0.2, 0.5)}
        if name in ranges:
            variable.assign(rng.uniform(*ranges[name], variable.shape).astype(np.float32))


def main():
    for name, make in MODELS.items():
        keras.utils.set_random_seed(1)
        rng = np.random.default_rng(1)
        model = make()
        randomize(model, rng)
        shape = (2, *model.input_shape[1:])
        x = rng.uniform(0, 255, shape) if name == "encoder" else rng.uniform(-1, 1, shape)
        x = x.astype(np.float32)
        y = model(x, training=False).numpy()

        function = tf.function(lambda x: model(x, training=False),
                               input_signature=[tf.TensorSpec([None, *shape[1:]], tf.float32, name="x")])
        proto, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=17)
        path = os.path.join(HERE, name)
        with open(path + ".onnx", "wb") as file:
            file.write(proto.SerializeToString())
        for role, value in (("input", x), ("output", y)):
            with open(f"{path}.{role}.pb", "wb") as file:
                file.write(numpy_helper.from_array(value, role).SerializeToString())
        print(f"{name}: {len(proto.SerializeToString())} bytes, output from {y.min()} to {y.max()}")


main()
