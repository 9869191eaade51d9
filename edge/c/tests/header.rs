//! `latent.h` is what cbindgen makes of the crate.

use std::fs;
use std::path::Path;

#[test]
fn the_header_is_that_of_the_crate() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    let files = ["status", "latents", "model", "session"]
        .map(|name| folder.join("src").join(name).with_extension("rs"));
    let builder = files.iter().fold(cbindgen::Builder::new(), |builder, file| builder.with_src(file));
    builder.with_config(config).generate().unwrap().write(&mut made);
    let (made, path) = (String::from_utf8(made).unwrap(), folder.join("include/latent.h"));
    if std::env::var_os("LATENT_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == made, "{} is old: LATENT_BLESS=1 writes it anew", path.display());
}
