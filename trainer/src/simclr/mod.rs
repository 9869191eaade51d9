//! SimCLR (Chen et al. 2020): representations learned without labels, by telling two views of an image from other images.

pub mod augment;
pub mod loss;
pub mod show;
