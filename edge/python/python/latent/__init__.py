"""Small generators and encoders: `open` a packed model, `sample` latents, `run` it."""

from ._native import Error, Model, Port, __version__, instruction_set, lerp, open, slerp

__all__ = ["Error", "Model", "Port", "__version__", "instruction_set", "lerp", "open", "slerp"]
