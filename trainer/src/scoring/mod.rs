//! How good generated images are: judged by the features of a classifier.

pub mod evaluator;
pub mod generated;
pub mod scorer;
