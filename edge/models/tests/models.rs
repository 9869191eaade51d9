//! The models beside this package are those that its command makes. `LATENT_BLESS=1` writes them anew.

use std::fs;
use std::path::Path;

use latent_edge_models::make::demonstration;

#[test]
fn the_models_are_what_the_command_makes() {
    for (name, made) in demonstration().unwrap() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if std::env::var_os("LATENT_BLESS").is_some_and(|value| value == "1") {
            fs::write(&path, &made).unwrap();
        }
        let found = fs::read(&path).unwrap();
        assert!(
            found == made,
            "{name} is another than is made now: set LATENT_BLESS=1 and look at edge's output"
        );
    }
}
