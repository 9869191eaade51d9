"""Writes the ONNX project's own node tests of the given operators: python node_tests.py OUT OPERATOR...

OUT gets a folder a test, in ONNX's layout: model.onnx, input_0.pb ..., output_0.pb .... They come out of the onnx
package, which makes them when asked.
"""

import os
import sys
import warnings

warnings.filterwarnings("ignore")
from onnx import TensorProto, numpy_helper  # noqa: E402
from onnx.backend.test.case.node import collect_testcases  # noqa: E402


def main():
    out, operators = sys.argv[1], set(sys.argv[2:])
    count = 0
    for case in collect_testcases(None):
        if case.model is None or not case.data_sets:
            continue
        nodes = case.model.graph.node
        if not nodes or not all(node.domain == "" and node.op_type in operators for node in nodes):
            continue
        values = [*case.model.graph.input, *case.model.graph.output]
        if not all(value.type.HasField("tensor_type") for value in values):
            continue
        folder = os.path.join(out, case.name)
        os.makedirs(folder)
        with open(os.path.join(folder, "model.onnx"), "wb") as file:
            file.write(case.model.SerializeToString())
        (inputs, outputs), = case.data_sets
        for role, arrays, infos in (("input", inputs, case.model.graph.input),
                                    ("output", outputs, case.model.graph.output)):
            for index, (array, info) in enumerate(zip(arrays, infos)):
                tensor = array if isinstance(array, TensorProto) else numpy_helper.from_array(array)
                tensor.name = info.name
                with open(os.path.join(folder, f"{role}_{index}.pb"), "wb") as file:
                    file.write(tensor.SerializeToString())
        count += 1
    print(count)


main()
