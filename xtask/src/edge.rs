//! The firmware in `edge/`, in an emulator: what it writes is what its programs write on this machine, and it costs no more
//! than `cargo xtask bench devices` has recorded.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::bench::devices;
use crate::{cross, shell};

/// An emulated machine with a processor.
pub(crate) struct Machine {
    /// For people.
    pub(crate) name: &'static str,
    /// The firmware's folder in `edge/`.
    folder: &'static str,
    target: &'static str,
    /// The memory map, where there is one for each board.
    board: &'static str,
    emulator: &'static [&'static str],
    /// Where a model for the program that measures goes.
    model_at: &'static str,
}

const CORTEX_M: Machine = Machine {
    name: "Cortex-M7 (mps2-an500)",
    folder: "cortex-m",
    target: "thumbv7em-none-eabihf",
    board: "mps2",
    emulator: &[
        "qemu-system-arm",
        "-semihosting-config",
        "enable=on,target=native",
        "-machine",
        "mps2-an500",
    ],
    model_at: "0x200000",
};
const ON_AN386: &[&str] =
    &["qemu-system-arm", "-semihosting-config", "enable=on,target=native", "-machine", "mps2-an386"];
const RISC_V: Machine = Machine {
    name: "RV32IMC (virt)",
    folder: "riscv",
    target: "riscv32imc-unknown-none-elf",
    board: "",
    emulator: &["qemu-system-riscv32", "-machine", "virt", "-bios", "none"],
    model_at: "0x80800000",
};

/// Where the programs run.
const BOARDS: [Machine; 4] = [
    CORTEX_M,
    Machine { name: "Cortex-M4F (mps2-an386)", emulator: ON_AN386, ..CORTEX_M },
    Machine {
        name: "Cortex-M0 (micro:bit, 16 KB of RAM)",
        target: "thumbv6m-none-eabi",
        board: "microbit",
        emulator: &[
            "qemu-system-arm",
            "-semihosting-config",
            "enable=on,target=native",
            "-machine",
            "microbit",
        ],
        ..CORTEX_M
    },
    RISC_V,
];

/// Where is measured: the micro:bit has too little memory for the layers, and in the emulator no timer that counts, so
/// the Cortex-M0's code runs on a larger processor that knows its instructions.
pub(crate) const MEASURED: [Machine; 3] = [
    Machine { name: "Cortex-M4F, M7", ..CORTEX_M },
    Machine { name: "Cortex-M0", target: "thumbv6m-none-eabi", emulator: ON_AN386, ..CORTEX_M },
    Machine { name: "RV32IMC", ..RISC_V },
];

const PROGRAMS: [&str; 2] = ["walk", "classify"];

/// Why the firmware cannot be built or run here, if so.
pub(crate) fn missing() -> Option<String> {
    let tools = [("qemu-system-arm", "qemu-system-arm"), ("qemu-system-riscv32", "qemu-system-misc")];
    if !shell::tools(&tools) {
        return Some("Debian's packages qemu-system-arm and qemu-system-misc are not there".into());
    }
    BOARDS.iter().find_map(|board| cross::cargo(board.target, "core").err())
}

impl Machine {
    /// Builds programs of the firmware in a profile; returns the folder that they are in.
    pub(crate) fn build(&self, profile: &str, programs: &[&str]) -> Result<PathBuf> {
        let mut cargo = cross::cargo(self.target, "core").map_err(anyhow::Error::msg)?;
        if cargo.from_source {
            if !shell::tools(&[("ld.lld", "lld")]) {
                bail!("there is no linker, Debian's package lld");
            }
            let variable = self.target.to_uppercase().replace('-', "_");
            cargo.command.env(format!("CARGO_TARGET_{variable}_LINKER"), "ld.lld");
        }
        let output = crate::root().join("target/edge").join(self.board);
        let mut command = cargo.command;
        command.current_dir(crate::root().join("edge").join(self.folder));
        command.args(["build", "--locked", "--profile", profile, "--target", self.target, "--target-dir"]);
        command.arg(&output).env("BOARD", self.board);
        programs.iter().for_each(|program| _ = command.args(["--bin", program]));
        shell::run(&mut command)?;
        Ok(output.join(self.target).join(profile))
    }

    /// Runs a program in the emulator, an instruction a nanosecond, with a model in memory; returns what it writes.
    pub(crate) fn run(&self, program: PathBuf, model: Option<PathBuf>) -> Result<String> {
        let mut command = shell::command("timeout");
        command.arg("300").args(self.emulator).args(["-nographic", "-icount", "shift=0"]);
        if let Some(model) = model {
            let device = format!("loader,file={},addr={},force-raw=on", model.display(), self.model_at);
            command.args(["-device", &device]);
        }
        shell::output(command.arg("-kernel").arg(program))
    }
}

/// The programs on this machine, with its own kernels.
fn on_host(program: &str) -> Result<String> {
    shell::output(&mut host("latent-edge-programs", &["--bin", "on-host", "--", program]))
}

/// A program of the packages in `edge/` for this machine.
pub(crate) fn host(package: &str, arguments: &[&str]) -> Command {
    let mut command = shell::cargo();
    command.args(["run", "--quiet", "--package", package, "--features", "host"]).args(arguments);
    command
}

/// Runs everything, and holds the figures against the recorded ones; why not, if it cannot be run.
pub(crate) fn test() -> Result<Option<String>> {
    if let Some(why) = missing() {
        return Ok(Some(why));
    }
    let expected = PROGRAMS.iter().map(|program| on_host(program)).collect::<Result<Vec<_>>>()?;
    for board in &BOARDS {
        let folder = board.build("release", &PROGRAMS)?;
        for (program, expected) in PROGRAMS.iter().zip(&expected) {
            let found = board.run(folder.join(program), None)?;
            if found != *expected {
                bail!(
                    "`{program}` on {} writes another text than here:\n{found}\n--- here:\n{expected}",
                    board.name
                );
            }
            let end = found.lines().last().unwrap_or_default();
            eprintln!("{}: {program}: {} lines as on this machine, {end}", board.name, found.lines().count());
        }
    }
    devices::guard()?;
    Ok(None)
}
