//! What the trainer finds on a machine: libtorch, devices, data, the ONNX Runtime library; and what to do where something
//! is missing.

use std::collections::BTreeSet;
use std::env;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tch::{Kind, Tensor};

use crate::data;
use crate::device::{self, Surroundings};
use crate::libtorch;

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checkup {
    pub version: &'static str,
    pub libtorch: Libtorch,
    pub gpu: Gpu,
    /// The processor.
    pub cpu: Cpu,
    pub data: DataFolders,
    /// ONNX Runtime's library, which `runtime` and `exporter` use, not the trainer.
    pub onnx_runtime: OnnxRuntime,
    /// What is not as it should be.
    pub problems: Vec<Problem>,
    /// Whether training can run.
    pub can_train: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Libtorch {
    /// Its folder, where it can be told.
    pub folder: Option<PathBuf>,
    /// Its version, e.g. `2.11.0+cu130`, where it can be told.
    pub version: Option<String>,
    /// The version that is expected.
    pub expected: &'static str,
    /// The CUDA version it was built for.
    pub cuda: Option<String>,
    /// Whether its CUDA half is loaded.
    pub cuda_loaded: bool,
    /// The libraries it computes with on a CPU.
    pub uses: Vec<&'static str>,
}

/// GPUs and their use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gpu {
    /// What the machine has, as far as the driver tells.
    pub found: Vec<String>,
    /// The NVIDIA driver's version.
    pub driver: Option<String>,
    /// How many libtorch can use.
    pub usable: usize,
    /// The device that `--device auto` takes: `cpu` or `cuda:0`.
    pub auto: String,
}

/// The processor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cpu {
    /// Its name, where it can be told.
    pub name: Option<String>,
    /// Processors that this process may use.
    pub cores: usize,
    /// Threads that libtorch uses for one operation.
    pub threads: usize,
    /// Instruction sets that libtorch makes use of.
    pub features: Vec<String>,
}

/// Where data sets are looked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataFolders {
    /// The folders, first to last, and what they hold.
    pub folders: Vec<DataFolder>,
    /// Data sets that need no file.
    pub built_in: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataFolder {
    pub path: PathBuf,
    pub exists: bool,
    pub sets: Vec<String>,
}

/// ONNX Runtime's shared library.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OnnxRuntime {
    pub path: Option<PathBuf>,
    /// Its version, where the file's name tells it.
    pub version: Option<String>,
    /// Whether `ORT_DYLIB_PATH` named it.
    pub from_variable: bool,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Which line of the report it belongs to.
    pub about: About,
    /// What is wrong and what to do.
    pub message: String,
    /// Whether training cannot run because of it.
    pub stops_training: bool,
}

/// The lines of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    Libtorch,
    Gpu,
    Data,
    OnnxRuntime,
}

/// Looks at this machine. `data_dir` is the option `--data-dir`.
pub fn look(data_dir: Option<&Path>) -> Checkup {
    let surroundings = Surroundings::look();
    let libtorch = look_at_libtorch(&surroundings);
    let mut problems = libtorch_problems(&libtorch);
    if let Err(error) = compute() {
        problems.push(Problem {
            about: About::Libtorch,
            message: format!(
                "a small computation fails: {error}; run `cargo xtask setup` and build the trainer again"
            ),
            stops_training: true,
        });
    }
    let message_problem = |about, message| Problem { about, message, stops_training: false };
    problems.extend(surroundings.problems().into_iter().map(|message| message_problem(About::Gpu, message)));
    let usable = device::gpu_count();
    let gpu = Gpu {
        found: surroundings.gpus,
        driver: surroundings.driver,
        usable,
        auto: if usable > 0 { "cuda:0".to_owned() } else { "cpu".to_owned() },
    };
    let data = data_folders(&data::data_folders(data_dir));
    if data.folders.iter().all(|folder| folder.sets.is_empty()) {
        problems.push(message_problem(
            About::Data,
            "no data set was found: run `trainer data fetch mnist`, or name a folder with --data-dir or LATENT_DATA; the built-in sets need no files".to_owned(),
        ));
    }
    let executable = env::current_exe().ok();
    let current = env::current_dir().ok();
    let starts: Vec<&Path> =
        [executable.as_deref().and_then(Path::parent), current.as_deref()].into_iter().flatten().collect();
    let variable = env::var_os("ORT_DYLIB_PATH").filter(|value| !value.is_empty()).map(PathBuf::from);
    let (onnx_runtime, problem) = onnx_runtime(variable, &starts);
    problems.extend(problem.map(|message| message_problem(About::OnnxRuntime, message)));
    let can_train = !problems.iter().any(|problem| problem.stops_training);
    Checkup {
        version: env!("CARGO_PKG_VERSION"),
        libtorch,
        gpu,
        cpu: cpu(),
        data,
        onnx_runtime,
        problems,
        can_train,
    }
}

/// Trains a line through three points by one step: forward, backward, update.
fn compute() -> Result<(), tch::TchError> {
    let weight = Tensor::from_slice(&[0.5f32]).f_set_requires_grad(true)?;
    let input = Tensor::from_slice(&[1.0f32, 2.0, 3.0]);
    let loss = (input.f_mul(&weight)? - &input).f_square()?.f_mean(Kind::Float)?;
    loss.f_backward()?;
    // d/dw mean((w x - x)^2) = 2 (w - 1) mean(x^2) = -14/3.
    let gradient = weight.f_grad()?.f_double_value(&[0])?;
    if (gradient + 14.0 / 3.0).abs() > 1e-4 {
        return Err(tch::TchError::Torch(format!("a gradient is {gradient}, expected -4.6667")));
    }
    Ok(())
}

fn look_at_libtorch(surroundings: &Surroundings) -> Libtorch {
    let folder = libtorch::folder();
    let uses = [
        ("oneDNN", tch::utils::has_mkldnn()),
        ("MKL", tch::utils::has_mkl()),
        ("LAPACK", tch::utils::has_lapack()),
        ("OpenMP", tch::utils::has_openmp()),
    ];
    Libtorch {
        version: folder.as_deref().and_then(libtorch::version),
        folder,
        expected: libtorch::EXPECTED,
        cuda: surroundings.built_for.clone(),
        cuda_loaded: surroundings.cuda_loaded,
        uses: uses.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect(),
    }
}

fn libtorch_problems(libtorch: &Libtorch) -> Vec<Problem> {
    let expected = libtorch.expected;
    let mut problems = Vec::new();
    match &libtorch.version {
        Some(version) if version.split('+').next() != Some(expected) => problems.push(Problem {
            about: About::Libtorch,
            message: format!(
                "this is version {version}, expected {expected}: run `cargo xtask setup`, point LIBTORCH to {expected}, or see what LD_LIBRARY_PATH names, and build the trainer again"
            ),
            stops_training: true,
        }),
        Some(_) => {}
        None => problems.push(Problem {
            about: About::Libtorch,
            message: format!("its version cannot be told, expected {expected}: its folder has no version.py, build-version or version.h"),
            stops_training: false,
        }),
    }
    problems
}

fn cpu() -> Cpu {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    Cpu {
        name: cpu_name(&info),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        threads: usize::try_from(tch::get_num_threads()).unwrap_or(0),
        features: cpu_features(&info),
    }
}

fn cpu_name(info: &str) -> Option<String> {
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Instruction sets for which libtorch and oneDNN have code of their own, as `/proc/cpuinfo` names them, best last.
fn cpu_features(info: &str) -> Vec<String> {
    const USED: [&str; 14] = [
        "sse4_2",
        "avx2",
        "fma",
        "avx512f",
        "avx512_vnni",
        "avx512_bf16",
        "avx512_fp16",
        "amx_int8",
        "amx_bf16",
        "asimd",
        "asimddp",
        "i8mm",
        "bf16",
        "sve",
    ];
    let line = info.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
    let has: BTreeSet<&str> = line
        .and_then(|line| line.split_once(':'))
        .map(|(_, flags)| flags.split_whitespace().collect())
        .unwrap_or_default();
    USED.into_iter().filter(|name| has.contains(name)).map(str::to_owned).collect()
}

fn data_folders(folders: &[PathBuf]) -> DataFolders {
    let look = |path: &PathBuf| {
        let mut sets: Vec<String> = fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let archive = [".tar.gz", ".tgz", ".tar"].into_iter().find_map(|end| name.strip_suffix(end));
                let is_set = !name.starts_with('.') && (entry.path().is_dir() || archive.is_some());
                is_set.then(|| archive.map_or(name.clone(), str::to_owned))
            })
            .collect();
        sets.sort();
        sets.dedup();
        DataFolder { path: path.clone(), exists: path.is_dir(), sets }
    };
    DataFolders {
        folders: folders.iter().map(look).collect(),
        built_in: vec!["synth-digits", "synth-objects"],
    }
}

/// Looks where the crate `latent-runtime` looks: the variable, else `.latent/onnxruntime` in the starts and above.
fn onnx_runtime(variable: Option<PathBuf>, starts: &[&Path]) -> (OnnxRuntime, Option<String>) {
    let file = format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}");
    if let Some(path) = variable {
        let problem = (!path.is_file()).then(|| {
            format!(
                "ORT_DYLIB_PATH names {}, which is not a file: point it to {file}, or unset it and run `cargo xtask setup`",
                path.display()
            )
        });
        let version = library_version(&path);
        return (OnnxRuntime { path: Some(path), version, from_variable: true }, problem);
    }
    let relative = Path::new(".latent/onnxruntime").join(&file);
    let places = starts.iter().flat_map(|start| start.ancestors()).map(|folder| folder.join(&relative));
    let path = places.into_iter().find(|path| path.is_file());
    let problem = path.is_none().then(|| {
        format!("{file} was not found in .latent/onnxruntime: run `cargo xtask setup`, or set ORT_DYLIB_PATH (the trainer itself does without)")
    });
    let version = path.as_deref().and_then(library_version);
    (OnnxRuntime { path, version, from_variable: false }, problem)
}

/// `1.32.0` of `libonnxruntime.so.1.32.0`, to which the path may be a link.
fn library_version(path: &Path) -> Option<String> {
    let real = path.canonicalize().ok()?;
    let version = real.file_name()?.to_str()?.split_once(".so.")?.1.to_owned();
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

impl fmt::Display for Checkup {
    /// A table with a mark, a name and the figures in each line, what to do below the line it belongs to, and the verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "latent trainer {}\n", self.version)?;
        let libtorch = &self.libtorch;
        let version = libtorch.version.as_deref().unwrap_or("of unknown version");
        let mut lines = vec![format!("{version} (expected {})", libtorch.expected)];
        lines.extend(libtorch.folder.as_ref().map(|folder| folder.display().to_string()));
        let cuda = match &libtorch.cuda {
            Some(cuda) if libtorch.cuda_loaded => {
                format!("built for CUDA {cuda}, its CUDA library is loaded")
            }
            Some(cuda) => format!("built for CUDA {cuda}, its CUDA library is not loaded"),
            None => "built without CUDA".to_owned(),
        };
        lines.push(cuda);
        if !libtorch.uses.is_empty() {
            lines.push(format!("uses {}", libtorch.uses.join(", ")));
        }
        self.block(f, "libtorch", &lines, Some(About::Libtorch))?;

        let mut gpu = if self.gpu.found.is_empty() {
            "no NVIDIA GPU on this machine".to_owned()
        } else {
            self.gpu.found.join(", ")
        };
        if let Some(driver) = &self.gpu.driver {
            gpu.push_str(&format!(", driver {driver}"));
        }
        let device = format!("--device auto takes {}", self.gpu.auto);
        self.block(f, "GPU", &[gpu, device], Some(About::Gpu))?;

        let cpu = &self.cpu;
        let plural =
            |count: usize, name: &str| format!("{count} {name}{}", if count == 1 { "" } else { "s" });
        let mut lines: Vec<String> = cpu.name.iter().cloned().collect();
        let threads = plural(cpu.threads, "thread");
        lines.push(format!(
            "{}, libtorch uses {threads} (--threads, OMP_NUM_THREADS)",
            plural(cpu.cores, "core")
        ));
        if !cpu.features.is_empty() {
            lines.push(cpu.features.join(" "));
        }
        self.block(f, "CPU", &lines, None)?;

        let mut lines = Vec::new();
        for folder in &self.data.folders {
            let holds = match (folder.exists, folder.sets.is_empty()) {
                (false, _) => "not there".to_owned(),
                (true, true) => "empty".to_owned(),
                (true, false) => folder.sets.join(", "),
            };
            lines.push(format!("{}: {holds}", folder.path.display()));
        }
        lines.push(format!("built in: {}", self.data.built_in.join(", ")));
        self.block(f, "data", &lines, Some(About::Data))?;

        let onnx = &self.onnx_runtime;
        let line = match &onnx.path {
            Some(path) => {
                let version = onnx.version.as_ref().map(|version| format!("{version}, ")).unwrap_or_default();
                let from = if onnx.from_variable { " (ORT_DYLIB_PATH)" } else { "" };
                format!("{version}{}{from}", path.display())
            }
            None => "not found".to_owned(),
        };
        self.block(f, "ONNX Runtime", &[line], Some(About::OnnxRuntime))?;

        writeln!(f)?;
        if self.can_train {
            write!(f, "Ready to train on {}.", if self.gpu.usable > 0 { "the GPU" } else { "the CPU" })
        } else {
            write!(f, "Training cannot run: see the lines marked ✗.")
        }
    }
}

impl Checkup {
    fn block(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        lines: &[String],
        about: Option<About>,
    ) -> fmt::Result {
        let problems: Vec<&Problem> =
            self.problems.iter().filter(|problem| Some(problem.about) == about).collect();
        let mark = if problems.iter().any(|problem| problem.stops_training) {
            "✗"
        } else if problems.is_empty() {
            "✓"
        } else {
            "!"
        };
        for (index, line) in lines.iter().enumerate() {
            let (mark, name) = if index == 0 { (mark, name) } else { (" ", "") };
            writeln!(f, "{mark} {name:<14}{line}")?;
        }
        for problem in problems {
            writeln!(f, "  {:<14}→ {}", "", problem.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_train_and_says_so() {
        let checkup = look(None);
        assert!(checkup.can_train, "{:?}", checkup.problems);
        assert_eq!(
            checkup.libtorch.version.as_deref().and_then(|v| v.split('+').next()),
            Some(libtorch::EXPECTED)
        );
        assert!(checkup.libtorch.folder.as_ref().is_some_and(|folder| folder.join("lib").is_dir()));
        assert!(checkup.cpu.cores > 0 && checkup.cpu.threads > 0);
        let text = checkup.to_string();
        for part in
            ["✓ libtorch", "expected 2.11.0", "--device auto takes", "ONNX Runtime", "Ready to train on the "]
        {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        let json = serde_json::to_value(&checkup).unwrap();
        assert_eq!(json["libtorch"]["expected"], "2.11.0");
        assert_eq!(json["can_train"], true);
    }

    #[test]
    fn a_wrong_version_stops_training() {
        let of_version = |version: Option<&str>| Libtorch {
            folder: None,
            version: version.map(str::to_owned),
            expected: libtorch::EXPECTED,
            cuda: None,
            cuda_loaded: false,
            uses: vec![],
        };
        for (version, stops) in [
            (Some("2.11.0+cu130"), None),
            (Some("2.11.0"), None),
            (Some("2.4.1"), Some(true)),
            (None, Some(false)),
        ] {
            let problems = libtorch_problems(&of_version(version));
            assert_eq!(problems.first().map(|problem| problem.stops_training), stops, "{version:?}");
        }
        let mut checkup = look(None);
        checkup.problems = libtorch_problems(&of_version(Some("2.4.1")));
        checkup.can_train = false;
        let text = checkup.to_string();
        assert!(
            text.contains("✗ libtorch") && text.contains("this is version 2.4.1, expected 2.11.0"),
            "{text}"
        );
        assert!(text.ends_with("Training cannot run: see the lines marked ✗."), "{text}");
    }

    #[test]
    fn data_sets_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["mnist", "cifar10", ".hidden"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        for name in ["faces.tar.gz", "notes.txt"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let missing = dir.path().join("missing");
        let found = data_folders(&[dir.path().to_owned(), missing]);
        assert_eq!(found.folders[0].sets, ["cifar10", "faces", "mnist"]);
        assert!(found.folders[0].exists && !found.folders[1].exists);
    }

    #[test]
    fn the_onnx_runtime_library_is_looked_for_where_the_runtime_looks() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        let folder = dir.path().join("a/.latent/onnxruntime");
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir_all(&folder).unwrap();
        let (found, problem) = onnx_runtime(None, &[&deep]);
        assert!(found.path.is_none() && problem.unwrap().contains("cargo xtask setup"));
        let library = folder.join(format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}"));
        fs::write(&library, "").unwrap();
        let (found, problem) = onnx_runtime(None, &[&deep]);
        assert_eq!((found.path.as_deref(), problem), (Some(library.as_path()), None));
        let (found, problem) = onnx_runtime(Some(dir.path().join("no.so")), &[&deep]);
        assert!(found.from_variable && problem.unwrap().contains("which is not a file"));
        let versioned = folder.join("libonnxruntime.so.1.32.0");
        fs::write(&versioned, "").unwrap();
        assert_eq!(library_version(&versioned).as_deref(), Some("1.32.0"));
        assert_eq!(library_version(&library), None);
    }

    #[test]
    fn processors_are_described() {
        let info = "processor\t: 0\nmodel name\t: AMD EPYC 9B45\nflags\t\t: fpu sse4_2 avx2 fma avx512f avx512_vnni avx512_bf16\n";
        assert_eq!(cpu_name(info).as_deref(), Some("AMD EPYC 9B45"));
        assert_eq!(cpu_features(info), ["sse4_2", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16"]);
        assert_eq!(cpu_features("Features\t: fp asimd asimddp bf16\n"), ["asimd", "asimddp", "bf16"]);
        assert!(cpu_features("").is_empty() && cpu_name("").is_none());
    }
}
