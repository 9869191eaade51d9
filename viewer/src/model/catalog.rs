//! The models one can switch between.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::format;
use super::{ModelError, ModelFile, ModelOptions};

/// Model files, some of them variants of one model in other precisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The files, sorted by model, the variant to prefer first.
    pub paths: Vec<PathBuf>,
    /// Those of them that could not be read when they were last tried.
    pub unreadable: Vec<PathBuf>,
}

impl Catalog {
    /// The models of a folder that this build can open, without looking into them. An unreadable folder has none.
    pub fn of_folder(folder: &Path) -> Self {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        Self::of_files(entries.map(|entry| plain(&entry.path()).to_owned()).filter(|path| path.is_file()))
    }

    /// Those of these files that this build can open.
    pub fn of_files(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut paths: Vec<PathBuf> = paths.into_iter().filter(|path| format::is_model(path)).collect();
        paths.sort_by_cached_key(|path| {
            (family(path), format::rank(path), precision_rank(path), path.clone())
        });
        paths.dedup();
        Self { paths, unreadable: Vec::new() }
    }

    /// The first model that is wanted, the smallest rank of format and precision first; and why those before it cannot be
    /// read. `asked` as for [`ModelFile::read`].
    pub fn best(
        &self,
        asked: &ModelOptions,
        wanted: impl Fn(&ModelFile) -> bool,
    ) -> (Option<ModelFile>, Vec<ModelError>) {
        let mut paths: Vec<&PathBuf> = self.paths.iter().collect();
        paths.sort_by_cached_key(|path| (format::rank(path), precision_rank(path), family(path)));
        let mut errors = Vec::new();
        for path in paths {
            match ModelFile::read(path, asked) {
                Ok(file) if wanted(&file) => return (Some(file), errors),
                Ok(_) => {}
                Err(error) => errors.push(error),
            }
        }
        (None, errors)
    }

    /// The model so many places after this one, in a circle that leaves out what could not be read; `None` if there is
    /// no other.
    pub fn next(&self, path: &Path, places: i32) -> Option<&PathBuf> {
        let circle: Vec<&PathBuf> =
            self.paths.iter().filter(|other| self.is_worth_trying(other, path)).collect();
        let index = circle.iter().position(|other| *other == path).unwrap_or(0) as i64;
        let next = (index + i64::from(places)).checked_rem_euclid(circle.len() as i64)?;
        circle.get(usize::try_from(next).ok()?).copied().filter(|next| *next != path)
    }

    /// The variant after this one, in such a circle; `None` if there is no other.
    pub fn next_variant(&self, path: &Path) -> Option<&PathBuf> {
        let circle: Vec<&PathBuf> =
            self.variants(path).filter(|other| self.is_worth_trying(other, path)).collect();
        let index = circle.iter().position(|other| *other == path).unwrap_or(0);
        circle.get((index + 1) % circle.len().max(1)).copied().filter(|next| *next != path)
    }

    /// Whether a file is to be opened when one goes on from `current`.
    fn is_worth_trying(&self, path: &PathBuf, current: &Path) -> bool {
        path == current || !self.unreadable.contains(path)
    }

    /// Takes note that a file could not be read.
    pub fn add_unreadable(&mut self, path: &Path) {
        if !self.unreadable.iter().any(|other| other == path) {
            self.unreadable.push(path.to_owned());
        }
    }

    /// What tells this file from the other variants of its model: its precision, and its format if there are several.
    pub fn variant_name(&self, path: &Path) -> String {
        let extension = |path: &Path| path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let own = extension(path);
        let precision = PRECISIONS.get(precision_rank(path)).map_or("", |(_, shown)| shown);
        let one_format = self.variants(path).all(|other| extension(other) == own);
        match (precision, one_format) {
            ("", _) => own,
            (precision, true) => precision.into(),
            (precision, false) => format!("{precision} {own}"),
        }
    }

    /// Adds a file that can be read, if it is not there.
    pub fn add(&mut self, path: &Path) {
        self.unreadable.retain(|other| other != path);
        if !self.paths.iter().any(|other| other == path) {
            let all = self.paths.drain(..).chain([path.to_owned()]).collect::<Vec<_>>();
            self.paths = Self::of_files(all).paths;
        }
    }

    /// The files of the same model in other formats and precisions, this one among them.
    pub fn variants<'a>(&'a self, path: &Path) -> impl Iterator<Item = &'a PathBuf> + use<'a> {
        let family = family(path);
        self.paths.iter().filter(move |other| self::family(other) == family)
    }
}

/// The path as one would write it, so that two ways to name a file are one: `./a.onnx` is `a.onnx`.
pub fn plain(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}

/// A file's path without extension and precision: `models/mnist.int8.lat` and `models/mnist.fp32.onnx` are both
/// `models/mnist`.
fn family(path: &Path) -> PathBuf {
    let stem = path.with_extension("");
    if precision_rank(path) < PRECISIONS.len() { stem.with_extension("") } else { stem }
}

/// The precisions in file names, the one to prefer first, and what each is called.
const PRECISIONS: [(&str, &str); 7] = [
    ("int8", "int8"),
    ("f16", "fp16"),
    ("fp16", "fp16"),
    ("bf16", "bf16"),
    ("f32", "fp32"),
    ("fp32", "fp32"),
    ("int4", "int4"),
];

fn precision_rank(path: &Path) -> usize {
    let stem = path.with_extension("");
    let precision = stem.extension().and_then(|precision| precision.to_str()).unwrap_or_default();
    PRECISIONS.iter().position(|(name, _)| *name == precision).unwrap_or(PRECISIONS.len())
}

/// The folder `models` in the current folder or any above it, or above the program.
pub fn models_folder() -> Option<PathBuf> {
    let executable = env::current_exe().ok();
    let current = env::current_dir().ok();
    let starts = [current.as_deref(), executable.as_deref().and_then(Path::parent)];
    starts
        .into_iter()
        .flatten()
        .flat_map(Path::ancestors)
        .map(|folder| folder.join("models"))
        .find(|folder| folder.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_belong_together() {
        let names =
            ["m/b.onnx", "m/a.fp32.onnx", "m/a.int8.onnx", "m/readme.md", "m/a.fp16.onnx", "n/a.onnx"];
        let catalog = Catalog::of_files(names.map(PathBuf::from));
        let expected = ["m/a.int8.onnx", "m/a.fp16.onnx", "m/a.fp32.onnx", "m/b.onnx", "n/a.onnx"];
        assert_eq!(catalog.paths, expected.map(PathBuf::from));
        let variants: Vec<_> = catalog.variants(Path::new("m/a.int8.onnx")).collect();
        assert_eq!(variants, expected[..3].iter().map(Path::new).collect::<Vec<_>>());
        assert_eq!(catalog.variants(Path::new("n/a.onnx")).count(), 1);
        assert_eq!(catalog.variant_name(Path::new("m/a.fp16.onnx")), "fp16");
        for (name, shown) in PRECISIONS {
            let path = PathBuf::from(format!("m/a.{name}.onnx"));
            assert_eq!(Catalog::of_files([path.clone()]).variant_name(&path), shown);
        }
        for (path, places, expected) in [
            ("m/a.int8.onnx", 1, Some("m/a.fp16.onnx")),
            ("m/a.int8.onnx", -1, Some("n/a.onnx")),
            ("m/b.onnx", 7, Some("m/a.int8.onnx")),
            ("m/b.onnx", 5, None),
        ] {
            assert_eq!(catalog.next(Path::new(path), places), expected.map(PathBuf::from).as_ref());
        }
        assert_eq!(Catalog::default().next(Path::new("a.onnx"), 1), None);
        for (path, expected) in [("m/a.fp32.onnx", Some("m/a.int8.onnx")), ("m/b.onnx", None)] {
            assert_eq!(catalog.next_variant(Path::new(path)), expected.map(PathBuf::from).as_ref());
        }
    }

    #[test]
    fn files_are_added_once_and_in_order() {
        let mut catalog = Catalog::of_files(["b.onnx".into()]);
        catalog.add(Path::new("a.onnx"));
        catalog.add(Path::new("b.onnx"));
        assert_eq!(catalog.paths, ["a.onnx", "b.onnx"].map(PathBuf::from));
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let mut catalog =
            Catalog::of_files(["a.f16.lat", "a.f32.lat", "a.int8.lat", "b.lat"].map(PathBuf::from));
        let next = |catalog: &Catalog, path: &str| {
            let name = |path: Option<&PathBuf>| path.map(|path| path.display().to_string());
            (name(catalog.next(Path::new(path), 1)), name(catalog.next_variant(Path::new(path))))
        };
        let some = |one: &str, other: &str| (Some(one.to_owned()), Some(other.to_owned()));
        assert_eq!(next(&catalog, "a.int8.lat"), some("a.f16.lat", "a.f16.lat"));
        catalog.add_unreadable(Path::new("a.f16.lat"));
        catalog.add_unreadable(Path::new("a.f16.lat"));
        assert_eq!(next(&catalog, "a.int8.lat"), some("a.f32.lat", "a.f32.lat"));
        assert_eq!(catalog.next(Path::new("a.f32.lat"), -1), Some(&"a.int8.lat".into()));
        catalog.add_unreadable(Path::new("a.f32.lat"));
        assert_eq!(next(&catalog, "a.int8.lat"), (Some("b.lat".into()), None));
        catalog.add(Path::new("a.f16.lat"));
        assert_eq!(next(&catalog, "a.int8.lat"), some("a.f16.lat", "a.f16.lat"));
    }

    #[test]
    fn files_of_the_current_folder_have_one_name() {
        for (path, expected) in [("./a.onnx", "a.onnx"), ("a.onnx", "a.onnx"), ("../a.onnx", "../a.onnx")] {
            assert_eq!(plain(Path::new(path)), Path::new(expected));
        }
    }

    #[test]
    fn a_missing_folder_has_no_models_and_broken_ones_are_told() {
        assert_eq!(Catalog::of_folder(Path::new("/no/such/folder")), Catalog::default());
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x.onnx"), "nothing of the kind").unwrap();
        let (best, errors) = Catalog::of_folder(folder.path()).best(&ModelOptions::default(), |_| true);
        assert!(best.is_none());
        assert!(errors[0].to_string().contains("x.onnx"), "{}", errors[0]);
    }
}
