//! The pictures in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Label, PictureError, Split, label};

/// Deepest level of folders that is looked into.
const MAX_DEPTH: usize = 32;

/// The pictures in a folder and below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The pictures, in order of their paths, compared part by part as bytes, so that the order is the same everywhere.
    pub files: Vec<PictureFile>,
    /// The names of the classes, sorted.
    pub classes: Vec<String>,
    /// What was passed over, in the same order.
    pub skipped: Vec<Skipped>,
    /// What keeps the folder from being a data set; see [`Labels::mixed`](super::Labels::mixed).
    pub mixed: Option<String>,
}

/// A picture file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its path below the folder, `/` between its parts.
    pub name: String,
    /// The name of its class; of one that lies in no class folder, that of the folder that was given.
    pub label: String,
    /// The index of its class in [`Listing::classes`]; `None` if it lies in no class folder.
    pub class: Option<usize>,
    /// Its part of a data set, if the folder has `train` and `test` in it.
    pub split: Option<Split>,
}

/// Why something in a folder is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// Its name begins with a dot: `.ipynb_checkpoints`, and what macOS leaves as `._0.png` and `.DS_Store`.
    Hidden,
    /// The folder `__MACOSX` that macOS puts into archives.
    MacArchive,
    /// A file whose name does not end in `.png`, `.jpg` or `.jpeg`, such as `Thumbs.db`.
    OtherKind,
    /// A link to a folder that it lies in.
    Circle,
}

/// Something in a folder that is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its path below the folder. Of a folder it stands for all that is in it.
    pub name: String,
    /// Why.
    pub why: Skip,
}

/// Lists the pictures in a folder and below it, labeled as [`label`](fn@label) says; or the one file that is named.
///
/// Files are taken whose names end in `.png`, `.jpg` or `.jpeg`, in upper or lower case, wherever they lie; [`Skip`] says
/// what is passed over. Links to files and folders are followed. A file that is named itself is taken whatever it is called;
/// its label is the folder that it lies in.
///
/// # Errors
/// If there is no picture, or a folder cannot be read, has a name that is not UTF-8, or lies more than 32 folders deep.
pub fn list(path: &Path) -> Result<Listing, PictureError> {
    let metadata = fs::metadata(path).map_err(|e| PictureError::io(path, e))?;
    if !metadata.is_dir() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let label = path.parent().map(folder_name).unwrap_or_default();
        let classes = vec![label.clone()];
        let file = PictureFile { path: path.to_owned(), name, label, class: Some(0), split: None };
        return Ok(Listing { files: vec![file], classes, skipped: Vec::new(), mixed: None });
    }
    let (mut names, mut skipped) = (Vec::new(), Vec::new());
    let canonical = path.canonicalize().map_err(|e| PictureError::io(path, e))?;
    walk(path, "", &mut vec![canonical], &mut names, &mut skipped)?;
    if names.is_empty() {
        return Err(PictureError::Empty { folder: path.display().to_string(), left_out: in_words(&skipped) });
    }
    names.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    skipped.sort_by(|a, b| a.name.split('/').cmp(b.name.split('/')));
    let labels = label(&names, false);
    let unlabeled = folder_name(path);
    let file = |(name, Label { split, class }): (String, Label)| {
        let label = class.map_or(&unlabeled, |class| &labels.classes[class]).clone();
        PictureFile { path: path.join(&name), name, label, class, split }
    };
    let files = names.into_iter().zip(labels.labels).map(file).collect();
    Ok(Listing { files, classes: labels.classes, skipped, mixed: labels.mixed })
}

/// Why a file is passed over that lies in a folder or archive under this path, `/` between its parts.
pub fn skip(path: &str) -> Option<Skip> {
    let lower = path.to_ascii_lowercase();
    path.split('/').find_map(hidden).or_else(|| {
        let picture = [".png", ".jpg", ".jpeg"].iter().any(|end| lower.ends_with(end));
        (!picture).then_some(Skip::OtherKind)
    })
}

fn hidden(part: &str) -> Option<Skip> {
    match part {
        "." | ".." => None,
        "__MACOSX" => Some(Skip::MacArchive),
        _ => part.starts_with('.').then_some(Skip::Hidden),
    }
}

/// Collects the pictures below a folder, as paths relative to the root with `/` between parts. `above` are the folders that
/// it lies in, and itself, by their real paths.
fn walk(
    folder: &Path,
    prefix: &str,
    above: &mut Vec<PathBuf>,
    names: &mut Vec<String>,
    skipped: &mut Vec<Skipped>,
) -> Result<(), PictureError> {
    let unusable =
        |path: &Path, problem: String| PictureError::Folder { path: path.display().to_string(), problem };
    if above.len() > MAX_DEPTH {
        let problem = format!("is more than {MAX_DEPTH} folders deep; give a folder further in");
        return Err(unusable(folder, problem));
    }
    for entry in fs::read_dir(folder).map_err(|e| PictureError::io(folder, e))? {
        let entry = entry.map_err(|e| PictureError::io(folder, e))?;
        let path = entry.path();
        let Some(part) = entry.file_name().to_str().map(str::to_owned) else {
            return Err(unusable(&path, "has a name that is not UTF-8; rename it".to_owned()));
        };
        let name = if prefix.is_empty() { part.clone() } else { format!("{prefix}/{part}") };
        if let Some(why) = hidden(&part) {
            skipped.push(Skipped { name, why });
            continue;
        }
        // `fs::metadata` follows links, that of the entry does not.
        let kind = fs::metadata(&path).map_err(|e| PictureError::io(&path, e))?;
        if !kind.is_dir() {
            match skip(&part) {
                Some(why) => skipped.push(Skipped { name, why }),
                None => names.push(name),
            }
            continue;
        }
        let real = path.canonicalize().map_err(|e| PictureError::io(&path, e))?;
        if above.contains(&real) {
            skipped.push(Skipped { name, why: Skip::Circle });
            continue;
        }
        above.push(real);
        walk(&path, &name, above, names, skipped)?;
        above.pop();
    }
    Ok(())
}

/// The name of a folder, whatever way it is written.
fn folder_name(folder: &Path) -> String {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let real = || here.canonicalize().ok();
    let name = here.file_name().map(ToOwned::to_owned).or_else(|| Some(real()?.file_name()?.to_owned()));
    name.unwrap_or_default().to_string_lossy().into_owned()
}

/// What was passed over, as the end of a sentence.
fn in_words(skipped: &[Skipped]) -> String {
    let mut counts: BTreeMap<Skip, usize> = BTreeMap::new();
    skipped.iter().for_each(|skipped| *counts.entry(skipped.why).or_default() += 1);
    let words = counts.iter().map(|(why, count)| match why {
        Skip::Hidden => format!("{count} hidden"),
        Skip::MacArchive => format!("{count} __MACOSX"),
        Skip::OtherKind => format!("{count} of other kinds"),
        Skip::Circle => format!("{count} leading back in a circle"),
    });
    match words.collect::<Vec<_>>().join(", ") {
        words if words.is_empty() => words,
        words => format!("; passed over: {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, names: &[&str]) {
        for name in names {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
    }

    fn said(listing: &Listing) -> Vec<(&str, &str)> {
        listing.files.iter().map(|file| (file.name.as_str(), file.label.as_str())).collect()
    }

    #[test]
    fn pictures_are_found_in_order_and_the_rest_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let pictures = ["a/10.PNG", "a/2.jpg", "a/b/c.png", "a-b/1.jpeg", "b/x.JPEG"];
        let others = [
            ".ipynb_checkpoints/2-checkpoint.png",
            "__MACOSX/a/1.png",
            "a/._10.PNG",
            "a/.DS_Store",
            "a/Thumbs.db",
            "a/png",
        ];
        touch(&root, &pictures);
        touch(&root, &others);
        let listing = list(&root).unwrap();
        let expected: Vec<_> = pictures.into_iter().zip(["a", "a", "a", "a-b", "b"]).collect();
        assert_eq!(said(&listing), expected);
        assert_eq!((listing.classes.join(" "), &listing.mixed), ("a a-b b".into(), &None));
        assert_eq!(listing.files[0].path, root.join("a/10.PNG"));
        let skipped: Vec<_> = listing.skipped.iter().map(|s| (s.name.as_str(), s.why)).collect();
        let expected = [
            (".ipynb_checkpoints", Skip::Hidden),
            ("__MACOSX", Skip::MacArchive),
            ("a/.DS_Store", Skip::Hidden),
            ("a/._10.PNG", Skip::Hidden),
            ("a/Thumbs.db", Skip::OtherKind),
            ("a/png", Skip::OtherKind),
        ];
        assert_eq!(skipped, expected);
        // A path in an archive is judged alike.
        assert!(pictures.iter().all(|name| skip(name).is_none()));
        assert!(others.iter().all(|name| skip(name).is_some()));
    }

    #[test]
    fn those_in_no_class_folder_are_labeled_by_the_folder_that_was_given() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), &["cats/1.png", "cats/notes.txt", "cats/tabby/2.png"]);
        let listing = list(&folder.path().join("cats")).unwrap();
        assert_eq!(said(&listing), [("1.png", "cats"), ("tabby/2.png", "tabby")]);
        assert_eq!(listing.files[0].class, None);
        assert!(listing.mixed.unwrap().contains("\"1.png\" lies in none of them"));
        // A file that is named itself is taken as it is; its folder has a name however it is written.
        let listing = list(&folder.path().join("cats/tabby/../notes.txt")).unwrap();
        assert_eq!(said(&listing), [("notes.txt", "cats")]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        touch(folder.path(), &["elsewhere/1.png", "root/b/2.png"]);
        symlink(at("elsewhere"), at("root/a")).unwrap();
        symlink(at("root/b/2.png"), at("root/b/3.png")).unwrap();
        symlink(at("root"), at("root/b/round")).unwrap();
        symlink(at("root"), at("elsewhere/back")).unwrap();
        let listing = list(&at("root")).unwrap();
        assert_eq!(said(&listing), [("a/1.png", "a"), ("b/2.png", "b"), ("b/3.png", "b")]);
        let circles: Vec<_> = listing.skipped.iter().map(|s| (s.name.as_str(), s.why)).collect();
        assert_eq!(circles, [("a/back", Skip::Circle), ("b/round", Skip::Circle)]);
        symlink(at("nowhere"), at("root/b/4.png")).unwrap();
        assert!(list(&at("root")).unwrap_err().to_string().contains("b/4.png: cannot be read"));
    }

    #[test]
    fn folders_without_pictures_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let message = || list(folder.path()).unwrap_err().to_string();
        assert!(message().ends_with("lies in it or below it"), "{}", message());
        touch(folder.path(), &[".hidden.png", "x.gif", "y/z.webp"]);
        assert!(message().ends_with("passed over: 1 hidden, 2 of other kinds"), "{}", message());
        assert!(list(&folder.path().join("none")).unwrap_err().to_string().contains("none: cannot be read"));
        let deep: PathBuf = std::iter::repeat_n("d", MAX_DEPTH + 1).collect();
        fs::create_dir_all(folder.path().join(deep)).unwrap();
        assert!(message().contains("is more than 32 folders deep"), "{}", message());
    }
}
