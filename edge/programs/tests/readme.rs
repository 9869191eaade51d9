//! What README.md prints for devices is compiled and run here.

mod digits {
    latent_runtime::model!("../../models/generator.lat"); // in flash, aligned; no model does not compile
}

#[test]
fn the_code_of_the_readme_draws_a_digit() -> Result<(), latent_runtime::Error> {
    use latent_runtime::{latent::Distribution, rng::Rng};

    let mut session = digits::session()?; // checks the model and takes its static arena, once
    let (mut z, mut image) = ([0.0; digits::INPUT_LEN], [0; digits::OUTPUT_LEN]);
    Distribution::REFERENCE.fill(&mut Rng::from_seed(7), &mut z);
    session.run_u8(&z, &mut image)?; // pixels; no allocation, no panic, no lock

    // A seven: ink in its upper bar, none below it on the left.
    assert!(image[2 * 16 + 4] > 200 && image[10 * 16 + 4] < 50, "{image:?}");
    assert_eq!(digits::session().unwrap_err().code(), 201);
    Ok(())
}

#[test]
fn the_readme_prints_that_code() {
    let readme = include_str!("../../../README.md");
    let section = readme.split("\n## 4. ").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let printed = section.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut source = include_str!("readme.rs").lines().map(str::trim);
    let mut lines = 0;
    for line in printed.lines().map(str::trim).filter(|line| !line.is_empty()) {
        assert!(
            source.any(|other| other == line),
            "README.md prints {line:?}, which this test does not run there"
        );
        lines += 1;
    }
    assert!(lines > 5);
}
