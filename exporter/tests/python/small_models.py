"""Writes small models with many operators, for tests that damage them: python small_models.py OUT"""

import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save(out, name, nodes, input_shape, output, width, constants):
    constants = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *input_shape])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", width])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, os.path.join(out, name + ".onnx"))


def main():
    out = sys.argv[1]
    rng = np.random.default_rng(0)

    def floats(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    node = helper.make_node
    save(out, "image", [
        node("Conv", ["x", "w1", "b1"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2], group=1, dilations=[1, 1]),
        node("BatchNormalization", ["a", "s", "t", "m", "v"], ["b"], epsilon=1e-3),
        node("LeakyRelu", ["b"], ["c"], alpha=0.1),
        node("MaxPool", ["c"], ["d"], kernel_shape=[2, 2], strides=[1, 1], ceil_mode=1),
        node("ConvTranspose", ["d", "w2"], ["e"], strides=[2, 2], output_padding=[1, 0], pads=[0, 1, 1, 0]),
        node("Resize", ["e", "", "scales"], ["f"], mode="linear", coordinate_transformation_mode="asymmetric"),
        node("Pad", ["f", "pads", "value"], ["g"], mode="constant"),
        node("Concat", ["g", "g"], ["h"], axis=1),
        node("AveragePool", ["h"], ["i"], kernel_shape=[3, 3], auto_pad="SAME_UPPER", count_include_pad=1),
        node("Clip", ["i", "low", "high"], ["j"]),
        node("Mul", ["j", "k"], ["l"]),
        node("GlobalAveragePool", ["l"], ["p"]),
        node("Sub", ["l", "p"], ["q"]),
        node("ReduceMean", ["q"], ["y"], axes=[2, 3], keepdims=0),
    ], (3, 6, 6), "y", 4, {
        "w1": floats(4, 3, 3, 3), "b1": floats(4), "s": floats(4), "t": floats(4), "m": floats(4),
        "v": np.abs(floats(4)), "w2": floats(4, 2, 2, 2), "scales": np.array([1, 1, 2, 1.5], np.float32),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 2]), "value": np.array(0.5, np.float32),
        "low": np.array(-1, np.float32), "high": np.array(1, np.float32), "k": floats(4, 1, 1)})
    save(out, "vector", [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"], axis=0),
        node("Unsqueeze", ["batch", "axes"], ["batch1"]),
        node("Concat", ["batch1", "rest"], ["target"], axis=0),
        node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        node("Reshape", ["t", "target"], ["a"]),
        node("MatMul", ["a", "w"], ["b"]),
        node("Add", ["b", "bias"], ["c"]),
        node("HardSigmoid", ["c"], ["d"], alpha=0.16666667, beta=0.5),
        node("Mul", ["c", "d"], ["e"]),
        node("Gemm", ["e", "w2", "bias2"], ["f"], alpha=2.0, beta=0.5, transB=0),
        node("ReduceL2", ["f"], ["norm"], axes=[1], keepdims=1),
        node("Clip", ["norm", "low"], ["norm1"]),
        node("Div", ["f", "norm1"], ["g"]),
        node("Softmax", ["g"], ["y"], axis=-1),
    ], (2, 3, 2), "y", 4, {
        "zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1]), "w": floats(12, 5), "bias": floats(5),
        "w2": floats(5, 4), "bias2": floats(4), "low": np.array(1e-6, np.float32)})

    def integers(*shape):
        return rng.integers(-127, 128, shape).astype(np.int8)

    scale, zero = np.array(0.02, np.float32), np.array(120, np.uint8)

    def rounded(value, name):
        return [node("QuantizeLinear", [value, "s", "z"], [name + "_q"]),
                node("DequantizeLinear", [name + "_q", "s", "z"], [name])]

    save(out, "quantized", [
        *rounded("x", "a"),
        node("DequantizeLinear", ["w1", "ws1"], ["dw1"], axis=0),
        node("DequantizeLinear", ["b1", "bs1"], ["db1"], axis=0),
        node("Conv", ["a", "dw1", "db1"], ["b"], pads=[1, 1, 1, 1]),
        node("Relu", ["b"], ["c"]),
        *rounded("c", "d"),
        node("MaxPool", ["d"], ["e"], kernel_shape=[2, 2], strides=[2, 2]),
        *rounded("e", "f"),
        node("DequantizeLinear", ["w2", "ws2"], ["dw2"], axis=1),
        node("ConvTranspose", ["f", "dw2"], ["g"], strides=[2, 2]),
        node("Add", ["g", "d"], ["h"]),
        *rounded("h", "i"),
        node("Flatten", ["i"], ["j"]),
        *rounded("j", "k"),
        node("DequantizeLinear", ["w3", "s", "wz"], ["dw3"]),
        node("Gemm", ["k", "dw3", "b3"], ["y"], alpha=0.1),
    ], (3, 4, 4), "y", 5, {
        "s": scale, "z": zero, "w1": integers(4, 3, 3, 3), "ws1": np.full(4, 0.01, np.float32),
        "b1": np.arange(4, dtype=np.int32), "bs1": np.full(4, 0.0002, np.float32), "w2": integers(4, 4, 2, 2),
        "ws2": np.full(4, 0.02, np.float32), "w3": (integers(64, 5).astype(int) + 128).astype(np.uint8),
        "wz": np.array(128, np.uint8), "b3": floats(5)})


main()
