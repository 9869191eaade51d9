//! What lies on people's disks, read and written in one place for all of Latent's programs.
//!
//! | module | holds |
//! |---|---|
//! | [`atomic`] | files and folders that appear whole or not at all |
//! | [`npy`] | arrays in NumPy's format |
//! | [`run`] | run folders: `run.json`, checkpoints, weights |
//! | [`text`] | text for people: sizes, grouped digits, aligned columns |

pub mod atomic;
pub mod npy;
pub mod run;
pub mod text;
