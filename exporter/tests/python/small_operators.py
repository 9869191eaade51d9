"""Writes models of operators that small generators and encoders use: python small_operators.py OUT [FILE...]

For each model OUT gets a folder with model.onnx, input_0.pb and output_0.pb: a batch of 3, and what ONNX Runtime gives for
it without graph optimizations. The models are PyTorch's, by both of its exporters, and graphs that are written here. FILEs
are further models with one input.
"""

import importlib.util
import os
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore")
RNG = np.random.default_rng(7)


class Call(nn.Module):
    """A convolution, a function of its result, and another one."""

    def __init__(self, function, channels=8, after=None, module=None):
        super().__init__()
        self.before = nn.Conv2d(3, 8, 3, padding=1)
        self.module = module
        self.function = function
        self.after = nn.Conv2d(after or channels, 4, 3, padding=1)

    def forward(self, x):
        y = self.before(x)
        return self.after(self.function(y) if self.module is None else self.function(self.module, y))


class ConvNeXt(nn.Module):
    """One block of ConvNeXt."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 2, stride=2)
        self.depthwise = nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm = nn.LayerNorm(8)
        self.wide, self.narrow = nn.Linear(8, 32), nn.Linear(32, 8)
        self.scale = nn.Parameter(torch.rand(8))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.scale * self.narrow(F.gelu(self.wide(self.norm(y))))
        x = x + y.permute(0, 3, 1, 2)
        return self.head(x.mean((2, 3)))


class Attention(nn.Module):
    """SAGAN's block (Zhang et al., 2019)."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.query, self.key, self.value = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1), nn.Conv2d(8, 8, 1)
        self.gain = nn.Parameter(torch.tensor(0.7))

    def forward(self, x):
        x = self.stem(x)
        batch, channels, height, width = x.shape
        q, k, v = (part(x).reshape(batch, -1, height * width) for part in (self.query, self.key, self.value))
        weights = torch.softmax(q.transpose(1, 2) @ k, -1)
        return x + self.gain * (v @ weights.transpose(1, 2)).reshape(batch, channels, height, width)


class Transformer(nn.Module):
    """Patches, one encoder layer of two heads, and their mean."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, stride=4)
        self.place = nn.Parameter(torch.randn(1, 4, 8))
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.norms = nn.ModuleList([nn.LayerNorm(8), nn.LayerNorm(8)])
        self.wide, self.narrow = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.place
        batch = x.shape[0]
        q, k, v = self.qkv(self.norms[0](x)).reshape(batch, 4, 3, 2, 4).permute(2, 0, 3, 1, 4)
        y = torch.softmax(q @ k.transpose(-2, -1) * 0.5, -1) @ v
        x = x + self.out(y.transpose(1, 2).reshape(batch, 4, 8))
        x = x + self.narrow(F.gelu(self.wide(self.norms[1](x)), approximate="tanh"))
        return x.mean(1)


class Style(nn.Module):
    """A mapping with pixel norm, a constant start, noise that is part of the weights, and modulated features."""

    def __init__(self):
        super().__init__()
        self.mapping = nn.Linear(12, 12)
        self.start = nn.Parameter(torch.randn(1, 8, 4, 4))
        self.noise = nn.Parameter(torch.randn(1, 1, 8, 8) * 0.3)
        self.style = nn.Linear(12, 8)
        self.conv, self.rgb = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.Conv2d(8, 3, 1)

    def forward(self, z):
        z = z * torch.rsqrt(torch.mean(z ** 2, dim=1, keepdim=True) + 1e-8)
        w = F.leaky_relu(self.mapping(z), 0.2)
        style = self.style(w) + 1
        x = self.start.expand(z.shape[0], -1, -1, -1)
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = self.conv(x * style[:, :, None, None])
        demodulation = torch.rsqrt(style ** 2 @ (self.conv.weight ** 2).sum((2, 3)).t() + 1e-8)
        x = F.leaky_relu(x * demodulation[:, :, None, None] + self.noise, 0.2)
        return torch.tanh(self.rgb(x))


def coordinates(x):
    batch, _, height, width = x.shape
    rows = torch.linspace(-1, 1, height).reshape(1, 1, height, 1).expand(batch, 1, height, width)
    columns = torch.linspace(-1, 1, width).reshape(1, 1, 1, width).expand(batch, 1, height, width)
    return torch.cat([x, rows, columns], 1)


def shuffle(x):
    batch, channels, height, width = x.shape
    return x.reshape(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


def glu(x):
    a, b = x.chunk(2, 1)
    return a * torch.sigmoid(b)


def minibatch_free(x):
    """Statistics of each image beside it."""
    mean = x.mean((1, 2, 3), keepdim=True).expand(-1, 1, 8, 8)
    return torch.cat([x, mean, x.amax((1,), keepdim=True), x.amin((1,), keepdim=True)], 1)


class Conditional(nn.Module):
    """A generator of a class: the label as an embedding beside z, and as scales of the channels; two outputs."""

    def __init__(self):
        super().__init__()
        self.embedding, self.scales = nn.Embedding(5, 6), nn.Embedding(5, 8)
        self.linear = nn.Linear(18, 128)
        self.norm, self.up = nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 3, 4, 2, 1)

    def forward(self, z, label):
        h = self.linear(torch.cat([z, self.embedding(label)], 1)).reshape(-1, 8, 4, 4)
        x = torch.relu(self.norm(h) * (1 + self.scales(label))[:, :, None, None])
        return torch.tanh(self.up(x)), h.mean((2, 3))


class Sequence(nn.Module):
    """Convolutions and pools of one axis."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv1d(3, 8, 5, stride=2, padding=2), nn.ConvTranspose1d(8, 4, 4, 2, 1)
        self.norm = nn.InstanceNorm1d(8, affine=True)

    def forward(self, x):
        x = F.max_pool1d(F.relu(self.norm(self.a(x))), 2)
        return F.avg_pool1d(self.b(x), 3, 1, 1)


IMAGE, LATENT = (3, 8, 8), (12,)
MASK = torch.rand(8, 8)
MODELS = {
    "convnext": lambda: (ConvNeXt(), IMAGE),
    "attention": lambda: (Attention(), IMAGE),
    "transformer": lambda: (Transformer(), IMAGE),
    "style": lambda: (Style(), LATENT),
    "conditional": lambda: (Conditional(), LATENT),
    "sequence": lambda: (Sequence(), (3, 16)),
    "instance_norm": lambda: (Call(lambda m, x: m(x), module=nn.InstanceNorm2d(8, affine=True)), IMAGE),
    "group_norm": lambda: (Call(lambda m, x: m(x), module=nn.GroupNorm(4, 8)), IMAGE),
    "layer_norm": lambda: (Call(lambda m, x: m(x), module=nn.LayerNorm([8, 8, 8])), IMAGE),
    "prelu": lambda: (Call(lambda m, x: m(x), module=nn.PReLU(8)), IMAGE),
    "elu": lambda: (Call(lambda x: F.elu(x, 0.7)), IMAGE),
    "selu": lambda: (Call(F.selu), IMAGE),
    "celu": lambda: (Call(lambda x: F.celu(x, 0.5)), IMAGE),
    "gelu": lambda: (Call(F.gelu), IMAGE),
    "gelu_tanh": lambda: (Call(lambda x: F.gelu(x, approximate="tanh")), IMAGE),
    "mish": lambda: (Call(F.mish), IMAGE),
    "silu": lambda: (Call(F.silu), IMAGE),
    "softplus": lambda: (Call(F.softplus), IMAGE),
    "softsign": lambda: (Call(F.softsign), IMAGE),
    "log_softmax": lambda: (Call(lambda x: F.log_softmax(x, 1)), IMAGE),
    "softmax_columns": lambda: (Call(lambda x: F.softmax(x, 3)), IMAGE),
    "glu": lambda: (Call(glu, after=4), IMAGE),
    "chunks": lambda: (Call(lambda x: torch.cat(torch.split(x, [1, 5, 2], 1)[::-1], 1)), IMAGE),
    "flip": lambda: (Call(lambda x: x.flip(3) + x.flip(1)), IMAGE),
    "strides": lambda: (Call(lambda x: x[:, ::2, 1::3, :], after=4), IMAGE),
    "channel_shuffle": lambda: (Call(shuffle), IMAGE),
    "pixel_shuffle": lambda: (Call(lambda x: F.pixel_shuffle(F.relu(x) * MASK, 2), after=2), IMAGE),
    "pixel_unshuffle": lambda: (Call(lambda x: F.pixel_unshuffle(x, 2), after=32), IMAGE),
    "mask": lambda: (Call(lambda x: x * MASK + MASK[:, :1]), IMAGE),
    "coordinates": lambda: (Call(coordinates, after=10), IMAGE),
    "statistics": lambda: (Call(minibatch_free, after=11), IMAGE),
    "crop": lambda: (Call(lambda x: F.pad(x, (-1, -2, 1, -1))), IMAGE),
    "pad_channels": lambda: (Call(lambda x: F.pad(x, (0, 0, 1, 0, 2, 1), value=0.5), after=11), IMAGE),
    "cubic": lambda: (Call(lambda x: F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)), IMAGE),
    "global_max": lambda: (Call(lambda x: x * F.adaptive_max_pool2d(x, 1)), IMAGE),
    "average_ceil": lambda: (Call(lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True)), IMAGE),
    "norms": lambda: (Call(lambda x: x / (x.norm(dim=1, keepdim=True) + 1) + x.abs().sum((2, 3), keepdim=True).log1p()),
                      IMAGE),
    "several": lambda: (Call(lambda x: torch.maximum(x, x.flip(2)) - torch.minimum(x * 2, x.abs().sqrt())), IMAGE),
    "powers": lambda: (Call(lambda x: x.pow(3) + 1 / (x.exp() + 1) + (x * x + 0.1).pow(-0.5)), IMAGE),
    "repeat": lambda: (Call(lambda x: x.repeat(1, 1, 2, 1)), IMAGE),
    "take": lambda: (Call(lambda x: x[:, [3, 0, 7, 6, 5, 1]], after=6), IMAGE),
}

# Those that the exporter based on torch.export writes otherwise, or whose models are whole networks.
BOTH = {"conditional", "convnext", "attention", "transformer", "style", "group_norm", "gelu", "chunks", "flip"}


def constant(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def graph(nodes, constants, shape, opset=17):
    """A model of nodes between a convolution of x and another one, which reads y."""
    weight = RNG.normal(size=(8, 3, 3, 3)).astype(np.float32) * 0.3
    nodes = [helper.make_node("Conv", ["x", "before"], ["c"], pads=[1] * 4), *nodes]
    value = helper.make_tensor_value_info
    return helper.make_model(
        helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, ["N", *shape])], [value("y", TensorProto.FLOAT, None)],
                          [constant("before", weight), *constants]),
        opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(op, inputs, **attributes):
    return helper.make_node(op, inputs, ["y"], **attributes)


F32, I64 = np.float32, np.int64
GRAPHS = {
    "group18": lambda: graph([node("GroupNormalization", ["c", "s", "b"], num_groups=4)], [
        constant("s", RNG.normal(size=4).astype(F32)), constant("b", RNG.normal(size=4).astype(F32))], IMAGE, 18),
    "group21": lambda: graph([node("GroupNormalization", ["c", "s", "b"], num_groups=4)], [
        constant("s", RNG.normal(size=8).astype(F32)), constant("b", RNG.normal(size=8).astype(F32))], IMAGE, 21),
    "space_to_depth": lambda: graph([node("SpaceToDepth", ["c"], blocksize=2)], [], IMAGE),
    "depth_to_space": lambda: graph([helper.make_node("Softplus", ["c"], ["d"]), helper.make_node("Softmax", ["d"], ["e"], axis=1),
                                     node("DepthToSpace", ["e"], blocksize=2, mode="CRD")], [], IMAGE),
    "softmax11": lambda: graph([node("Softmax", ["c"], axis=2)], [], IMAGE, 11),
    "log_sum_exp": lambda: graph([node("ReduceLogSumExp", ["c"], axes=[1, 3], keepdims=1)], [], IMAGE),
    "sum_square": lambda: graph([node("ReduceSumSquare", ["c"], axes=[1, 3], keepdims=0)], [], IMAGE),
    "max_of_three": lambda: graph([node("Max", ["c", "a", "b"])], [
        constant("a", RNG.normal(size=(8, 1, 1)).astype(F32)), constant("b", RNG.normal(size=(8,)).astype(F32))], IMAGE),
    "mean_of_three": lambda: graph([node("Mean", ["c", "a", "c"])], [
        constant("a", RNG.normal(size=(1, 8, 8, 8)).astype(F32))], IMAGE),
    "constant_over": lambda: graph([helper.make_node("Exp", ["c"], ["e"]), node("Div", ["a", "e"])], [
        constant("a", RNG.normal(size=(8, 8)).astype(F32))], IMAGE),
    "middle_axis": lambda: graph([
        helper.make_node("Reshape", ["c", "s"], ["r"]), helper.make_node("Softmax", ["r"], ["t"], axis=2),
        helper.make_node("Concat", ["t", "r"], ["u"], axis=2), helper.make_node("Mul", ["u", "m"], ["v"]),
        helper.make_node("ReduceMean", ["v"], ["w"], axes=[2, 4], keepdims=0), node("Transpose", ["w"], perm=[0, 2, 1])], [
        constant("s", np.array([0, 4, 2, 8, 8], I64)), constant("m", RNG.normal(size=(4, 4, 1, 8)).astype(F32))], IMAGE),
    "rms": lambda: graph([helper.make_node("Mul", ["c", "c"], ["s"]), helper.make_node("ReduceMean", ["s"], ["m"], axes=[1]),
                          helper.make_node("Add", ["m", "e"], ["a"]), helper.make_node("Sqrt", ["a"], ["r"]),
                          node("Div", ["c", "r"])], [constant("e", F32(1e-8))], IMAGE),
}


def write(out, name, model, x):
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "model.onnx")
    if model is not None:
        onnx.save(model, path)
    options = onnxruntime.SessionOptions()
    # Without VNNI, products of bytes saturate unless exact ones are asked for.
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = [value.name for value in session.get_inputs()]
    # A label for each example where the model takes some.
    values = [x, *([np.array([2, 0, 1], np.int64)] * (len(given) - 1))]
    results = session.run(None, dict(zip(given, values)))
    for role, arrays in (("input", values), ("output", results)):
        for index, array in enumerate(arrays):
            with open(os.path.join(folder, f"{role}_{index}.pb"), "wb") as file:
                file.write(numpy_helper.from_array(array.astype(np.float32), role).SerializeToString())


def main():
    out, files = sys.argv[1], sys.argv[2:]
    torch.set_num_threads(2)
    dynamo = importlib.util.find_spec("onnxscript") is not None
    for name, make in MODELS.items():
        torch.manual_seed(0)
        model, shape = make()
        model.eval()
        x = torch.rand(3, *shape) * 2 - 1
        given = (x, torch.tensor([2, 0, 1])) if name == "conditional" else (x,)
        for way, opset in [("script", 17), *([("export", 20)] if dynamo and name in BOTH else [])]:
            folder = os.path.join(out, f"{name}-{way}")
            os.makedirs(folder)
            path = os.path.join(folder, "model.onnx")
            if way == "export":
                batch = torch.export.Dim("batch", min=1, max=64)
                torch.onnx.export(model, given, path, dynamo=True, opset_version=opset, verbose=False,
                                  dynamic_shapes=tuple({0: batch} for _ in given), external_data=False)
            else:
                names = ["x", "label"][:len(given)]
                torch.onnx.export(model, given, path, dynamo=False, opset_version=opset, input_names=names,
                                  output_names=["y"], dynamic_axes={name: {0: "batch"} for name in [*names, "y"]})
            write(out, f"{name}-{way}", None, x.numpy())
    for name, make in GRAPHS.items():
        write(out, f"{name}-graph", make(), RNG.uniform(-1, 1, (3, *IMAGE)).astype(np.float32))
    for path in files:
        model = onnx.load(path)
        known = {tensor.name for tensor in model.graph.initializer}
        given = [value for value in model.graph.input if value.name not in known]
        dims = [dim.dim_value or 3 for dim in given[0].type.tensor_type.shape.dim]
        kind = helper.tensor_dtype_to_np_dtype(given[0].type.tensor_type.elem_type)
        try:
            write(out, os.path.basename(path), model, RNG.uniform(-1, 1, dims).astype(kind))
        except Exception as error:
            print(os.path.basename(path), "is left out:", str(error)[:100])


main()
