//! The name of a data set on the command line, and where such names lead.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use latent_files::pictures::check_size;

use super::{DataError, Dataset, LoadOptions, Split, cifar, folder, idx, synth, transform};

/// For messages: everything that names a data set.
pub(super) const KNOWN: &str = "mnist, fashion-mnist, cifar10, mnist:DIR, fashion-mnist:DIR, cifar10:PATH, folder:PATH, \
                                synth-digits[:COUNT], synth-objects[:COUNT], or the name of a folder of images in the data folder";

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const FASHION: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Which data set, and where it lies.
///
/// ```
/// use latent_trainer::data::DataSpec;
///
/// let spec: DataSpec = "cifar10:/srv/cifar-10-binary.tar.gz".parse().unwrap();
/// assert_eq!(spec.to_string(), "cifar10:/srv/cifar-10-binary.tar.gz");
/// assert!("synth-digits:many".parse::<DataSpec>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataSpec {
    /// `mnist:DIR`, the IDX files of MNIST.
    Mnist(PathBuf),
    /// `fashion-mnist:DIR`, the IDX files of Fashion-MNIST.
    FashionMnist(PathBuf),
    /// `cifar10:PATH`, the binary version of CIFAR-10, a folder or an archive.
    Cifar10(PathBuf),
    /// `folder:PATH`, pictures in class folders, or an archive of those.
    Folder(PathBuf),
    /// `synth-digits[:COUNT]`, drawn digits, 28x28 gray.
    SynthDigits {
        /// Number of training images; `None` for the usual 60 000. There are 10 000 test images, or `count` if that is less.
        count: Option<usize>,
    },
    /// `synth-objects[:COUNT]`, drawn objects, 32x32 color.
    SynthObjects {
        /// Number of training images; `None` for the usual 50 000. There are 10 000 test images, or `count` if that is less.
        count: Option<usize>,
    },
    /// A bare name, to be looked up in the data folder.
    Named(String),
}

impl FromStr for DataSpec {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let refuse = |reason: &str| DataError::Spec { text: text.to_owned(), reason: reason.to_owned() };
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        if rest == Some("") {
            return Err(refuse("nothing follows the colon"));
        }
        let count = |rest: Option<&str>| match rest.map(str::parse::<usize>) {
            None => Ok(None),
            Some(Ok(n)) if (1..=synth::MAX_COUNT).contains(&n) => Ok(Some(n)),
            Some(_) => {
                Err(refuse(&format!("the count must be a whole number from 1 to {}", synth::MAX_COUNT)))
            }
        };
        match (kind, rest) {
            ("mnist", Some(path)) => Ok(DataSpec::Mnist(path.into())),
            ("fashion-mnist", Some(path)) => Ok(DataSpec::FashionMnist(path.into())),
            ("cifar10", Some(path)) => Ok(DataSpec::Cifar10(path.into())),
            ("folder", Some(path)) => Ok(DataSpec::Folder(path.into())),
            ("synth-digits" | "synth", _) => Ok(DataSpec::SynthDigits { count: count(rest)? }),
            ("synth-objects", _) => Ok(DataSpec::SynthObjects { count: count(rest)? }),
            ("", _) => Err(refuse("it is empty")),
            (name, None) if name.contains(['/', '\\']) || name.starts_with('.') => {
                Err(refuse(&format!("it looks like a path; for a folder of images write folder:{name}")))
            }
            (name, None) => Ok(DataSpec::Named(name.to_owned())),
            (_, Some(_)) => Err(refuse(&format!("there is no kind {kind:?}"))),
        }
    }
}

impl fmt::Display for DataSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, count) = match self {
            DataSpec::Mnist(path) => return write!(f, "mnist:{}", path.display()),
            DataSpec::FashionMnist(path) => return write!(f, "fashion-mnist:{}", path.display()),
            DataSpec::Cifar10(path) => return write!(f, "cifar10:{}", path.display()),
            DataSpec::Folder(path) => return write!(f, "folder:{}", path.display()),
            DataSpec::Named(name) => return f.write_str(name),
            DataSpec::SynthDigits { count } => ("synth-digits", count),
            DataSpec::SynthObjects { count } => ("synth-objects", count),
        };
        match count {
            Some(count) => write!(f, "{kind}:{count}"),
            None => f.write_str(kind),
        }
    }
}

impl DataSpec {
    /// Looks a bare name up in the data folder (see [`data_folders`]); everything else stays as it is.
    ///
    /// # Errors
    /// If no data folder holds that name; the message says how to get it, or which names are known.
    pub fn resolve(&self, data_dir: Option<&Path>) -> Result<DataSpec, DataError> {
        let DataSpec::Named(name) = self else { return Ok(self.clone()) };
        let folders = data_folders(data_dir);
        let looked_for: Vec<PathBuf> = folders.iter().map(|f| f.join(name)).collect();
        let found = |make: fn(PathBuf) -> DataSpec| looked_for.iter().find(|p| p.is_dir()).cloned().map(make);
        let (spec, built_in) = match name.as_str() {
            "mnist" => (found(DataSpec::Mnist), "synth-digits"),
            "fashion-mnist" => (found(DataSpec::FashionMnist), "synth-digits"),
            "cifar10" => (found(DataSpec::Cifar10), "synth-objects"),
            _ => {
                let archives = folders
                    .iter()
                    .flat_map(|f| [".tar.gz", ".tgz", ".tar"].map(|e| f.join(format!("{name}{e}"))))
                    .find(|p| p.is_file());
                return found(DataSpec::Folder).or(archives.map(DataSpec::Folder)).ok_or_else(|| {
                    let present = present(&folders);
                    let places =
                        folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", ");
                    DataError::Spec {
                        text: name.clone(),
                        reason: if present.is_empty() {
                            format!("no such name is known, and the data folder ({places}) holds nothing")
                        } else {
                            format!(
                                "no such name is known, and the data folder ({places}) holds {}",
                                present.join(", ")
                            )
                        },
                    }
                });
            }
        };
        spec.ok_or_else(|| {
            let dir = data_dir.map(|d| format!(" --data-dir {}", d.display())).unwrap_or_default();
            DataError::NotThere {
                name: name.clone(),
                looked_for,
                advice: format!(
                    "get it with `trainer data fetch {name}{dir}`, say where it is with {name}:PATH, or use {built_in}, which \
                     needs no files"
                ),
            }
        })
    }

    /// Loads one split. A bare name is looked up with [`resolve`](Self::resolve) first, in the usual data folder.
    ///
    /// # Errors
    /// If the data set is not there or a file of it is bad; see [`DataError`].
    pub fn load(&self, split: Split, options: &LoadOptions) -> Result<Dataset, DataError> {
        if let Some((height, width)) = options.resize {
            check_size(height, width)?;
        }
        let data = match self {
            DataSpec::Named(_) => return self.resolve(None)?.load(split, options),
            DataSpec::Folder(path) => return folder::load(path, split, options),
            DataSpec::Mnist(path) => idx::load(path, split, "mnist", &DIGITS)?,
            DataSpec::FashionMnist(path) => idx::load(path, split, "fashion-mnist", &FASHION)?,
            DataSpec::Cifar10(path) => cifar::load(path, split)?,
            DataSpec::SynthDigits { count } => synth::digits::dataset(*count, split, options.seed),
            DataSpec::SynthObjects { count } => synth::objects::dataset(*count, split, options.seed),
        };
        transform::apply(data, options)
    }
}

/// The folders in which bare names are looked up, first to last: `given` (the option `--data-dir`), else the environment
/// variable `LATENT_DATA`, else `data` in the current folder and in the workspace that the current folder or the program lies
/// in. The first is also where `trainer data fetch` puts files.
pub fn data_folders(given: Option<&Path>) -> Vec<PathBuf> {
    if let Some(given) = given {
        return vec![given.to_owned()];
    }
    if let Some(folder) = env::var_os("LATENT_DATA").filter(|v| !v.is_empty()) {
        return vec![folder.into()];
    }
    let mut folders = Vec::new();
    let mut add = |folder: PathBuf| {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    };
    if Path::new("data").is_dir() {
        add("data".into());
    }
    let starts = [env::current_dir().ok(), env::current_exe().ok()];
    for start in starts.into_iter().flatten() {
        if let Some(root) = start.ancestors().find(|f| is_workspace(f)) {
            add(root.join("data"));
        }
    }
    if folders.is_empty() {
        folders.push("data".into());
    }
    folders
}

/// Whether the folder is the root of this project's workspace.
pub(crate) fn is_workspace(folder: &Path) -> bool {
    folder.join("trainer/Cargo.toml").is_file()
        && fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.contains("[workspace]"))
}

/// The names that the data folders hold.
fn present(folders: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = folders
        .iter()
        .filter_map(|f| fs::read_dir(f).ok())
        .flatten()
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|n| !n.starts_with('.'))
        .collect();
    names.sort();
    names.dedup();
    names
}
