//! CONTRIBUTING.md and ARCHITECTURE.md name files and modules that exist, and all modules there are; docs/BINDINGS.md prints the
//! programs that the tests run.

use std::collections::BTreeSet;
use std::fs;

/// The words between backticks, code blocks left out.
fn words(page: &str) -> impl Iterator<Item = &str> {
    page.split("```").step_by(2).flat_map(|text| text.split('`').skip(1).step_by(2))
}

#[test]
fn files_that_the_pages_name_are_there() {
    for name in ["CONTRIBUTING.md", "ARCHITECTURE.md"] {
        let page = fs::read_to_string(crate::root().join(name)).unwrap();
        // Not what is made (`.latent/`), nor a pattern.
        let is_path =
            |word: &&str| word.contains('/') && !word.contains([' ', '<']) && !word.starts_with(".latent");
        let paths: Vec<&str> = words(&page).filter(is_path).collect();
        assert!(!paths.is_empty());
        for path in paths {
            assert!(crate::root().join(path).exists(), "{name} names {path}, which is not there");
        }
    }
}

#[test]
fn the_same_ten_lines_are_printed_in_each_language() {
    let read = |name: &str| fs::read_to_string(crate::root().join(name)).unwrap();
    let page = read("docs/BINDINGS.md");
    for (language, file) in [
        ("rust", "runtime/examples/picture.rs"),
        ("c", "edge/c/examples/picture.c"),
        ("python", "edge/python/examples/ten_lines.py"),
        ("js", "edge/web/examples/ten-lines.mjs"),
    ] {
        let source = read(file);
        let printed = crate::c_library::blocks(&page, language);
        let is_the_end = |block: &String| !block.trim().is_empty() && source.ends_with(block.as_str());
        assert!(printed.iter().any(is_the_end), "docs/BINDINGS.md does not print {file}");
    }
}

#[test]
fn the_map_of_modules_is_complete() {
    let page = fs::read_to_string(crate::root().join("ARCHITECTURE.md")).unwrap();
    let maps = page.split("## Modules").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    for map in maps.split("\n**").skip(1) {
        let folder = words(map).next().unwrap();
        let source = ["lib.rs", "main.rs"]
            .map(|file| fs::read_to_string(crate::root().join(folder).join(file)).unwrap_or_default());
        let source = source.join("\n");
        let modules: BTreeSet<&str> = source
            .lines()
            .filter_map(|line| line.strip_suffix(';')?.trim_start_matches("pub ").strip_prefix("mod "))
            .collect();
        // Of a table, the first column; of a line of text, everything after the folder.
        let named: BTreeSet<&str> = map
            .lines()
            .flat_map(|line| match line.strip_prefix("| ") {
                Some(row) => words(row.split(" | ").next().unwrap_or_default()).collect::<Vec<_>>(),
                None => words(line).skip(1).collect(),
            })
            .collect();
        assert_eq!(named, modules, "the map of {folder} in ARCHITECTURE.md beside its modules");
    }
}
