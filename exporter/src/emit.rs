//! Packed models as sources: a Rust crate, or a pair of C files.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use latent_runtime::format::{Model, input_len, output_len};

/// A file of what is emitted, its path relative to where all of it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path.
    pub path: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
}

/// `name` as a name in both languages: lower-case letters, digits and underscores, a letter first.
pub fn identifier(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    let name: String = letters.collect();
    if name.starts_with(|c: char| c.is_ascii_lowercase()) { name } else { format!("model_{name}") }
}

/// The features of `latent-runtime` that the model needs.
pub fn features(model: &Model<'_>) -> Vec<&'static str> {
    let operators = (0..model.operators_len()).filter_map(|index| model.operator(index));
    operators
        .flat_map(|operator| operator.features())
        .flatten()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// Lines with something before each.
fn prefixed(text: &str, prefix: &str) -> String {
    text.lines().map(|line| format!("{prefix} {line}").trim_end().to_owned() + "\n").collect()
}

/// A crate with the model and its constants; `about` is what its documentation says of it.
pub fn rust(name: &str, model: &Model<'_>, about: &str) -> Vec<File> {
    let name = identifier(name);
    let features = features(model);
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n\
         latent-runtime = {{ version = \"{}\", default-features = false, features = {features:?} }}\n",
        env!("CARGO_PKG_VERSION")
    );
    let library = format!(
        "//! A packed model and the memory that it runs in. `session()` begins; see `latent_runtime::model`.\n//!\n\
         //! ```text\n{}//! ```\n#![no_std]\n\npub use latent_runtime;\n\nlatent_runtime::model!(\"../{name}.lat\");\n",
        prefixed(about, "//!")
    );
    let files = [
        ("Cargo.toml".into(), manifest.into_bytes()),
        ("src/lib.rs".into(), library.into_bytes()),
        (format!("{name}.lat"), model.bytes().to_vec()),
    ];
    files.map(|(path, content)| File { path: PathBuf::from(&name).join(path), content }).to_vec()
}

/// A header with the constants and a source with the bytes, which is C11; `about` is said in the header.
pub fn c(name: &str, model: &Model<'_>, about: &str) -> Vec<File> {
    let name = identifier(name);
    let upper = name.to_uppercase();
    let bytes = model.bytes();
    let mut header = format!(
        "/* A packed model.\n{} */\n#ifndef {upper}_H\n#define {upper}_H\n\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n",
        prefixed(&about.replace("*/", "* /"), " *")
    );
    for (constant, value, what) in [
        ("LEN", bytes.len(), "bytes of the model"),
        ("INPUT_LEN", input_len(bytes), "values of an example of the first input"),
        ("OUTPUT_LEN", output_len(bytes), "values of an example of the first output"),
        ("ARENA_LEN", model.arena_len(1).unwrap_or(usize::MAX), "bytes of working memory, wherever they lie"),
    ] {
        _ = writeln!(header, "#define {upper}_{constant} {value}u /* {what} */");
    }
    _ = write!(
        header,
        "\n/* At an address that is a multiple of 64. */\nextern const unsigned char {name}_model[{upper}_LEN];\n\n\
         #ifdef __cplusplus\n}}\n#endif\n\n#endif\n"
    );
    let mut source =
        format!("#include \"{name}.h\"\n\n_Alignas(64) const unsigned char {name}_model[{upper}_LEN] = {{\n");
    for line in bytes.chunks(24) {
        line.iter().for_each(|byte| _ = write!(source, "{byte},"));
        source.push('\n');
    }
    source.push_str("};\n");
    let file =
        |ending, text: String| File { path: format!("{name}.{ending}").into(), content: text.into_bytes() };
    vec![file("h", header), file("c", source)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers() {
        for (name, expected) in
            [("digits.int8", "digits_int8"), ("My-Model", "my_model"), ("3d", "model_3d"), ("é", "model__")]
        {
            assert_eq!(identifier(name), expected);
        }
    }
}
