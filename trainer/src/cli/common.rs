//! Values of options, and loading what `--data` names.

use anyhow::{Context, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, RangedU64ValueParser, TypedValueParser};

use latent_files::run::Image;

use crate::data::{DataError, DataSpec, Dataset, LoadOptions, Split};
use crate::gan::architecture::NetKind;

/// A whole number in a range.
pub(super) fn number<T>(low: u64, high: u64) -> RangedU64ValueParser<T>
where
    T: TryFrom<u64> + Clone + Send + Sync + 'static,
    T::Error: std::error::Error + Send + Sync + 'static,
{
    RangedU64ValueParser::new().range(low..=high)
}

fn real(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() { Ok(value) } else { Err("not a finite number".to_owned()) }
}

/// A number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    real(text).and_then(|v| if v > 0.0 { Ok(v) } else { Err("must be greater than 0".to_owned()) })
}

/// A number of at least 0.
pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    real(text).and_then(|v| if v >= 0.0 { Ok(v) } else { Err("must not be negative".to_owned()) })
}

/// A number of at least 0 and less than 1.
pub(super) fn decay(text: &str) -> Result<f64, String> {
    let fits = |v: f64| (0.0..1.0).contains(&v);
    real(text)
        .and_then(|v| if fits(v) { Ok(v) } else { Err("must be at least 0 and less than 1".to_owned()) })
}

/// `HxW` or one side of a square.
pub(super) fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| match text.parse::<usize>() {
        Ok(n) if (1..=4096).contains(&n) => Ok(n),
        _ => Err("expected HEIGHTxWIDTH or one number, each from 1 to 4096".to_owned()),
    };
    match text.split_once('x') {
        Some((h, w)) => Ok((side(h)?, side(w)?)),
        None => side(text).map(|n| (n, n)),
    }
}

/// A pair of networks by its name.
pub(super) fn net_kinds() -> impl TypedValueParser<Value = NetKind> {
    let about = |net| match net {
        NetKind::Vanilla => {
            "Fully connected: 267 009 and 1 952 528 parameters for 28x28x1 and 96 latent values"
        }
        NetKind::Dcgan => {
            "Convolutional: 1 102 721 and 6 675 009 parameters for 28x28x1 and 96 latent values"
        }
        NetKind::DcganSmall => "Convolutional, for microcontrollers: 1 102 721 and 515 425 parameters",
        NetKind::DcganNano => "Convolutional, for microcontrollers: 1 102 721 and 128 385 parameters",
    };
    PossibleValuesParser::new(NetKind::ALL.map(|net| PossibleValue::new(net.name()).help(about(net))))
        .try_map(|name| NetKind::ALL.into_iter().find(|net| net.name() == name).ok_or("no such networks"))
}

/// Loads the training images.
pub(super) fn load(spec: &DataSpec, resize: Option<(usize, usize)>, gray: bool) -> anyhow::Result<Dataset> {
    // Drawn data sets are the same for every run; the run's own seed is for training.
    let options = LoadOptions { resize, gray, seed: 0 };
    spec.load(Split::Train, &options).context("cannot load the training images")
}

/// Loads the test images; `None` if there are none.
pub(super) fn load_any_test(
    spec: &DataSpec,
    resize: Option<(usize, usize)>,
    gray: bool,
) -> anyhow::Result<Option<Dataset>> {
    match spec.load(Split::Test, &LoadOptions { resize, gray, seed: 0 }) {
        Ok(data) => Ok(Some(data)),
        Err(DataError::Empty { .. }) => Ok(None),
        Err(error) => Err(error).context("cannot load the test images"),
    }
}

/// Loads the test images of a run whose training images are `image`; `None` if there are none.
pub(super) fn load_test(
    spec: &DataSpec,
    image: &Image,
    resize: Option<(usize, usize)>,
    gray: bool,
) -> anyhow::Result<Option<Dataset>> {
    let Some(data) = load_any_test(spec, resize, gray)? else { return Ok(None) };
    let (found, expected) =
        ([data.channels, data.height, data.width], [image.channels, image.height, image.width]);
    if found != expected {
        bail!(
            "the test images of {spec} are {}, the training images {}; bring both to one size with --image-size",
            found.map(|n| n.to_string()).join("x"),
            expected.map(|n| n.to_string()).join("x")
        );
    }
    Ok(Some(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_values_are_checked() {
        assert_eq!(parse_size("32"), Ok((32, 32)));
        assert_eq!(parse_size("24x40"), Ok((24, 40)));
        for text in ["", "0", "x", "3x", "5000", "3x4x5", "-1"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert!(decay("1").is_err() && decay("-0.1").is_err() && decay("nan").is_err() && decay("0").is_ok());
        assert!(positive("0").is_err() && not_negative("0").is_ok() && not_negative("inf").is_err());
    }
}
