"""Models whose images have their channels last, as TensorFlow's exporters write them: python channels_last.py OUT

Each gets a folder with model.onnx, input_0.pb, and output_0.pb as ONNX Runtime computes it node by node.
"""

import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]


class Net:
    """A graph under construction, with random constants."""

    def __init__(self, seed):
        self.nodes, self.constants = [], []
        self.rng = np.random.default_rng(seed)

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def floats(self, *shape, scale=1.0):
        return self.constant((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def integers(self, *values):
        return self.constant(np.array(values, np.int64))

    def add(self, operator, *inputs, **attributes):
        output = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def first(self, x):
        return self.add("Transpose", x, perm=FIRST)

    def last(self, x):
        return self.add("Transpose", x, perm=LAST)

    def conv(self, x, inputs, outputs, kernel=3):
        weight = self.floats(outputs, inputs, kernel, kernel, scale=(inputs * kernel**2) ** -0.5)
        return self.add("Conv", x, weight, self.floats(outputs, scale=0.1), pads=[kernel // 2] * 4)

    def up(self, x, inputs, outputs):
        weight = self.floats(inputs, outputs, 4, 4, scale=0.5 * inputs**-0.5)
        return self.add("ConvTranspose", x, weight, strides=[2, 2], pads=[1, 1, 1, 1])

    def dense(self, x, inputs, outputs):
        return self.add("Add", self.add("MatMul", x, self.floats(inputs, outputs, scale=inputs**-0.5)),
                        self.floats(outputs, scale=0.1))

    def batch_norm(self, x, *shape):
        """As TensorFlow writes it: a product and a sum with constants of the given shape."""
        return self.add("Add", self.add("Mul", x, self.floats(*shape)), self.floats(*shape, scale=0.2))

    def qdq(self, x, scale=0.03):
        scale, zero = self.constant(np.float32(scale)), self.constant(np.uint8(120))
        return self.add("DequantizeLinear", self.add("QuantizeLinear", x, scale, zero), scale, zero)

    def quantized(self, *shape, axis):
        scale = self.constant(self.rng.uniform(0.002, 0.004, shape[axis]).astype(np.float32))
        zero = self.constant(np.zeros(shape[axis], np.int8))
        values = self.constant(self.rng.integers(-127, 128, shape).astype(np.int8))
        return self.add("DequantizeLinear", values, scale, zero, axis=axis - len(shape))


def input_last(net):
    y = net.add("Relu", net.conv(net.first("x"), 3, 8))
    return net.add("Flatten", net.add("GlobalAveragePool", y))


def input_gray(net):
    y = net.add("Pad", "x", net.integers(0, 1, 2, 0, 0, 2, 1, 0))
    return net.add("Relu", net.conv(net.add("Reshape", y, net.integers(-1, 1, 9, 9)), 1, 4))


def output_last(net):
    y = net.add("Reshape", net.dense("x", 8, 8 * 4 * 4), net.integers(-1, 8, 4, 4))
    return net.add("Tanh", net.last(net.up(y, 8, 3)))


def both(net):
    y = net.add("Relu", net.batch_norm(net.last(net.conv(net.first("x"), 3, 8)), 8))
    y = net.last(net.conv(net.first(y), 8, 3))
    return net.add("Tanh", net.add("Add", y, "x"))


def scaled_input(net):
    y = net.add("Sub", net.add("Div", "x", net.constant(np.float32(2))), net.floats(1, 1, 1, 3))
    z = net.last(net.conv(net.first(y), 3, 3))
    return net.add("Sigmoid", net.add("Add", net.add("Mul", z, net.floats(3)), y))


def keras_dcgan(net):
    y = net.add("LeakyRelu", net.batch_norm(net.dense("x", 8, 8 * 4 * 4), 8 * 4 * 4), alpha=0.3)
    y = net.add("Reshape", y, net.integers(-1, 4, 4, 8))
    y = net.add("LeakyRelu", net.batch_norm(y, 8), alpha=0.3)
    y = net.last(net.up(net.first(y), 8, 6))
    y = net.add("LeakyRelu", net.batch_norm(y, 1, 1, 1, 6), alpha=0.3)
    return net.add("Tanh", net.last(net.up(net.first(y), 6, 3)))


def flattened(net):
    y = net.last(net.add("Relu", net.conv(net.first("x"), 3, 6)))
    y = net.add("Reshape", net.add("MaxPool", net.first(y), kernel_shape=[2, 2], strides=[2, 2]), net.integers(-1, 6, 4, 4))
    y = net.add("Relu", net.add("Reshape", net.last(y), net.integers(-1, 6 * 4 * 4)))
    return net.dense(y, 6 * 4 * 4, 5)


def padded_joined(net):
    y = net.last(net.conv(net.first(net.add("Pad", "x", net.integers(0, 1, 1, 0, 0, 1, 1, 0), mode="reflect")), 3, 4))
    z = net.last(net.conv(net.first(y), 4, 5))
    return net.add("Tanh", net.last(net.conv(net.first(net.add("Concat", y, z, axis=-1)), 9, 3)))


def softmax_last(net):
    y = net.last(net.conv(net.first("x"), 3, 6))
    return net.add("Softmax", y, axis=-1)


def mean_last(net):
    y = net.add("Relu", net.last(net.conv(net.first("x"), 3, 6)))
    y = net.add("ReduceMean", y, axes=[1, 2], keepdims=0)
    return net.dense(y, 6, 4)


def wide_last(net):
    """More channels than a transposed convolution may step over."""
    return net.last(net.conv(net.first("x"), 3, 80))


def repeated(net):
    y = net.add("Reshape", net.add("Relu", net.dense("x", 8, 4 * 5 * 6)), net.integers(-1, 4, 5, 6))
    for axis, shape in [(2, (-1, 8, 5, 6)), (3, (-1, 8, 15, 6))]:
        times = [1] * 5
        times[axis] = axis
        y = net.add("Tile", net.add("Unsqueeze", y, net.integers(axis)), net.integers(*times))
        y = net.add("Reshape", y, net.integers(*shape))
    return net.add("Sigmoid", net.last(net.conv(net.first(y), 6, 3)))


def expanded(net):
    y = net.add("Reshape", net.dense("x", 8, 6 * 4 * 5), net.integers(-1, 6, 4, 1, 5, 1))
    y = net.add("Expand", y, net.integers(1, 6, 4, 2, 5, 2))
    return net.conv(net.add("Reshape", y, net.integers(-1, 6, 8, 10)), 6, 3)


def qdq_encoder(net):
    y = net.first(net.qdq("x"))
    weight = net.quantized(6, 3, 3, 3, axis=0)
    y = net.qdq(net.add("Relu", net.add("Conv", y, weight, net.floats(6, scale=0.1), pads=[1, 1, 1, 1])))
    y = net.qdq(net.add("Reshape", net.last(y), net.integers(-1, 6 * 8 * 8)))
    return net.qdq(net.add("MatMul", y, net.quantized(6 * 8 * 8, 5, axis=1)))


def qdq_generator(net):
    y = net.qdq(net.add("MatMul", net.qdq("x"), net.quantized(8, 6 * 4 * 4, axis=1)))
    y = net.first(net.add("Reshape", y, net.integers(-1, 4, 4, 6)))
    y = net.add("Conv", y, net.quantized(3, 6, 3, 3, axis=0), net.floats(3, scale=0.1), pads=[1, 1, 1, 1])
    return net.qdq(net.last(y))


IMAGE = (8, 8, 3)
MODELS = {
    "input_last": (input_last, IMAGE), "input_gray": (input_gray, (6, 6, 1)), "output_last": (output_last, (8,)),
    "both": (both, IMAGE), "scaled_input": (scaled_input, IMAGE), "keras_dcgan": (keras_dcgan, (8,)),
    "flattened": (flattened, IMAGE), "padded_joined": (padded_joined, IMAGE), "softmax_last": (softmax_last, IMAGE),
    "mean_last": (mean_last, IMAGE), "wide_last": (wide_last, IMAGE), "repeated": (repeated, (8,)),
    "expanded": (expanded, (8,)), "qdq_encoder": (qdq_encoder, IMAGE), "qdq_generator": (qdq_generator, (8,)),
}


def main(out):
    for seed, (name, (build, shape)) in enumerate(MODELS.items()):
        net = Net(seed)
        output = build(net)
        graph = helper.make_graph(
            net.nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], net.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        x = net.rng.uniform(-1, 1, (3, *shape)).astype(np.float32)
        options = onnxruntime.SessionOptions()
        # Without VNNI, products of bytes saturate unless exact ones are asked for.
        options.add_session_config_entry("session.x64quantprecision", "1")
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": x})
        # An operator on the way may have left its size open.
        dims = model.graph.output[0].type.tensor_type.shape.dim
        for dim, size in zip(list(dims)[1:], y.shape[1:]):
            dim.dim_value = size
        folder = os.path.join(out, name)
        os.makedirs(folder)
        onnx.save(model, os.path.join(folder, "model.onnx"))
        for file, value in [("input_0.pb", x), ("output_0.pb", y)]:
            with open(os.path.join(folder, file), "wb") as stream:
                stream.write(numpy_helper.from_array(value, file).SerializeToString())


main(sys.argv[1])
