//! What the folders that pictures lie in say of them.

use std::collections::BTreeSet;

/// Which part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// The pictures to train on.
    Train,
    /// The pictures kept apart for tests.
    Test,
}

/// What its folders say of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its part, if the pictures lie in folders `train` and `test`.
    pub split: Option<Split>,
    /// Its class, an index into [`Labels::classes`]; `None` if it lies in no class folder.
    pub class: Option<usize>,
}

/// What their folders say of pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The names of the classes, sorted as bytes.
    pub classes: Vec<String>,
    /// For each picture.
    pub labels: Vec<Label>,
    /// What keeps the pictures from being a data set, in words: some lie in class folders, or in `train` and `test`, and
    /// others beside them.
    pub mixed: Option<String>,
}

/// Labels pictures by their paths below a root, parts divided by `/`.
///
/// The label of `a/b/c.png` is `a`, as for torchvision's `ImageFolder`. Where all pictures lie in folders `train` and `test`
/// (or `training`, `testing`, `val`, `valid`, `validation`) these say the split, and the folders in them are the classes.
/// A folder around all that is no class; in an archive (`archive`), where such a folder is the custom, neither is one around
/// the classes.
pub fn label<S: AsRef<str>>(paths: &[S], archive: bool) -> Labels {
    let mut parts: Vec<Vec<&str>> = paths
        .iter()
        .map(|path| path.as_ref().split('/').filter(|part| !part.is_empty() && *part != ".").collect())
        .collect();
    while let Some(&[outer, ..]) = parts.first().map(Vec::as_slice)
        && split_of(outer).is_none()
        && parts.iter().all(|p| p.len() > 2 && p[0] == outer && (archive || split_of(p[1]).is_some()))
    {
        parts.iter_mut().for_each(|p| {
            p.remove(0);
        });
    }
    let mut mixed = None;
    let split = |p: &[&str]| p.first().filter(|_| p.len() > 1).and_then(|first| split_of(first));
    let mut splits: Vec<Option<Split>> = parts.iter().map(|p| split(p)).collect();
    match splits.iter().position(Option::is_none) {
        None => parts.iter_mut().for_each(|p| {
            p.remove(0);
        }),
        Some(outside) => {
            if splits.iter().any(Option::is_some) {
                let other = parts[outside].join("/");
                mixed = Some(format!("has train or test folders, but {other:?} is outside of them"));
            }
            splits.fill(None);
        }
    }
    let class = |p: &[&str]| p.first().filter(|_| p.len() > 1).map(|&name| name.to_owned());
    let classes: BTreeSet<String> = parts.iter().filter_map(|p| class(p)).collect();
    if !classes.is_empty()
        && let Some(stray) = parts.iter().find(|p| p.len() < 2)
    {
        let stray = stray.join("/");
        mixed.get_or_insert_with(|| format!("has class folders, but {stray:?} lies in none of them"));
    }
    let classes: Vec<String> = classes.into_iter().collect();
    let labels = splits
        .into_iter()
        .zip(&parts)
        .map(|(split, p)| Label { split, class: class(p).and_then(|name| classes.binary_search(&name).ok()) })
        .collect();
    Labels { classes, labels, mixed }
}

fn split_of(folder: &str) -> Option<Split> {
    match folder {
        "train" | "training" => Some(Split::Train),
        "test" | "testing" | "val" | "valid" | "validation" => Some(Split::Test),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For each picture `split/class`, `-` for none.
    fn said(paths: &[&str], archive: bool) -> (Vec<String>, Option<String>) {
        let Labels { classes, labels, mixed } = label(paths, archive);
        let text = |label: &Label| {
            let split = match label.split {
                Some(Split::Train) => "train",
                Some(Split::Test) => "test",
                None => "-",
            };
            format!("{split}/{}", label.class.map_or("-", |class| &classes[class]))
        };
        (labels.iter().map(text).collect(), mixed)
    }

    #[test]
    fn folders_name_classes_and_splits() {
        let cases: &[(&[&str], bool, &[&str], &str)] = &[
            (&["a/b/c.png", "d/e.png"], false, &["-/a", "-/d"], ""),
            (&["1.png", "2.png"], false, &["-/-", "-/-"], ""),
            (&["train/a/1.png", "test/b/2.png", "val/a/3.png"], false, &["train/a", "test/b", "test/a"], ""),
            (&["x/train/a/1.png", "x/test/b/2.png"], false, &["train/a", "test/b"], ""),
            (&["x/a/1.png", "x/b/2.png"], false, &["-/x", "-/x"], ""),
            (&["./x/a/1.png", "./x/b/2.png"], true, &["-/a", "-/b"], ""),
            (&["train/1.png", "test/2.png"], false, &["train/-", "test/-"], ""),
            (&["a/1.png", "2.png"], false, &["-/a", "-/-"], "\"2.png\" lies in none of them"),
            (&["train/a/1.png", "b/2.png"], false, &["-/train", "-/b"], "\"b/2.png\" is outside of them"),
            (&[], false, &[], ""),
        ];
        for (paths, archive, expected, mixed) in cases {
            let (labels, found) = said(paths, *archive);
            assert_eq!(labels, *expected, "{paths:?}");
            let found = found.unwrap_or_default();
            assert!(found.contains(mixed) && found.is_empty() == mixed.is_empty(), "{paths:?}: {found}");
        }
    }
}
