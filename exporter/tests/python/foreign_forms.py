"""Writes models in forms that other exporters use, with what ONNX Runtime gives for them: python foreign_forms.py OUT"""

import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(5)


def floats(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


def save(out, name, nodes, constants, shape=(3, 8, 8), opset=17, functions=(), domains=()):
    """A model of x (N, *shape) to y, one of its inputs, and its output without graph optimizations."""
    constants = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], constants)
    imports = [helper.make_opsetid("", opset), *[helper.make_opsetid(domain, 1) for domain in domains]]
    model = helper.make_model(graph, opset_imports=imports, ir_version=9, functions=functions)
    model = onnx.shape_inference.infer_shapes(model)
    folder = os.path.join(out, name)
    os.makedirs(folder)
    path = os.path.join(folder, "model.onnx")
    onnx.save(model, path)
    options = onnxruntime.SessionOptions()
    # Without VNNI, products of bytes saturate unless exact ones are asked for.
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    x = RNG.uniform(-1, 1, (3, *shape)).astype(np.float32)
    y = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    for file, array in (("input_0", x), ("output_0", y)):
        with open(os.path.join(folder, file + ".pb"), "wb") as target:
            target.write(numpy_helper.from_array(array, file).SerializeToString())


node = helper.make_node


def between(out, name, nodes, constants, channels=3, side=8, element=np.uint8, zero=128, second=None, opset=17):
    """`nodes` take integers `q` (and `r`, on another grid) to integers `p`, before a convolution."""
    weight = floats(4, channels, 3, 3, scale=0.3)
    grid = {"s": np.float32(1 / 127), "z": element(zero)}
    before = [node("QuantizeLinear", ["x", "s", "z"], ["q"])]
    if second is not None:
        grid |= {"s2": np.float32(1 / 90), "z2": element(second)}
        before.append(node("QuantizeLinear", ["x", "s2", "z2"], ["r"]))
    after = [
        node("DequantizeLinear", ["p", "s", "z"], ["d"]),
        node("Conv", ["d", "w"], ["c"], pads=[1, 1, 1, 1]),
        node("Flatten", ["c"], ["f"]),
        node("Gemm", ["f", "g"], ["y"]),
    ]
    constants = {**grid, **constants, "w": weight, "g": floats(4 * side * side, 5, scale=0.1)}
    save(out, name, before + nodes + after, constants, opset=opset)


def integers(out):
    i8, u8, i64 = np.int8, np.uint8, np.int64
    between(out, "clip", [node("Clip", ["q", "low", "high"], ["p"])], {"low": u8(40), "high": u8(200)})
    between(out, "clip-signed", [node("Clip", ["q", "low", "high"], ["p"])], {"low": i8(-127), "high": i8(127)},
            element=i8, zero=0)
    between(out, "clip-low", [node("Clip", ["q", "low"], ["p"])], {"low": i8(-30)}, element=i8, zero=-20)
    between(out, "relu-signed", [node("Relu", ["q"], ["p"])], {}, element=i8, zero=-20)
    between(out, "relu-clip", [node("Relu", ["q"], ["m"]), node("Clip", ["m", "", "high"], ["p"])], {"high": i8(99)},
            element=i8, zero=3)
    between(out, "resize", [node("Resize", ["q", "", "scales"], ["p"], mode="nearest", nearest_mode="floor",
                                 coordinate_transformation_mode="asymmetric")],
            {"scales": np.array([1, 1, 2, 2], np.float32)}, side=16)
    between(out, "pad", [node("Pad", ["q", "pads", "value"], ["p"])],
            {"pads": np.array([0, 0, 1, 2, 0, 0, 1, 0], i64), "value": u8(200)}, side=10)
    between(out, "pad-zero", [node("Pad", ["q", "pads"], ["p"])],
            {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], i64)}, side=10, element=i8, zero=7)
    between(out, "pad-edge", [node("Pad", ["q", "pads"], ["p"], mode="edge")],
            {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], i64)}, side=10)
    between(out, "concat", [node("Concat", ["q", "q"], ["p"], axis=1)], {}, channels=6)
    # Refused: what was rounded on another grid would stand for something else.
    between(out, "refused-concat-grids", [node("Concat", ["q", "r"], ["p"], axis=1)], {}, channels=6, second=100)
    between(out, "max-pool", [node("MaxPool", ["q"], ["p"], kernel_shape=[2, 2], strides=[2, 2])], {}, side=4)
    between(out, "moved", [node("Reshape", ["q", "to"], ["m"]), node("Flatten", ["m"], ["n"]),
                           node("Reshape", ["n", "back"], ["p"])],
            {"to": np.array([0, 3, 64], i64), "back": np.array([-1, 3, 8, 8], i64)})
    between(out, "chain", [node("Clip", ["q", "low", "high"], ["m"]),
                           node("MaxPool", ["m"], ["n"], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
                           node("Concat", ["n", "m"], ["p"], axis=1)], {"low": u8(60), "high": u8(190)}, channels=6)


def weights(out):
    """Weights that are quantized, clipped or moved as integers before they are dequantized (Brevitas, QAT)."""
    w, scale = floats(4, 3, 3, 3, scale=0.3), np.full(4, 1 / 120, np.float32)
    zero = np.zeros(4, np.int8)
    common = {"s": np.float32(1 / 127), "z": np.uint8(128), "ws": scale, "wz": zero, "low": np.int8(-100),
              "high": np.int8(100), "g": floats(256, 5, scale=0.1)}
    tail = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["d"]),
            node("DequantizeLinear", ["wq", "ws", "wz"], ["wd"], axis=0),
            node("Conv", ["d", "wd"], ["c"], pads=[1, 1, 1, 1]), node("Flatten", ["c"], ["f"]),
            node("Gemm", ["f", "g"], ["y"])]
    integers = np.clip(np.round(w * 120), -128, 127).astype(np.int8)
    save(out, "weights-clipped", [node("Clip", ["w", "low", "high"], ["wq"])] + tail, {**common, "w": integers})
    save(out, "weights-quantized-clipped",
         [node("QuantizeLinear", ["w", "ws", "wz"], ["wi"], axis=0), node("Clip", ["wi", "low", "high"], ["wq"])] + tail,
         {**common, "w": w})
    save(out, "weights-moved", [node("Transpose", ["w"], ["wq"], perm=[3, 2, 0, 1])] + tail,
         {**common, "w": np.transpose(integers, (2, 3, 1, 0)).copy()})
    dead = scale.copy()
    dead[2] = 0
    save(out, "weights-dead-channel", [node("Identity", ["w"], ["wq"])] + tail,
         {**common, "w": integers, "ws": dead})


def functions(out):
    """Functions of the model: nested, with attributes that are given, left to their default, or left out."""
    opset = [helper.make_opsetid("", 17)]
    leaky = helper.make_function("ours", "Leaky", ["a"], ["b"], [
        onnx.NodeProto.FromString(node("LeakyRelu", ["a"], ["b"]).SerializeToString())], opset, ["slope"])
    leaky.node[0].attribute.append(helper.make_attribute("alpha", 0.1))
    leaky.node[0].attribute[0].ClearField("f")
    leaky.node[0].attribute[0].ref_attr_name = "slope"
    default = onnx.FunctionProto()
    default.CopyFrom(leaky)
    default.name = "Default"
    del default.attribute[:]
    default.attribute_proto.append(helper.make_attribute("slope", 0.3))
    block = helper.make_function("ours", "Block", ["x", "w"], ["y"], [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), node("Leaky", ["c"], ["l"], domain="ours", slope=0.2),
        node("Default", ["l"], ["m"], domain="ours"), node("Default", ["m"], ["n"], domain="ours", slope=0.5),
        node("Leaky", ["n"], ["y"], domain="ours")],
        [*opset, helper.make_opsetid("ours", 1)])
    save(out, "functions", [
        node("Block", ["x", "w1"], ["a"], domain="ours"), node("Block", ["a", "w2"], ["b"], domain="ours"),
        node("Flatten", ["b"], ["f"]), node("Gemm", ["f", "g"], ["y"])],
        {"w1": floats(4, 3, 3, 3, scale=0.3), "w2": floats(2, 4, 3, 3, scale=0.3), "g": floats(128, 5, scale=0.1)},
        functions=[leaky, default, block], domains=["ours"])


def main():
    out = sys.argv[1]
    integers(out)
    weights(out)
    functions(out)


main()
