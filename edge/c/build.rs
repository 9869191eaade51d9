//! The name by which programs find the shared library: that of its interface, which another minor version changes.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let number = |part| env::var(format!("CARGO_PKG_VERSION_{part}")).unwrap_or_default();
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!(
            "cargo:rustc-cdylib-link-arg=-Wl,-soname,liblatent.so.{}.{}",
            number("MAJOR"),
            number("MINOR")
        );
    }
}
