//! Random views of images.
//!
//! A view is made by the steps of SimCLR's augmentation for small images, in this order: a random part of the image, resized;
//! a flip; brightness, contrast, saturation and hue, in random order; gray; normalization. There is no blur.
//!
//! What a view looks like is said by its [`ViewParameters`], which [`AugmentSettings`] draws from a generator that depends on
//! nothing but the seed, the batch, the image and which of the two views it is ([`view_rng`]). Two renderers follow the same
//! parameters: [`Renderer`] on the CPU, with all its threads, and [`DeviceRenderer`] on tensors, for a GPU. [`ViewSource`]
//! chooses between them and hides the work behind the training step.
//!
//! The steps are torchvision's on float images: values between 0 and 1, clamped after each step. (On PIL images, which the
//! notebook uses, torchvision rounds to 256 levels after each step; here nothing is rounded.) Gray is .299 R + .587 G + .114 B.
//! The resize is bilinear with antialiasing, which has no effect where a part is enlarged: always, for images of the size of
//! the view.

mod device;
mod error;
mod order;
mod parameters;
mod plain;
mod render;
mod resize;
mod settings;
mod source;
pub mod steps;

pub use self::device::DeviceRenderer;
pub use self::error::AugmentError;
pub use self::order::BatchOrder;
pub use self::parameters::{CropBox, Jitter, JitterStep, ViewParameters, view_rng};
pub use self::plain::Plain;
pub use self::render::{Renderer, Scratch};
pub use self::resize::crop_and_resize;
pub use self::settings::{AugmentSettings, Normalization};
pub use self::source::{ViewOptions, ViewSource, Views};
