"""Checks exported models against PyTorch: python check_export.py [NET KIND CLASSES WEIGHTS.safetensors MODEL.onnx]...

The network is the reference notebook's, written down again here; conditional for CLASSES other than 0. The weights are
loaded with load_state_dict as they are. Prints the largest difference over batches of 1 and 5 for each model. Exits with 1 when one is above 1e-5 or a
check fails.
"""

import sys

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import load_file
from torch import nn


def network(net, kind, classes):
    latent, scores = 96 + classes, 1 + classes
    if (net, kind) == ("vanilla", "generator"):
        return nn.Sequential(
            nn.Linear(latent, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 784), nn.Tanh())
    if (net, kind) == ("vanilla", "discriminator"):
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 256), nn.LeakyReLU(0.01), nn.Linear(256, 256), nn.LeakyReLU(0.01),
            nn.Linear(256, scores))
    if (net, kind) == ("dcgan", "generator"):
        return nn.Sequential(
            nn.Linear(latent, 1024), nn.ReLU(), nn.BatchNorm1d(1024), nn.Linear(1024, 6272), nn.ReLU(),
            nn.BatchNorm1d(6272), nn.Unflatten(1, (128, 7, 7)), nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(),
            nn.BatchNorm2d(64), nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh(), nn.Flatten())
    return nn.Sequential(
        nn.Unflatten(1, (1, 28)), nn.Conv2d(1, 32, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5),
        nn.LeakyReLU(0.01), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 1024), nn.LeakyReLU(0.01),
        nn.Linear(1024, scores))


def check(net, kind, classes, weights, path):
    classes = int(classes)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    shapes = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
              for v in [*inferred.graph.value_info, *inferred.graph.output]}
    declared = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
                for v in [*model.graph.value_info, *model.graph.output]}
    assert shapes == declared, (shapes, declared)
    # Without what the file says of intermediate shapes, ONNX must infer the same.
    bare = onnx.ModelProto.FromString(model.SerializeToString())
    del bare.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    for value in inferred.graph.value_info:
        found = [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        assert found == declared[value.name], (value.name, found, declared[value.name])
    names = [node.name for node in model.graph.node]
    assert all(names) and len(set(names)) == len(names), names

    torch.manual_seed(0)
    reference = network(net, kind, classes).eval()
    reference.load_state_dict(load_file(weights))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_inputs()]
    assert names == [{"generator": "z", "discriminator": "image"}[kind]] + ["label"] * (classes > 0), names
    worst = 0.0
    for batch in (1, 5):
        if kind == "generator":
            x = torch.rand(batch, 96) * 2 - 1
            given, shape = x, (batch, 1, 28, 28)
        else:
            x = torch.rand(batch, 1, 28, 28) * 2 - 1
            given, shape = x.squeeze(1), (batch, 1)
        label = torch.randint(classes, (batch,)) if classes else None
        with torch.no_grad():
            if label is None:
                expected = reference(given)
            elif kind == "generator":
                expected = reference(torch.cat([given, nn.functional.one_hot(label, classes)], dim=1))
            else:
                scores = reference(given)
                expected = scores[:, :1] + scores[:, 1:].gather(1, label[:, None])
        expected = expected.reshape(shape).numpy()
        inputs = [x] if label is None else [x, label]
        found, = session.run(None, {name: value.numpy() for name, value in zip(names, inputs)})
        assert found.shape == shape, (found.shape, shape)
        # An output that hardly varies would hide every error.
        assert batch == 1 or expected.std(axis=0).max() > 1e-3, "the reference's output is almost constant"
        worst = max(worst, float(np.abs(found - expected).max()))
    print(f"{path}: largest difference {worst}")
    return worst


def main():
    arguments = sys.argv[1:]
    worst = [check(*arguments[at:at + 5]) for at in range(0, len(arguments), 5)]
    sys.exit(not worst or max(worst) > 1e-5)


main()
