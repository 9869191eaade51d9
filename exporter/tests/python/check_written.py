"""Checks models that were written beside the ones they come from: python check_written.py FOLDER

Each folder in FOLDER has input_0.pb, output_0.pb and so on, and models that are to give these outputs: written.onnx,
optimized.onnx and half.onnx. Runs ONNX's checker and ONNX Runtime on each. Exits with 1 when a check fails or an output
is further off than its precision explains.
"""

import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

TOLERANCES = {"written.onnx": 1e-5, "optimized.onnx": 1e-5, "half.onnx": 5e-3}


def shapes(values):
    return {v.name: (v.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim])
            for v in values}


def check_model(path):
    """ONNX's checker, and that ONNX infers the types and shapes that are declared."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    declared = shapes([*model.graph.value_info, *model.graph.output])
    bare = onnx.ModelProto.FromString(model.SerializeToString())
    del bare.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    for name, found in shapes([*inferred.graph.value_info, *inferred.graph.output]).items():
        # A symbol that ONNX makes up is one that it could not infer.
        agrees = found[0] == declared[name][0] and all(
            a == b or str(a).startswith("unk__") for a, b in zip(found[1], declared[name][1], strict=True))
        assert agrees, (path, name, found, declared[name])
    names = [node.name for node in model.graph.node]
    assert all(names) and len(set(names)) == len(names), (path, names)
    return model


def tensors(folder, role):
    """The tensors of a folder that have such a role, in order."""
    found = []
    while os.path.exists(path := os.path.join(folder, f"{role}_{len(found)}.pb")):
        with open(path, "rb") as data:
            found.append(numpy_helper.to_array(onnx.TensorProto.FromString(data.read())))
    return found


def main():
    folder = sys.argv[1]
    worst = dict.fromkeys(TOLERANCES, 0.0)
    for name in sorted(os.listdir(folder)):
        given, expected = (tensors(os.path.join(folder, name), role) for role in ("input", "output"))
        for file, tolerance in TOLERANCES.items():
            path = os.path.join(folder, name, file)
            model = check_model(path)
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            types = [helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type) for port in model.graph.input]
            names = [port.name for port in model.graph.input]
            values = [array.astype(kind) for array, kind in zip(given, types, strict=True)]
            error = 0.0
            for found, wanted in zip(session.run(None, dict(zip(names, values))), expected, strict=True):
                assert found.dtype == np.float32 and found.shape == wanted.shape, (path, found.dtype, found.shape)
                error = max(error, float(np.abs(found - wanted).max() / np.ptp(wanted)))
            assert error <= tolerance, f"{path} differs by {error} of the range in ONNX Runtime"
            worst[file] = max(worst[file], error)
    for file, error in worst.items():
        print(f"{file} in ONNX Runtime: at most {error:.1e} of the range off")


main()
