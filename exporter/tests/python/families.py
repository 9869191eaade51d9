"""Small networks of the kinds that people export, as their authors write them: random weights, no other package.

FAMILIES has for each a function that makes it, and its inputs for a batch of 3.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


def images(*shape):
    return (torch.rand(3, *shape) * 2 - 1,)


def latents(size):
    return (torch.randn(3, size),)


# A U-Net with skips, as for segmentation.


class DoubleConv(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs),
                         nn.ReLU(inplace=True), nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
                         nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class SegmentationUNet(nn.Module):
    """Upsampling by a transposed convolution and by interpolation; the padding to the skip's size is computed."""

    def __init__(self):
        super().__init__()
        self.first = DoubleConv(3, 8)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(8, 12))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(12, 16))
        self.up1 = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.conv1 = DoubleConv(20, 12)
        self.up2 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.conv2 = DoubleConv(20, 8)
        self.last = nn.Conv2d(8, 2, 1)

    @staticmethod
    def join(x, skip):
        rows = skip.size(2) - x.size(2)
        columns = skip.size(3) - x.size(3)
        x = F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        return torch.cat([skip, x], dim=1)

    def forward(self, x):
        a = self.first(x)
        b = self.down1(a)
        c = self.down2(b)
        y = self.conv1(self.join(self.up1(c), b))
        y = self.conv2(self.join(self.up2(y), a))
        return torch.sigmoid(self.last(y))


# A VAE's decoder, as of latent diffusion.


class NormResidual(nn.Module):
    """GroupNorm, SiLU, convolution, twice."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.norm1 = nn.GroupNorm(4, inputs, eps=1e-6)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(4, outputs, eps=1e-6)
        self.dropout = nn.Dropout(0.1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x):
        y = self.norm1(x)
        y = self.conv1(y * torch.sigmoid(y))
        y = F.silu(self.norm2(y))
        return self.shortcut(x) + self.conv2(self.dropout(y))


class VaeDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(4, 16, 3, padding=1)
        self.middle = NormResidual(16, 16)
        self.up1 = NormResidual(16, 12)
        self.conv1 = nn.Conv2d(12, 12, 3, padding=1)
        self.up2 = NormResidual(12, 8)
        self.norm = nn.GroupNorm(2, 8)
        self.last = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, z):
        x = self.middle(self.first(z / 0.18215))
        x = self.conv1(F.interpolate(self.up1(x), scale_factor=2.0, mode="nearest"))
        x = F.interpolate(self.up2(x), scale_factor=2.0, mode="nearest")
        return (self.last(F.silu(self.norm(x))) / 2 + 0.5).clamp(0, 1)


class VaeEncoder(nn.Module):
    """Fully connected; gives the mean and the logarithm of the variance, and the deviation: three outputs of a chunk."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ELU(), nn.Linear(32, 24), nn.Softplus(),
                                  nn.Linear(24, 16))

    def forward(self, x):
        mean, logarithm = torch.chunk(self.body(x), 2, dim=1)
        logarithm = logarithm.clamp(-30.0, 20.0)
        return mean, logarithm, torch.exp(0.5 * logarithm)


# SRGAN's generator.


class SrResidual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels),
                                  nn.PReLU(), nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
                                  nn.BatchNorm2d(channels))

    def forward(self, x):
        return x + self.body(x)


class SrGan(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 9, 1, 4), nn.PReLU(8))
        self.trunk = nn.Sequential(SrResidual(8), SrResidual(8), nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8))
        self.up = nn.Sequential(nn.Conv2d(8, 32, 3, 1, 1), nn.PixelShuffle(2), nn.PReLU())
        self.last = nn.Conv2d(8, 3, 9, 1, 4)

    def forward(self, x):
        a = self.first(x)
        y = self.last(self.up(a + self.trunk(a)))
        # What bicubic interpolation gives, and the network adds to.
        base = F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
        return (torch.tanh(y + base) + 1) / 2


class PixelUnshuffled(nn.Module):
    """Space to depth, by PyTorch's operator and by hand, and back by hand (as Real-ESRGAN and YOLOv5's Focus do)."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(12, 8, 3, padding=1)
        self.b = nn.Conv2d(44, 12, 1)

    def forward(self, x):
        y = F.leaky_relu(self.a(F.pixel_unshuffle(x, 2)), 0.2)
        focus = torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
        flipped = torch.flip(focus, [3]) + focus.flip(2)
        b, c, h, w = y.shape
        deep = y.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(b, c * 4, h // 2, w // 2)
        deep = F.interpolate(deep[:, :20], size=(h, w), mode="nearest")
        y = self.b(torch.cat([focus, flipped, deep], 1))
        y = y.view(b, 3, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, 3, 2 * h, 2 * w)
        return y


# StyleGAN: a mapping network, and modulated convolutions.


class Equalized(nn.Module):
    """A linear layer whose weights are scaled when it runs."""

    def __init__(self, inputs, outputs, bias=0.0, rate=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.gain = rate / math.sqrt(inputs)
        self.rate = rate

    def forward(self, x):
        return F.linear(x, self.weight * self.gain, self.bias * self.rate)


class Modulated(nn.Module):
    """StyleGAN2's convolution by scaled activations: its fused form has groups for each example, which ONNX has not."""

    def __init__(self, inputs, outputs, size, kernel, style, demodulate=True, flat=False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.style = Equalized(style, inputs, 1.0)
        self.bias = nn.Parameter(torch.randn(outputs) * 0.1)
        self.register_buffer("noise", torch.randn(size, size))
        self.strength = nn.Parameter(torch.tensor(0.3))
        self.demodulate, self.flat = demodulate, flat
        self.gain = 1 / math.sqrt(inputs * kernel * kernel)

    def forward(self, x, w):
        s = self.style(w)
        if not self.demodulate:
            x = F.conv2d(x * (s * self.gain)[:, :, None, None], self.weight, padding=self.weight.shape[2] // 2)
            return torch.clamp(x + self.bias[None, :, None, None], -256, 256)
        if self.flat:
            # The sum over the kernel does not depend on the style.
            squares = self.weight.square().sum(dim=[2, 3])
            d = torch.rsqrt(torch.matmul(s * s, squares.t()) + 1e-8)
        else:
            weight = self.weight.unsqueeze(0) * s.reshape(s.shape[0], 1, -1, 1, 1)
            d = (weight.square().sum(dim=[2, 3, 4]) + 1e-8).rsqrt()
        x = F.conv2d(x * s.view(-1, s.shape[1], 1, 1), self.weight, padding=self.weight.shape[2] // 2)
        x = x * d.reshape(x.shape[0], -1, 1, 1) + self.noise * self.strength
        return F.leaky_relu(x + self.bias.reshape(1, -1, 1, 1), 0.2) * math.sqrt(2)


class StyleGan2(nn.Module):
    def __init__(self):
        super().__init__()
        self.mapping = nn.ModuleList([Equalized(12, 16, rate=0.01), Equalized(16, 16, rate=0.01)])
        self.register_buffer("average", torch.randn(16) * 0.1)
        self.start = nn.Parameter(torch.randn(1, 16, 4, 4))
        self.conv0 = Modulated(16, 16, 4, 3, 16)
        self.rgb0 = Modulated(16, 3, 4, 1, 16, demodulate=False)
        self.conv1 = Modulated(16, 12, 8, 3, 16, flat=True)
        self.conv2 = Modulated(12, 12, 8, 3, 16)
        self.rgb1 = Modulated(12, 3, 8, 1, 16, demodulate=False)
        kernel = torch.tensor([1.0, 3, 3, 1])
        kernel = torch.outer(kernel, kernel)
        self.register_buffer("blur", kernel / kernel.sum() * 4)

    def upsample(self, x):
        """Zeros between the pixels and a blur, as upfirdn2d does without its own kernel."""
        # Sizes as numbers: the exporter by script does not know a computed one, and refuses the convolution.
        x = F.pad(x.reshape(-1, 3, 4, 1, 4, 1), [0, 1, 0, 0, 0, 1])
        x = F.pad(x.reshape(-1, 3, 8, 8), [2, 1, 2, 1])
        return F.conv2d(x, self.blur[None, None].repeat(3, 1, 1, 1), groups=3)

    def forward(self, z):
        w = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), 0.2) * math.sqrt(2)
        # Truncation.
        w = self.average.lerp(w, 0.7)
        x = self.start.repeat(z.shape[0], 1, 1, 1)
        x = self.conv0(x, w)
        image = self.rgb0(x, w)
        x = self.conv1(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), w)
        x = self.conv2(x, w)
        return self.upsample(image) + self.rgb1(x, w)


class AdaIn(nn.Module):
    """StyleGAN 1: a constant start, instance norms whose scale and shift come from the style."""

    def __init__(self):
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(10, 16), nn.LeakyReLU(0.2), nn.Linear(16, 16), nn.LeakyReLU(0.2))
        self.start = nn.Parameter(torch.randn(1, 8, 4, 4))
        self.first = nn.Conv2d(8, 8, 1)
        self.style1, self.style2 = nn.Linear(16, 16), nn.Linear(16, 16)
        self.norm = nn.InstanceNorm2d(8)
        self.conv = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
        self.noise = nn.Parameter(torch.randn(1, 8, 1, 1) * 0.1)
        self.register_buffer("grain", torch.randn(1, 1, 8, 8))
        self.last = nn.Conv2d(8, 3, 1)

    def styled(self, x, style):
        scale, shift = style.unsqueeze(2).unsqueeze(3).chunk(2, 1)
        return self.norm(x) * (scale + 1) + shift

    def forward(self, z):
        z = F.normalize(z, p=2, dim=1) * math.sqrt(10)
        w = self.mapping(z)
        x = self.start.repeat(z.size(0), 1, 1, 1)
        x = self.styled(F.gelu(self.first(x)), self.style1(w))
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.leaky_relu(self.conv(x) + self.grain * self.noise, 0.2)
        return self.last(self.styled(x, self.style2(w)))


# Attention over a small image.


class SelfAttention(nn.Module):
    """SAGAN's; `pooled` as BigGAN has it."""

    def __init__(self, channels, pooled):
        super().__init__()
        self.query = nn.utils.spectral_norm(nn.Conv2d(channels, channels // 4, 1, bias=False))
        self.key = nn.Conv2d(channels, channels // 4, 1, bias=False)
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.out = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.tensor(0.7))
        self.pooled = pooled

    def forward(self, x):
        batch, _, height, width = x.size()
        query, key, value = self.query(x), self.key(x), self.value(x)
        if self.pooled:
            key, value = F.max_pool2d(key, 2), F.max_pool2d(value, 2)
        query = query.view(batch, -1, height * width)
        key = key.view(batch, query.shape[1], -1)
        value = value.view(batch, value.shape[1], -1)
        attention = F.softmax(torch.bmm(query.permute(0, 2, 1), key), dim=-1)
        y = torch.bmm(value, attention.transpose(1, 2)).view(batch, -1, height, width)
        return self.gamma * self.out(y) + x


class SaGan(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(12, 16 * 16)
        self.norm = nn.BatchNorm2d(16)
        self.attention1 = SelfAttention(16, False)
        self.up = nn.Sequential(nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.attention2 = SelfAttention(8, True)
        self.last = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, z):
        x = self.first(z).view(-1, 16, 4, 4)
        x = self.attention1(F.relu(self.norm(x)))
        return torch.tanh(self.last(self.attention2(self.up(x))))


class DiffusionBlock(nn.Module):
    def __init__(self, inputs, outputs, time):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(4, inputs), nn.GroupNorm(4, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.time = nn.Linear(time, 2 * outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, time):
        y = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.time(F.silu(time))[:, :, None, None].chunk(2, dim=1)
        y = self.norm2(y) * (1 + scale) + shift
        return self.conv2(F.silu(y)) + self.shortcut(x)


class MultiHead(nn.Module):
    """Heads of an image's pixels, by PyTorch's own attention or by einsum."""

    def __init__(self, channels, heads, einsum):
        super().__init__()
        self.norm = nn.GroupNorm(4, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        self.heads, self.einsum = heads, einsum

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w).unbind(1)
        if self.einsum:
            q = q * (c // self.heads) ** -0.5
            weights = torch.einsum("bhdi,bhdj->bhij", q, k).softmax(dim=-1)
            y = torch.einsum("bhij,bhdj->bhid", weights, v).permute(0, 1, 3, 2)
        else:
            q, k, v = (t.transpose(2, 3) for t in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3)
        return x + self.out(y.reshape(b, c, h, w))


class DiffusionUNet(nn.Module):
    """Takes noisy images and a time for each; sines of it, attention at the coarser sizes."""

    def __init__(self, einsum=False):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(8, 16), nn.SiLU(), nn.Linear(16, 16))
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.down1 = DiffusionBlock(8, 8, 16)
        self.pool1 = nn.Conv2d(8, 8, 3, 2, 1)
        self.down2 = DiffusionBlock(8, 16, 16)
        self.attention = MultiHead(16, 2, einsum)
        self.middle = DiffusionBlock(16, 16, 16)
        self.up2 = DiffusionBlock(32, 8, 16)
        self.up1 = DiffusionBlock(16, 8, 16)
        self.norm = nn.GroupNorm(4, 8)
        self.last = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x, time):
        half = 4
        frequencies = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / (half - 1))
        angles = time[:, None].float() * frequencies[None]
        t = self.time(torch.cat([angles.sin(), angles.cos()], dim=-1))
        a = self.down1(self.first(x), t)
        b = self.attention(self.down2(self.pool1(a), t))
        y = self.middle(b, t)
        y = self.up2(torch.cat([y, b], 1), t)
        y = F.interpolate(y, scale_factor=2, mode="nearest")
        y = self.up1(torch.cat((y, a), 1), t)
        return self.last(F.silu(self.norm(y)))


class VitBlock(nn.Module):
    """Two layers of a vision transformer over patches: a class token, positions, PyTorch's own encoder layer's parts."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.positions = nn.Parameter(torch.randn(1, 5, 16))
        self.norm1, self.norm2, self.norm = (nn.LayerNorm(16) for _ in range(3))
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(approximate="tanh"), nn.Linear(32, 16))
        self.head = nn.Linear(16, 6)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.positions
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-2, -1)) * (c // 2) ** -0.5
        x = x + self.out((attention.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c))
        x = x + self.mlp(self.norm2(x))
        return self.head(self.norm(x)[:, 0])


# Small classifiers.


def conv_norm(inputs, outputs, kernel=3, stride=1, groups=1, activation=nn.ReLU6):
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
              nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)]
    return nn.Sequential(*layers, *([activation(inplace=True)] if activation else []))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, expand, kernel=3, activation=nn.ReLU6, squeeze=False):
        super().__init__()
        hidden = inputs * expand
        layers = [conv_norm(inputs, hidden, 1, activation=activation)] if expand != 1 else []
        layers.append(conv_norm(hidden, hidden, kernel, stride, hidden, activation))
        if squeeze:
            layers.append(SqueezeExcitation(hidden))
        layers.append(conv_norm(hidden, outputs, 1, activation=None))
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        if self.residual:
            return x + self.conv(x)
        return self.conv(x)


class SqueezeExcitation(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, 8, 1)
        self.fc2 = nn.Conv2d(8, channels, 1)

    def forward(self, x):
        s = F.adaptive_avg_pool2d(x, 1)
        return F.hardsigmoid(self.fc2(F.relu(self.fc1(s)))) * x


class MobileNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(conv_norm(3, 8, stride=2), InvertedResidual(8, 8, 1, 1),
                                      InvertedResidual(8, 12, 2, 3), InvertedResidual(12, 12, 1, 3),
                                      conv_norm(12, 24, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(24, 10))

    def forward(self, x):
        x = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


class MobileNetV3(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv_norm(3, 8, stride=2, activation=nn.Hardswish),
            InvertedResidual(8, 8, 1, 1, activation=nn.ReLU, squeeze=True),
            InvertedResidual(8, 12, 2, 3, 5, nn.Hardswish, True),
            InvertedResidual(12, 12, 1, 2, 5, nn.Hardswish, True),
            conv_norm(12, 24, 1, activation=nn.Hardswish))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(24, 32), nn.Hardswish(inplace=True), nn.Dropout(p=0.2, inplace=True),
                                        nn.Linear(32, 10))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def channel_shuffle(x, groups):
    batch, channels, height, width = x.size()
    x = x.view(batch, groups, channels // groups, height, width)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(batch, channels, height, width)


class ShuffleUnit(nn.Module):
    """ShuffleNet V2's unit."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        half = outputs // 2
        self.stride = stride
        self.branch1 = nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(conv_norm(inputs, inputs, 3, stride, inputs, None),
                                         conv_norm(inputs, half, 1, activation=nn.ReLU))
        self.branch2 = nn.Sequential(conv_norm(inputs if stride > 1 else half, half, 1, activation=nn.ReLU),
                                     conv_norm(half, half, 3, stride, half, None),
                                     conv_norm(half, half, 1, activation=nn.ReLU))

    def forward(self, x):
        if self.stride == 1:
            x1, x2 = x.chunk(2, dim=1)
            out = torch.cat((x1, self.branch2(x2)), dim=1)
        else:
            out = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        return channel_shuffle(out, 2)


class ShuffleNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = conv_norm(3, 8, stride=2, activation=nn.ReLU)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.units = nn.Sequential(ShuffleUnit(8, 16, 2), ShuffleUnit(16, 16, 1), ShuffleUnit(16, 16, 1))
        self.last = conv_norm(16, 24, 1, activation=nn.ReLU)
        self.fc = nn.Linear(24, 10)

    def forward(self, x):
        x = self.last(self.units(self.pool(self.first(x))))
        return self.fc(x.mean([2, 3]))


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of images."""

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class HandLayerNorm(nn.Module):
    """The same in the form of ConvNeXt's first code."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels) + 0.5)
        self.bias = nn.Parameter(torch.rand(channels) - 0.5)

    def forward(self, x):
        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        x = (x - u) / torch.sqrt(s + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class ConvNextBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.rand(channels) * 0.8 + 0.2)

    def forward(self, x):
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.pwconv2(F.gelu(self.pwconv1(self.norm(y))))
        return x + (self.gamma * y).permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, 4), LayerNorm2d(8, eps=1e-6))
        self.stage1 = ConvNextBlock(8)
        self.down = nn.Sequential(HandLayerNorm(8), nn.Conv2d(8, 12, 2, 2))
        self.stage2 = ConvNextBlock(12)
        self.norm = nn.LayerNorm(12, eps=1e-6)
        self.head = nn.Linear(12, 10)

    def forward(self, x):
        x = self.stage2(self.down(self.stage1(self.stem(x))))
        return self.head(self.norm(x.mean([-2, -1])))


class GroupNormBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.GroupNorm(4, outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.GroupNorm(4, outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.GroupNorm(1, outputs))

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        y += self.shortcut(x)
        return F.relu(y)


class GroupNormResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.GroupNorm(2, 8), nn.ReLU())
        self.blocks = nn.Sequential(GroupNormBlock(8, 8, 1), GroupNormBlock(8, 16, 2), GroupNormBlock(16, 16, 1))
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = torch.amax(self.blocks(self.stem(x)), dim=(2, 3))
        return F.log_softmax(self.fc(x), dim=1)


class TwoHeads(nn.Module):
    """SimCLR's encoder: the representation h, and z after the projection head, normalized."""

    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                               nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
                               nn.AdaptiveAvgPool2d((1, 1)))
        self.g = nn.Sequential(nn.Linear(16, 24, bias=False), nn.BatchNorm1d(24), nn.ReLU(inplace=True),
                               nn.Linear(24, 12))

    def forward(self, x):
        h = torch.flatten(self.f(x), start_dim=1)
        z = self.g(h)
        return F.normalize(h, dim=-1), F.normalize(z, dim=-1)


# Generators and discriminators of a class.


class ConditionalNorm(nn.Module):
    """BatchNorm whose scale and shift are the class's."""

    def __init__(self, channels, condition):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Linear(condition, channels, bias=False)
        self.shift = nn.Linear(condition, channels, bias=False)

    def forward(self, x, y):
        return self.norm(x) * (1 + self.scale(y)[:, :, None, None]) + self.shift(y).view(y.size(0), -1, 1, 1)


class ProjectedGan(nn.Module):
    """FastGAN's generator as Projected GAN conditions it: embedded class, GLU, and gates from the coarser image."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 8)
        self.embed_z = nn.Linear(8, 12)
        self.first = nn.ConvTranspose2d(24, 32, 4, 1, 0, bias=False)
        self.norm1 = nn.BatchNorm2d(32)
        self.conv1, self.norm2 = nn.Conv2d(16, 24, 3, 1, 1, bias=False), ConditionalNorm(24, 8)
        self.noise = nn.Parameter(torch.tensor(0.2))
        self.register_buffer("grain", torch.randn(1, 1, 8, 8))
        self.conv2, self.norm3 = nn.Conv2d(12, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Conv2d(16, 8, 2, 1, 0, bias=False), nn.SiLU(),
                                  nn.Conv2d(8, 8, 1, 1, 0, bias=False), nn.Sigmoid())
        self.last = nn.Conv2d(8, 3, 3, 1, 1)

    def forward(self, z, label):
        y = self.embed(label)
        z = torch.cat((z, self.embed_z(y)), 1)
        z = F.normalize(z, dim=1) * math.sqrt(24)
        a = F.glu(self.norm1(self.first(z.unsqueeze(-1).unsqueeze(-1))), dim=1)
        x = F.interpolate(a, scale_factor=2, mode="nearest")
        x = F.glu(self.norm2(self.conv1(x), y) + self.noise * self.grain, dim=1)
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.glu(self.norm3(self.conv2(x)), dim=1)
        return torch.tanh(self.last(x * self.gate(a)))


class OneHotGan(nn.Module):
    """The class as a one-hot vector beside the noise, as in Mirza and Osindero's conditional GAN."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(22, 32), nn.LeakyReLU(0.2, inplace=True), nn.Linear(32, 64),
                                  nn.BatchNorm1d(64, 0.8), nn.LeakyReLU(0.2, inplace=True), nn.Linear(64, 64),
                                  nn.Tanh())

    def forward(self, z, label):
        x = self.body(torch.cat([F.one_hot(label, 10).float(), z], dim=-1))
        return x.view(x.size(0), 1, 8, 8)


class ProjectionDiscriminator(nn.Module):
    """Miyato and Koyama's: the class's vector times the features."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.utils.spectral_norm(nn.Conv2d(3, 8, 3, 1, 1))
        self.conv2 = nn.utils.spectral_norm(nn.Conv2d(8, 16, 4, 2, 1))
        self.linear = nn.utils.spectral_norm(nn.Linear(16, 1))
        self.embed = nn.utils.spectral_norm(nn.Embedding(10, 16))

    def forward(self, x, label):
        h = F.avg_pool2d(F.leaky_relu(self.conv1(x), 0.1), 2)
        h = torch.relu(self.conv2(h))
        h = torch.sum(h, dim=(2, 3))
        return self.linear(h) + torch.sum(self.embed(label) * h, dim=1, keepdim=True)


class Signal(nn.Module):
    """Convolutions of one dimension, as for sound."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(1, 8, 9, 4, 4), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
                                  nn.Conv1d(8, 12, 5, padding=4, dilation=2, groups=2), nn.InstanceNorm1d(12, affine=True),
                                  nn.SELU(), nn.AvgPool1d(2), nn.ConvTranspose1d(12, 4, 4, 2, 1), nn.Mish())

    def forward(self, x):
        y = self.body(x)
        return y / torch.sqrt(torch.mean(y ** 2, dim=1, keepdim=True) + 1e-8)


LABELS = torch.tensor([7, 0, 9])

FAMILIES = {
    "segmentation_unet": lambda: (SegmentationUNet(), images(3, 16, 16)),
    "vae_decoder": lambda: (VaeDecoder(), (torch.randn(3, 4, 4, 4) * 0.18215,)),
    "vae_encoder": lambda: (VaeEncoder(), images(1, 8, 8)),
    "srgan": lambda: (SrGan(), images(3, 8, 8)),
    "pixel_unshuffle": lambda: (PixelUnshuffled(), images(3, 8, 8)),
    "stylegan2": lambda: (StyleGan2(), latents(12)),
    "adain": lambda: (AdaIn(), latents(10)),
    "sagan": lambda: (SaGan(), latents(12)),
    "diffusion_unet": lambda: (DiffusionUNet(), (*images(3, 8, 8), torch.tensor([1.0, 40.0, 700.0]))),
    "diffusion_einsum": lambda: (DiffusionUNet(einsum=True), (*images(3, 8, 8), torch.tensor([999, 3, 250]))),
    "vit": lambda: (VitBlock(), images(3, 8, 8)),
    "mobilenet_v2": lambda: (MobileNetV2(), images(3, 16, 16)),
    "mobilenet_v3": lambda: (MobileNetV3(), images(3, 16, 16)),
    "shufflenet_v2": lambda: (ShuffleNetV2(), images(3, 32, 32)),
    "convnext": lambda: (ConvNext(), images(3, 32, 32)),
    "resnet_groupnorm": lambda: (GroupNormResNet(), images(3, 12, 12)),
    "two_heads": lambda: (TwoHeads(), images(3, 12, 12)),
    "projected_gan": lambda: (ProjectedGan(), (*latents(12), LABELS)),
    "onehot_gan": lambda: (OneHotGan(), (*latents(12), LABELS)),
    "projection_discriminator": lambda: (ProjectionDiscriminator(), (*images(3, 8, 8), LABELS)),
    "signal": lambda: (Signal(), images(1, 64)),
}
