//! The machine that is measured on, and the memory that a process takes.

use std::fs;

use latent_runtime::native::instruction_set;
use serde::Serialize;

/// What a reader of the figures must know.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's name, or the architecture where the system does not tell.
    pub(crate) cpu: String,
    /// The cores that this process may use.
    pub(crate) cores: usize,
    pub(crate) architecture: &'static str,
    pub(crate) system: &'static str,
    /// The best that the native engine finds.
    pub(crate) instruction_set: &'static str,
    /// Of this program.
    pub(crate) version: &'static str,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            cpu: field(&info, "model name").unwrap_or(std::env::consts::ARCH).to_string(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            architecture: std::env::consts::ARCH,
            system: std::env::consts::OS,
            instruction_set: instruction_set(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// This process's memory in bytes: the most it has had at a time, and what it has now. `None` where the system does not
/// tell (Linux does).
pub(crate) fn memory() -> Option<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let bytes = |name| Some(field(&status, name)?.strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024);
    Some((bytes("VmHWM")?, bytes("VmRSS")?))
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.trim_start().strip_prefix(':').map(str::trim);
    text.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let text = "VmPeak:\t 5 kB\nmodel name\t: A CPU: fast\nmodel\t\t: 17\n";
        assert_eq!(field(text, "model name"), Some("A CPU: fast"));
        assert_eq!(field(text, "model"), Some("17"));
        assert_eq!(field(text, "VmPeak"), Some("5 kB"));
        assert_eq!(field(text, "Vm"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory() {
        let (most, now) = memory().unwrap();
        assert!(most >= now && now > 100_000, "{most} {now}");
    }
}
