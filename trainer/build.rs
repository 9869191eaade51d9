//! Lets the trainer's binary and tests find libtorch without `LD_LIBRARY_PATH`, and keeps its CUDA half linked.
//!
//! torch-sys' build script finds libtorch (`LIBTORCH`, `LIBTORCH_USE_PYTORCH`, or a system copy) and hands its library
//! folder on as `DEP_TCH_LIBTORCH_LIB`. From that folder two things follow for everything this package links:
//!
//! - a run path, so that the dynamic loader looks there;
//! - on ELF systems, a hard dependency on `libtorch_cuda` where it exists. Nothing in the trainer refers to a symbol of that
//!   library (it registers its kernels while it is loaded), so a linker with `--as-needed`, the default, drops it, and
//!   `Cuda::is_available()` is then false on a machine with a GPU.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let Some(given) = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        // torch-sys tells its folder on Linux and macOS only; elsewhere PATH has to name it.
        println!("cargo:rustc-env=LATENT_LIBTORCH_LIB=");
        return;
    };
    println!("cargo:rerun-if-changed={}", given.display());
    println!("cargo:rustc-env=LATENT_LIBTORCH_LIB={}", given.display());

    // The real folder first; the folder as given (often a link that `cargo xtask setup` keeps up to date) behind it.
    let real = given.canonicalize().unwrap_or_else(|_| given.clone());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", real.display());
    if real != given {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", given.display());
    }

    let cuda = os == "linux" && has_library(&real, "libtorch_cuda.so");
    if cuda {
        println!("cargo:rustc-link-search=native={}", real.display());
        for argument in ["-Wl,--push-state,--no-as-needed", "-ltorch_cuda", "-Wl,--pop-state"] {
            println!("cargo:rustc-link-arg={argument}");
        }
    }
}

fn has_library(folder: &Path, name: &str) -> bool {
    folder.join(name).is_file()
}
