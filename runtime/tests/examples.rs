//! The programs in `examples/`, which cargo builds beside the tests.
#![cfg(feature = "std")]

use latent_test_support::run_example as run;

#[test]
fn the_examples_do_what_they_say() {
    let model = "models/dcgan-mnist.int8.lat";
    // Fourteen lines of two rows each; a digit is neither empty nor all black.
    let digit = run("sample", &[""; 0]);
    assert_eq!(digit.lines().count(), 14);
    let inked = digit.chars().filter(|letter| "o#".contains(*letter)).count();
    assert!((20..300).contains(&inked), "{digit}");
    assert_ne!(run("sample", &[model, "8"]), digit);
    assert_eq!(run("sample", &[model, "7"]), digit);

    let learned = run("learn_classes", &[""; 0]);
    assert!(
        learned.contains("learned 3 classes from 5 examples") && learned.contains("20 of 20"),
        "{learned}"
    );

    let compared = run("compare_precisions", &[model, model]);
    let bytes = std::fs::metadata(format!("../{model}")).unwrap().len();
    assert!(compared.contains(&format!("{bytes} bytes, inf dB")), "{compared}");
}
