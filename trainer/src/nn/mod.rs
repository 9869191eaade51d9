//! Networks as sequences of layers, with PyTorch's parameter names, exact initialization and fast forward passes.
//!
//! A [`Network`] is a list of layers whose parameters carry the names that `torch.nn.Sequential` would give them: the
//! position of the layer, a dot, and `weight`, `bias` or a buffer's name. A [`ResNet`] has the names of torchvision's.

pub mod init;
mod layer;
mod network;
mod resnet;
mod state;

pub use layer::{BatchNorm, Conv2d, ConvTranspose2d, Layer, Linear, Pass};
pub use network::Network;
pub use resnet::ResNet;
pub use state::{Named, StateError, all_finite};
