//! Tells the crate what it is built for: the stable compiler does not show 32-bit Arm's target features to `cfg`.
//!
//! - `embedded`: a 32-bit Arm or RISC-V processor, which has kernels of its own.
//! - `scalar`: plain Rust is what it can fall back to, or all there is: neither `embedded` nor WebAssembly with vectors.
//! - `dsp`: it has Arm's DSP extension (Cortex-M4, M7, and M33 by `-C target-cpu=cortex-m33`).
//! - `vfp_half`: its floating-point unit converts from half precision (M4F, M7, M33 with one).

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| env::var(name).unwrap_or_default();
    let (target, arch) = (variable("TARGET"), variable("CARGO_CFG_TARGET_ARCH"));
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let armv7em = target.starts_with("thumbv7em-");
    let armv8m = target.starts_with("thumbv8m.main-");
    let processors = ["cortex-m33", "cortex-m35p", "cortex-m52", "cortex-m55", "cortex-m85", "+dsp"];
    let embedded = arch == "arm" || arch == "riscv32";
    let simd128 = variable("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "simd128");
    let found = [
        ("embedded", embedded),
        ("scalar", !embedded && !simd128),
        ("dsp", armv7em || armv8m && processors.iter().any(|name| flags.contains(name))),
        ("vfp_half", (armv7em || armv8m) && target.ends_with("eabihf")),
    ];
    for (name, is_so) in found {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if is_so {
            println!("cargo::rustc-cfg={name}");
        }
    }
}
