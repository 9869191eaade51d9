//! Where tensors live: the choice of a device, and why a GPU is not used.

use std::env;
use std::fs;
use std::path::Path;

use tch::{Cuda, Device};

use crate::libtorch;

/// Why no device could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("unknown device {name:?}, expected auto, cpu, cuda or cuda:N (N from 0)")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    #[error("device {name:?} cannot be used: {}", why(reasons))]
    NoCuda {
        /// What was asked for.
        name: String,
        /// Why, as far as it can be told; each with what to do.
        reasons: Vec<String>,
    },
    #[error("device \"cuda:{index}\" is not there: libtorch sees {count} GPU{}, numbered from 0", if *count == 1 { "" } else { "s" })]
    NoSuchGpu {
        /// The number asked for, from 0.
        index: usize,
        /// How many there are.
        count: usize,
    },
}

fn why(reasons: &[String]) -> String {
    if reasons.is_empty() {
        "libtorch does not say why; `trainer doctor` may".to_owned()
    } else {
        reasons.join("; ")
    }
}

/// Chooses a device by its name: `cpu`, `cuda` (the first GPU), `cuda:N`, or `auto`, the first GPU if libtorch can use one
/// and the CPU otherwise.
///
/// # Errors
/// [`DeviceError`]; `auto` and `cpu` never fail.
pub fn choose(name: &str) -> Result<Device, DeviceError> {
    choose_among(name, gpu_count(), gpu_problems)
}

/// [`choose`] on a machine with `count` usable GPUs.
fn choose_among(
    name: &str,
    count: usize,
    problems: impl FnOnce() -> Vec<String>,
) -> Result<Device, DeviceError> {
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" if count == 0 => return Ok(Device::Cpu),
        "auto" | "cuda" => 0,
        _ => {
            let number = name.strip_prefix("cuda:").filter(|n| n.bytes().all(|byte| byte.is_ascii_digit()));
            number
                .and_then(|number| number.parse::<usize>().ok())
                .ok_or_else(|| DeviceError::Unknown { name: name.to_owned() })?
        }
    };
    if count == 0 {
        return Err(DeviceError::NoCuda { name: name.to_owned(), reasons: problems() });
    }
    if index >= count {
        return Err(DeviceError::NoSuchGpu { index, count });
    }
    Ok(Device::Cuda(index))
}

/// Number of GPUs that libtorch can use.
pub fn gpu_count() -> usize {
    usize::try_from(Cuda::device_count()).unwrap_or(0)
}

/// Waits until the device is idle.
pub fn wait(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(index as i64);
    }
}

/// What can be seen of GPUs from outside libtorch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Names of NVIDIA devices: from the driver, or the device files.
    pub gpus: Vec<String>,
    /// Version of the loaded NVIDIA kernel driver, e.g. `580.82`.
    pub driver: Option<String>,
    /// The value of `CUDA_VISIBLE_DEVICES`, if set.
    pub visible: Option<String>,
    /// The CUDA version libtorch was built for, e.g. `13.0`; `None` for a build without CUDA.
    pub built_for: Option<String>,
    /// Whether libtorch's folder has `libtorch_cuda`.
    pub cuda_library: bool,
    /// Whether `libtorch_cuda` is loaded into this process.
    pub cuda_loaded: bool,
    /// Whether libtorch reports a usable GPU.
    pub usable: bool,
}

impl Surroundings {
    /// Looks at this process and machine.
    pub fn look() -> Self {
        let folder = libtorch::folder();
        Self {
            gpus: nvidia_devices(Path::new("/")),
            driver: driver_version(Path::new("/")),
            visible: env::var("CUDA_VISIBLE_DEVICES").ok(),
            built_for: folder.as_deref().and_then(libtorch::built_for_cuda),
            cuda_library: folder
                .as_deref()
                .is_some_and(|folder| folder.join("lib/libtorch_cuda.so").is_file()),
            cuda_loaded: libtorch::loaded_library("libtorch_cuda.so").is_some(),
            usable: gpu_count() > 0,
        }
    }

    /// Why no GPU is used although one is there, each reason with what to do about it; empty if one is used, or none there.
    pub fn problems(&self) -> Vec<String> {
        if self.usable {
            return Vec::new();
        }
        let mut reasons = Vec::new();
        if self.gpus.is_empty() && self.driver.is_none() {
            return reasons;
        }
        if self.driver.is_none() {
            reasons.push(
                "the NVIDIA kernel driver is not loaded (no /proc/driver/nvidia/version): install or load it"
                    .to_owned(),
            );
        }
        if let Some(visible) = &self.visible
            && (visible.trim().is_empty() || visible.trim().starts_with('-'))
        {
            reasons
                .push(format!("CUDA_VISIBLE_DEVICES={visible:?} hides every GPU: unset it, or set it to 0"));
        }
        if !self.cuda_library {
            reasons.push(
                "this libtorch was built without CUDA (it has no libtorch_cuda): run `cargo xtask setup`, or point LIBTORCH to a CUDA build, and build the trainer again"
                    .to_owned(),
            );
        } else if !self.cuda_loaded {
            reasons.push(
                "libtorch_cuda is not loaded, though it lies beside libtorch: build the trainer again, so that it is linked"
                    .to_owned(),
            );
        }
        if let (Some(driver), Some(built_for)) = (&self.driver, &self.built_for)
            && let Some((needed, cuda)) = driver_needed(built_for)
            && leading_number(driver).is_some_and(|major| major < needed)
        {
            reasons.push(format!(
                "the NVIDIA driver {driver} is too old for CUDA {cuda}, for which this libtorch was built: update the driver to {needed} or later"
            ));
        }
        if reasons.is_empty() {
            reasons.push(
                "libtorch's CUDA is loaded but finds no usable GPU: see whether `nvidia-smi` works for this user, and whether /dev/nvidia* may be read"
                    .to_owned(),
            );
        }
        reasons
    }
}

/// Why libtorch can use no GPU; at least one reason.
fn gpu_problems() -> Vec<String> {
    let mut reasons = Surroundings::look().problems();
    if reasons.is_empty() {
        reasons.push("no NVIDIA GPU was found on this machine: use --device cpu or auto".to_owned());
    }
    reasons
}

/// The oldest driver branch that runs a CUDA release (CUDA release notes, "minor version compatibility"), and the release.
fn driver_needed(cuda: &str) -> Option<(u32, u32)> {
    match leading_number(cuda)? {
        11 => Some((450, 11)),
        12 => Some((525, 12)),
        13 => Some((580, 13)),
        _ => None,
    }
}

fn leading_number(text: &str) -> Option<u32> {
    text.split('.').next()?.trim().parse().ok()
}

/// The driver's version from `/proc/driver/nvidia/version`, e.g.
/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  Wed Aug 27 ...`.
fn driver_version(root: &Path) -> Option<String> {
    let text = fs::read_to_string(root.join("proc/driver/nvidia/version")).ok()?;
    let line = text.lines().find(|line| line.contains("NVRM version"))?;
    let number = |word: &&str| word.contains('.') && word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    line.split_whitespace().find(number).map(str::to_owned)
}

/// NVIDIA GPUs as the driver lists them, else their device files.
fn nvidia_devices(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("proc/driver/nvidia/gpus")).into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path().join("information")).unwrap_or_default();
        let model = text.lines().find_map(|line| line.strip_prefix("Model:")).map(str::trim);
        names.push(model.unwrap_or("an NVIDIA GPU").to_owned());
    }
    if names.is_empty() {
        for entry in fs::read_dir(root.join("dev")).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name
                .strip_prefix("nvidia")
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
            {
                names.push(format!("/dev/{name}"));
            }
        }
    }
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_chosen_by_name() {
        let cases = [
            ("cpu", 0, Ok(Device::Cpu)),
            ("cpu", 2, Ok(Device::Cpu)),
            ("auto", 0, Ok(Device::Cpu)),
            ("auto", 1, Ok(Device::Cuda(0))),
            ("cuda", 1, Ok(Device::Cuda(0))),
            ("cuda:1", 2, Ok(Device::Cuda(1))),
            ("cuda:2", 2, Err("libtorch sees 2 GPUs, numbered from 0")),
            ("cuda", 0, Err("\"cuda\" cannot be used: because")),
            ("cuda:0", 0, Err("\"cuda:0\" cannot be used: because")),
            ("gpu", 1, Err("unknown device \"gpu\", expected auto, cpu, cuda or cuda:N")),
            ("cuda:", 1, Err("unknown device")),
            ("cuda:-1", 1, Err("unknown device")),
            ("cuda:+1", 2, Err("unknown device")),
            ("", 1, Err("unknown device")),
            ("cuda:99999999999999999999999", 1, Err("unknown device")),
        ];
        for (name, count, expected) in cases {
            match (choose_among(name, count, || vec!["because".to_owned()]), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
                (Err(found), Err(expected)) => {
                    assert!(found.to_string().contains(expected), "{name}: {found}");
                }
                (found, expected) => panic!("{name} among {count}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn this_machine_gives_a_device() {
        assert_eq!(choose("cpu"), Ok(Device::Cpu));
        let auto = choose("auto").unwrap();
        assert_eq!(auto == Device::Cpu, gpu_count() == 0);
        if gpu_count() == 0 {
            assert!(
                matches!(choose("cuda"), Err(DeviceError::NoCuda { reasons, .. }) if !reasons.is_empty())
            );
        }
    }

    #[test]
    fn each_cause_of_an_unused_gpu_is_told() {
        let fine = Surroundings {
            gpus: vec!["NVIDIA H200".to_owned()],
            driver: Some("580.82.07".to_owned()),
            visible: None,
            built_for: Some("13.0".to_owned()),
            cuda_library: true,
            cuda_loaded: true,
            usable: false,
        };
        let cases = [
            ("usable", Surroundings { usable: true, ..fine.clone() }, &[][..]),
            ("no GPU", Surroundings { gpus: vec![], driver: None, cuda_library: false, ..fine.clone() }, &[]),
            ("unknown", fine.clone(), &["nvidia-smi"]),
            ("hidden", Surroundings { visible: Some(String::new()), ..fine.clone() }, &["hides every GPU"]),
            ("hidden by -1", Surroundings { visible: Some("-1".into()), ..fine.clone() }, &["\"-1\" hides"]),
            ("one chosen", Surroundings { visible: Some("0".into()), ..fine.clone() }, &["nvidia-smi"]),
            (
                "CPU build",
                Surroundings { cuda_library: false, cuda_loaded: false, built_for: None, ..fine.clone() },
                &["built without CUDA"],
            ),
            (
                "dropped",
                Surroundings { cuda_loaded: false, ..fine.clone() },
                &["libtorch_cuda is not loaded"],
            ),
            (
                "old driver",
                Surroundings { driver: Some("550.54".into()), ..fine.clone() },
                &["550.54 is too old"],
            ),
            (
                "old driver, hidden",
                Surroundings { driver: Some("550.54".into()), visible: Some(" ".into()), ..fine.clone() },
                &["hides every GPU", "580 or later"],
            ),
            ("no driver", Surroundings { driver: None, ..fine }, &["kernel driver is not loaded"]),
        ];
        for (name, surroundings, expected) in cases {
            let found = surroundings.problems();
            assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{name}: {found}");
            }
        }
    }

    #[test]
    fn the_driver_is_read_from_proc() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(driver_version(root.path()), None);
        assert!(nvidia_devices(root.path()).is_empty());
        fs::create_dir_all(root.path().join("dev")).unwrap();
        for name in ["nvidia1", "nvidia0", "nvidiactl", "nvidia-uvm"] {
            fs::write(root.path().join("dev").join(name), "").unwrap();
        }
        assert_eq!(nvidia_devices(root.path()), ["/dev/nvidia0", "/dev/nvidia1"]);
        let gpu = root.path().join("proc/driver/nvidia/gpus/0000:04:00.0");
        fs::create_dir_all(&gpu).unwrap();
        fs::write(gpu.join("information"), "Model: \t\t NVIDIA H200\nIRQ: 1\n").unwrap();
        for (text, version) in [
            (
                "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  Wed Aug 27 2025\nGCC version:  gcc version 11.4.0\n",
                "580.82.07",
            ),
            (
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build\n",
                "575.57.08",
            ),
        ] {
            fs::write(root.path().join("proc/driver/nvidia/version"), text).unwrap();
            assert_eq!(driver_version(root.path()).as_deref(), Some(version));
        }
        assert_eq!(nvidia_devices(root.path()), ["NVIDIA H200"]);
    }
}
