//! What a build leaves out is named when a model needs it: run this with different features.

use super::error::FormatError;
use super::model::Model;
use crate::Aligned;

/// A model of the fuzzer's, and the features that it needs.
type Case = (&'static [u8], &'static [&'static str]);

macro_rules! case {
    ($name:literal, $needs:expr) => {{
        static FILE: &Aligned<[u8]> =
            &Aligned(*include_bytes!(concat!("../../fuzz/corpus/lat/", $name, ".lat")));
        (&FILE.0, $needs)
    }};
}

#[test]
fn a_model_that_needs_what_is_left_out_is_refused_by_its_name() {
    let cases: [Case; 7] = [
        case!("generator.int8", &["int8", "arrange"]),
        case!("padded.int4", &["int4", "arrange", "pool"]),
        case!("generator.f32", &["f32", "arrange"]),
        case!("winograd.f16", &["f16", "winograd"]),
        case!("winograd.bf16", &["bf16", "winograd"]),
        case!(
            "varied",
            &["f16", "f32", "depthwise", "elementwise", "arrange", "pool", "resize", "normalize"]
        ),
        case!("extended", &["extended-operators"]),
    ];
    let built = [
        ("int8", cfg!(feature = "int8")),
        ("int4", cfg!(feature = "int4")),
        ("f16", cfg!(feature = "f16")),
        ("bf16", cfg!(feature = "bf16")),
        ("f32", cfg!(feature = "f32")),
        ("winograd", cfg!(feature = "winograd")),
        ("depthwise", cfg!(feature = "depthwise")),
        ("elementwise", cfg!(feature = "elementwise")),
        ("arrange", cfg!(feature = "arrange")),
        ("pool", cfg!(feature = "pool")),
        ("resize", cfg!(feature = "resize")),
        ("normalize", cfg!(feature = "normalize")),
        ("extended-operators", cfg!(feature = "extended-operators")),
    ];
    let has = |feature: &str| built.contains(&(feature, true));
    for (bytes, needs) in cases {
        match Model::from_bytes(bytes) {
            Ok(model) => {
                assert!(needs.iter().all(|feature| has(feature)), "{needs:?}");
                let operators = || (0..model.operators_len()).filter_map(|index| model.operator(index));
                let said = |feature| operators().any(|one| one.features().contains(&Some(feature)));
                for (feature, _) in built {
                    assert_eq!(said(feature), needs.contains(&feature), "{feature} of {needs:?}");
                }
            }
            Err(FormatError::Feature { feature, .. }) => {
                assert!(needs.contains(&feature) && !has(feature), "{feature} of {needs:?}");
            }
            Err(error) => panic!("{needs:?}: {error}"),
        }
    }
    let old: Case = case!("generator.f32.v1", &["f32", "arrange", "version-1"]);
    let is_read = !matches!(Model::from_bytes(old.0), Err(FormatError::Version { found: 1 }));
    assert_eq!(is_read, cfg!(feature = "version-1"));
}
