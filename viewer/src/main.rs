//! The program `viewer`.

fn main() {}
