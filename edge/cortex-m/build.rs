//! Gives the linker the memory map of the board: `boards/$BOARD.x`, without `BOARD` one that fits the target.

use std::{env, fs, path::Path};

fn main() {
    let target = env::var("TARGET").unwrap_or_default();
    let usual = if target.starts_with("thumbv6m") { "microbit" } else { "mps2" };
    let board = env::var("BOARD").unwrap_or_else(|_| usual.to_owned());
    let map = format!("boards/{board}.x");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::copy(&map, Path::new(&out).join("memory.x"))
        .unwrap_or_else(|error| panic!("the board's memory map {map} cannot be read: {error}"));
    println!("cargo:rustc-link-search={out}");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rerun-if-changed=boards");
    println!("cargo:rerun-if-env-changed=BOARD");
}
