//! What lies on people's disks, read and written in one place for all of Latent's programs.
//!
//! | module | holds |
//! |---|---|
//! | [`atomic`] | files and folders that appear whole or not at all |
//! | [`console`] | lines to stdout and stderr, which may be closed |
//! | [`given`] | what a user gives to one of a model's inputs |
//! | [`npy`] | arrays in NumPy's format |
//! | [`picture_file`] | a picture to a file of the format that its name says, or to stdout |
//! | [`pictures`] | picture files and folders of them, to pixels and labels |
//! | [`regular`] | regular files to bytes: the one rule for all readers |
//! | [`run`] | run folders: `run.json`, checkpoints, weights |
//! | [`sheet`] | pictures as PNG files, single and as contact sheets |
//! | [`text`] | text for people: sizes, grouped digits, aligned columns |

#![warn(missing_docs)]

pub mod atomic;
pub mod console;
pub mod given;
pub mod npy;
pub mod picture_file;
pub mod pictures;
pub mod regular;
pub mod run;
pub mod sheet;
pub mod text;
