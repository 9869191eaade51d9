//! liblatent, the engine for C: every command of `edge/c/README.md`, as printed, and the ten lines of `docs/BINDINGS.md`; what the
//! programs make is compared with what the runtime itself makes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{cross, shell};

/// Targets that the page builds for, with the crates of the standard library that they need where it is built from source.
const TARGETS: [(&str, &str); 2] = [
    ("aarch64-unknown-linux-gnu", "core,alloc,std,panic_abort,panic_unwind"),
    ("thumbv7em-none-eabihf", "core"),
];

const TOOLS: [(&str, &str); 8] = [
    ("gcc", "gcc"),
    ("pkg-config", "pkg-config"),
    ("cmake", "cmake"),
    ("valgrind", "valgrind"),
    ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    ("qemu-aarch64", "qemu-user"),
    ("arm-none-eabi-gcc", "gcc-arm-none-eabi"),
    ("qemu-system-arm", "qemu-system-arm"),
];
/// Libraries, by a file of theirs.
const LIBRARIES: [(&str, &str); 3] = [
    ("/usr/aarch64-linux-gnu/lib/libc.so", "libc6-dev-arm64-cross"),
    ("/usr/lib/arm-none-eabi/newlib/libc.a", "libnewlib-arm-none-eabi"),
    ("/usr/lib/debug/.build-id", "libc6-dbg"),
];

/// The most bytes of the shared library, all vector kernels included.
const MOST: u64 = 1_200_000;

/// Runs everything; why not, if it cannot be run.
pub(crate) fn test() -> Result<Option<String>> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Some("the commands of edge/c/README.md are those of Linux on x86-64".into()));
    }
    let is_there = |file: &str| Path::new(file).exists();
    let missing: Vec<&str> =
        LIBRARIES.iter().filter(|(file, _)| !is_there(file)).map(|&(_, package)| package).collect();
    if !shell::tools(&TOOLS) || !missing.is_empty() && !shell::apt_install(&missing) {
        let packages: Vec<&str> = TOOLS.iter().map(|&(_, package)| package).chain(missing).collect();
        return Ok(Some(format!("not all of Debian's packages {} are there", packages.join(", "))));
    }
    let folder = crate::root().join("target/c-library/bin");
    let mut stand_ins = Vec::new();
    for (target, crates) in TARGETS {
        match cross::cargo(target, crates) {
            // As printed.
            Ok(found) if !found.from_source => {}
            Ok(found) => {
                stand_in(&folder.join(target), &found)?;
                stand_ins.push(target);
            }
            Err(why) => return Ok(Some(why)),
        }
    }

    // What builds with the standard library leave out.
    let mut clippy = shell::cargo();
    clippy.args([
        "clippy",
        "--quiet",
        "--package",
        "latent-c",
        "--lib",
        "--profile",
        "c",
        "--no-default-features",
    ]);
    shell::run(clippy.args(["--features", "latent-runtime/int8", "--", "-D", "warnings"]))?;
    for script in blocks(&read("edge/c/README.md")?, "sh") {
        let target = stand_ins.iter().find(|target| script.contains(&format!("--target {target}")));
        run_script(&script, target.map(|target| folder.join(target)).as_deref())?;
    }
    let library = crate::root().join("target/latent/lib/liblatent.so");
    let length = fs::metadata(&library)?.len();
    eprintln!("liblatent.so: {length} bytes, stripped");
    if length > MOST {
        bail!("liblatent.so has {length} bytes, more than {MOST}");
    }
    compare_features()?;
    ten_lines()?;
    Ok(None)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(crate::root().join(path)).with_context(|| format!("cannot read {path}"))
}

/// The code blocks of a language on a page.
pub(crate) fn blocks(page: &str, language: &str) -> Vec<String> {
    let blocks = page.split("\n```").skip(1).step_by(2);
    let blocks = blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    blocks.map(|block| format!("{block}\n")).collect()
}

/// A folder with a `cargo` that is the one for a target, which builds the standard library from source.
fn stand_in(folder: &Path, cargo: &cross::Cargo) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy());
    let mut script = String::from("#!/bin/sh\nexec env");
    for (name, value) in cargo.command.get_envs() {
        let name = name.to_string_lossy();
        script += &value.map_or(format!(" -u {name}"), |value| format!(" {name}={}", quoted(value)));
    }
    script += &format!(" {}", quoted(cargo.command.get_program()));
    // Options such as `-Zbuild-std` may follow the subcommand.
    script += " \"$@\"";
    cargo.command.get_args().for_each(|word| script += &format!(" {}", quoted(word)));
    fs::create_dir_all(folder)?;
    let path = folder.join("cargo");
    fs::write(&path, script + "\n")?;
    Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
}

/// Runs commands of the page in the root, as somebody who types them does.
fn run_script(script: &str, cargo: Option<&Path>) -> Result<()> {
    eprintln!("{}", script.trim_end());
    let mut command = shell::command("sh");
    // What of a folder may be set from outside is not what the page says.
    command.args(["-euc", script]).env_remove("CARGO_TARGET_DIR").env_remove("DESTDIR");
    if let Some(folder) = cargo {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(paths)?);
    }
    shell::run_quietly(&mut command)
}

/// What `embed` prints, bit for bit what the runtime finds.
fn compare_features() -> Result<()> {
    let mut expected = shell::cargo();
    expected.args(["run", "--quiet", "--package", "latent-c", "--example", "expected", "--"]);
    expected.args(["edge/models/generator.lat", "7", "edge/models/encoder.lat"]);
    let bits = |text: &str| -> Result<Vec<u32>> {
        text.lines().map(|line| Ok(line.parse::<f32>()?.to_bits())).collect()
    };
    let (expected, found) =
        (bits(&shell::output(&mut expected)?)?, bits(&read("target/latent/features.txt")?)?);
    if expected.is_empty() || expected != found {
        bail!("embed.c prints other features than the runtime finds:\n{found:x?}\n{expected:x?}");
    }
    eprintln!("embed.c: {} features with the runtime's bits", found.len());
    Ok(())
}

/// The ten lines of `docs/BINDINGS.md` in Rust and C: both write one picture, that of `generate` too.
fn ten_lines() -> Result<()> {
    let library = "target/latent/lib/liblatent.a";
    let mut gcc = shell::command("gcc");
    gcc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "edge/c/examples/picture.c"]);
    shell::run(gcc.args([
        "-Itarget/latent/include",
        library,
        "-lpthread",
        "-ldl",
        "-lm",
        "-o",
        "target/latent/picture",
    ]))?;
    let mut rust = shell::cargo();
    rust.args([
        "build",
        "--quiet",
        "--package",
        "latent-runtime",
        "--features",
        "std",
        "--example",
        "picture",
    ]);
    shell::run(&mut rust)?;
    let expected = fs::read(crate::root().join("target/latent/dcgan.pgm"))?;
    for program in
        [shell::target().join("debug/examples/picture"), crate::root().join("target/latent/picture")]
    {
        shell::run(&mut shell::command(&program))?;
        let picture = crate::root().join("seed-7.pgm");
        let found = fs::read(&picture).with_context(|| format!("{} writes no picture", program.display()))?;
        fs::remove_file(&picture)?;
        if found != expected {
            bail!("{} writes another picture than generate.c", program.display());
        }
    }
    eprintln!("the ten lines in Rust and C: the picture of generate.c");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_a_language_are_found() {
        let page = "a\n\n```sh\none\ntwo\n```\n\nb\n```c\nint x;\n```\n```sh\nthree\n```\n";
        assert_eq!(blocks(page, "sh"), ["one\ntwo\n", "three\n"]);
        assert_eq!(blocks(page, "c"), ["int x;\n"]);
    }
}
