"""Quantizes models as ONNX Runtime's users do: python quantized_models.py OUT [NAME]

For each model and each way of quantizing it, OUT gets a folder with model.onnx, input_0.pb, and what ONNX Runtime gives
for it (NAME is the only one wanted): output_0.pb with every node computed by its definition (no optimizations), output_1.pb as it runs by default.
"""

import logging
import os
import sys
import warnings

warnings.filterwarnings("ignore")
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnxruntime.quantization import (  # noqa: E402
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

node = helper.make_node


class Net:
    """A graph under construction, with random constants."""

    def __init__(self, shape, seed):
        self.shape, self.nodes, self.constants = shape, [], []
        self.rng = np.random.default_rng(seed)

    def constant(self, value, name):
        name = f"{name}{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def floats(self, *shape, scale=1.0):
        return self.constant((self.rng.standard_normal(shape) * scale).astype(np.float32), "w")

    def positive(self, count):
        return self.constant(self.rng.uniform(0.3, 1.5, count).astype(np.float32), "v")

    def integers(self, *values):
        return self.constant(np.array(values, np.int64), "i")

    def add(self, operator, *inputs, **attributes):
        output = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def conv(self, x, inputs, outputs, kernel=3, group=1, **attributes):
        weight = self.floats(outputs, inputs // group, kernel, kernel, scale=(inputs // group * kernel ** 2) ** -0.5)
        pad = kernel // 2
        return self.add("Conv", x, weight, self.floats(outputs, scale=0.1), pads=[pad] * 4, group=group, **attributes)

    def linear(self, x, inputs, outputs, transposed=1):
        shape = (outputs, inputs) if transposed else (inputs, outputs)
        weight = self.floats(*shape, scale=inputs ** -0.5)
        return self.add("Gemm", x, weight, self.floats(outputs, scale=0.1), transB=transposed)

    def batch_norm(self, x, channels):
        parts = [self.positive(channels), self.floats(channels, scale=0.2), self.floats(channels, scale=0.2)]
        return self.add("BatchNormalization", x, *parts, self.positive(channels))

    def model(self, output, opset):
        graph = helper.make_graph(
            self.nodes, "model", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *self.shape])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model)


def vanilla(net):
    y = net.add("Relu", net.linear("x", 12, 48))
    y = net.add("Relu", net.linear(y, 48, 32, transposed=0))
    return net.add("Tanh", net.linear(y, 32, 20))


def dcgan(net):
    y = net.batch_norm(net.add("Relu", net.linear("x", 12, 32)), 32)
    y = net.add("Relu", net.linear(y, 32, 8 * 3 * 3))
    y = net.add("Reshape", y, net.integers(-1, 8, 3, 3))
    weight, bias = net.floats(8, 6, 4, 4, scale=0.15), net.floats(6, scale=0.1)
    y = net.add("ConvTranspose", y, weight, bias, strides=[2, 2], pads=[1, 1, 1, 1])
    y = net.batch_norm(net.add("Relu", y), 6)
    weight, bias = net.floats(6, 1, 4, 4, scale=0.2), net.floats(1, scale=0.1)
    return net.add("Tanh", net.add("ConvTranspose", y, weight, bias, strides=[2, 2], pads=[1, 1, 1, 1]))


def residual(net):
    y = net.add("Relu", net.conv("x", 3, 8))
    z = net.add("Relu", net.conv(y, 8, 8))
    y = net.add("Relu", net.add("Add", net.conv(z, 8, 8), y))
    z = net.add("Relu", net.conv(y, 8, 12, strides=[2, 2]))
    y = net.add("Relu", net.add("Add", net.conv(z, 12, 12), net.conv(y, 8, 12, kernel=1, strides=[2, 2])))
    y = net.add("Flatten", net.add("GlobalAveragePool", y))
    return net.linear(y, 12, 6)


def mobile(net):
    y = net.add("HardSwish", net.conv("x", 3, 8, strides=[2, 2]))
    y = net.conv(y, 8, 8, kernel=5, group=8)
    y = net.add("Clip", y, net.constant(np.float32(0), "low"), net.constant(np.float32(6), "high"))
    y = net.conv(y, 8, 12, group=4)
    gate = net.add("GlobalAveragePool", y)
    gate = net.add("Sigmoid", net.conv(net.add("Relu", net.conv(gate, 12, 4, kernel=1)), 4, 12, kernel=1))
    y = net.add("ReduceMean", net.add("Mul", y, gate), axes=[2, 3], keepdims=0)
    return net.add("Softmax", net.linear(y, 12, 5), axis=1)


def mixed(net):
    y = net.add("LeakyRelu", net.conv("x", 3, 8), alpha=0.1)
    y = net.add("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    z = net.add("AveragePool", y, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    y = net.add("Concat", y, z, axis=1)
    scales = net.constant(np.array([1, 1, 2, 2], np.float32), "scales")
    y = net.add("Resize", y, "", scales, mode="nearest")
    y = net.add("Transpose", net.conv(y, 16, 6), perm=[0, 2, 3, 1])
    y = net.add("Add", net.add("MatMul", y, net.floats(6, 4, scale=0.4)), net.floats(4, scale=0.1))
    y = net.add("Transpose", y, perm=[0, 3, 1, 2])
    return net.add("MatMul", net.add("Flatten", y), net.floats(4 * 64, 7, scale=0.1))


MODELS = {"vanilla": (vanilla, (12,)), "dcgan": (dcgan, (12,)), "residual": (residual, (3, 8, 8)),
          "mobile": (mobile, (3, 8, 8)), "mixed": (mixed, (3, 8, 8))}

# Opset, activations, weights, scales for each channel, symmetric activations, and whether the operators are quantized ones
# (QOperator) instead of float ones between QuantizeLinear and DequantizeLinear.
WAYS = {
    "u8-channel-17": (17, QuantType.QUInt8, QuantType.QInt8, True, False),
    "s8-channel-13": (13, QuantType.QInt8, QuantType.QInt8, True, False),
    "s8-tensor-symmetric-18": (18, QuantType.QInt8, QuantType.QInt8, False, True),
    "u8-tensor-21": (21, QuantType.QUInt8, QuantType.QInt8, False, False),
    "unsigned-weights-17": (17, QuantType.QUInt8, QuantType.QUInt8, False, False),
    "u8-qoperator-17": (17, QuantType.QUInt8, QuantType.QInt8, False, False, QuantFormat.QOperator),
    "s8-channel-qoperator-14": (14, QuantType.QInt8, QuantType.QInt8, True, False, QuantFormat.QOperator),
    "unsigned-weights-qoperator-17": (17, QuantType.QUInt8, QuantType.QUInt8, False, False, QuantFormat.QOperator),
    # What cannot be packed.
    "u16-channel-21": (21, QuantType.QUInt16, QuantType.QInt8, True, False),
}


class Reader(CalibrationDataReader):
    """Batches of a calibration set."""

    def __init__(self, data):
        self.batches = iter([{"x": part} for part in np.split(data, 4)])

    def get_next(self):
        return next(self.batches, None)


def run(path, x, level):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def dynamic(out):
    """Three models with activations that are quantized at run time, with signed and unsigned weights."""
    for name in ("vanilla", "dcgan", "residual"):
        make, shape = MODELS[name]
        for way, weights in {"s8": QuantType.QInt8, "u8": QuantType.QUInt8}.items():
            net = Net(shape, 1)
            folder = os.path.join(out, f"{name}-{way}")
            os.makedirs(folder)
            path = os.path.join(folder, "model.onnx")
            quantize_dynamic(net.model(make(net), 17), path, weight_type=weights, reduce_range=weights == QuantType.QInt8,
                             op_types_to_quantize=["MatMul", "Gemm", "Conv"])
            operators = {node.op_type for node in onnx.load(path).graph.node}
            assert operators & {"MatMulInteger", "ConvInteger"}, operators
            x = net.rng.uniform(-1, 1, (3, *shape)).astype(np.float32)
            save(folder, {"input_0": x, "output_0": run(path, x, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)})


def save(folder, arrays):
    for file, array in arrays.items():
        with open(os.path.join(folder, file + ".pb"), "wb") as target:
            target.write(numpy_helper.from_array(array, file).SerializeToString())


def main():
    out = sys.argv[1]
    logging.disable(logging.WARNING)
    levels = onnxruntime.GraphOptimizationLevel
    if sys.argv[2:] == ["dynamic"]:
        return dynamic(out)
    for name, (make, shape) in MODELS.items():
        for way, (opset, activations, weights, per_channel, symmetric, *form) in WAYS.items():
            # From opset 18 on, the axes of ReduceMean are an input.
            if (opset >= 18 and name == "mobile") or sys.argv[2:] not in ([], [f"{name}-{way}"]):
                continue
            net = Net(shape, 1)
            model = net.model(make(net), max(opset, 14) if name == "mobile" else opset)
            folder = os.path.join(out, f"{name}-{way}")
            os.makedirs(folder)
            path = os.path.join(folder, "model.onnx")
            x = net.rng.uniform(-1, 1, (16, *shape)).astype(np.float32)
            # Signed weights of 7 bits: with 8, ONNX Runtime's products of bytes saturate where there is no VNNI.
            quantize_static(model, path, Reader(x), quant_format=form[0] if form else QuantFormat.QDQ, activation_type=activations,
                            weight_type=weights, per_channel=per_channel, reduce_range=(activations, weights) == (QuantType.QUInt8, QuantType.QInt8),
                            extra_options={"ActivationSymmetric": symmetric})
            x = x[:3]
            y = run(path, x, levels.ORT_DISABLE_ALL), run(path, x, levels.ORT_ENABLE_ALL)
            save(folder, {"input_0": x, "output_0": y[0], "output_1": y[1]})


main()
