//! SimCLR (Chen et al. 2020): representations learned without labels, by telling two views of an image from other images.

pub mod augment;
pub mod encoder;
pub mod evaluate;
pub mod features;
pub mod flat;
pub mod knn;
pub mod learner;
pub mod loss;
pub mod probe;
pub mod run;
pub mod settings;
pub mod show;
pub mod train;
