//! What a model is calibrated with: latent vectors, pictures, arrays.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use latent_files::npy::{self, NpyError};
use latent_files::pictures::{self, PictureError, PictureFile};
use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::latent::Distribution;
use latent_runtime::rng::Rng;
use rayon::prelude::*;

use super::QuantizeError;
use crate::graph::{Dim, Graph, shape_text};

/// Inputs of a model, one after the other, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// How many.
    pub count: usize,
    /// Their values.
    pub values: Vec<f32>,
}

/// Where inputs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Latent vectors, drawn from the distribution that the generator was trained with.
    Latents,
    /// Picture files.
    Pictures,
    /// An array file.
    Array,
    /// Made up, for want of anything better: ranges of activations may be far from those of real inputs.
    Random,
}

/// The inputs that ranges are observed on, and others that the result is checked with.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// What ranges are observed on.
    pub calibration: Samples,
    /// What the quantized model is compared with the float model on.
    pub held_out: Samples,
    /// Where both come from.
    pub source: Source,
}

/// Why inputs cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file that is no picture, or a folder without any.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A model that takes no pictures.
    #[error(
        "{}: the model's input {shape} is no picture of 1 or 3 channels; give an array (.npy) of shape (N, ...)",
        path.display()
    )]
    NotPictures {
        /// The folder that was given.
        path: PathBuf,
        /// The model's input.
        shape: String,
    },
    /// A file that is no array.
    #[error("{}: {source}", path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NpyError,
    },
    /// An array of another shape than the model's input, or output.
    #[error("{}: the array has shape {found:?}, but the model's {end} is {expected}", path.display())]
    Shape {
        /// `input` or `output`.
        end: &'static str,
        /// The file.
        path: PathBuf,
        /// The array's shape.
        found: Vec<usize>,
        /// The model's.
        expected: String,
    },
    /// An array with values that are infinite or not a number.
    #[error("{}: the array has values that are not finite", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
    },
}

/// Inputs that ranges can be observed on, but should not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Oddity {
    /// All values are this one.
    Constant(f32),
    /// One value, or a few, is far from all others.
    Outlier {
        /// The greatest magnitude.
        largest: f32,
        /// What 999 of 1000 magnitudes do not exceed.
        usual: f32,
    },
}

/// How many times what is usual an outlier is: fewer than 13 of 256 steps are left to the others.
const OUTLIER: f32 = 20.0;

/// Most values that are put in order.
const MOST_SORTED: usize = 1 << 22;

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => write!(
                f,
                "every value is {value}, so ranges of activations are those of this one input; give inputs as the model gets them"
            ),
            Self::Outlier { largest, usual } => write!(
                f,
                "a value reaches {largest:.4}, {:.0} times what 99.9 % of them stay below ({usual:.4}): a range that holds it leaves \
                 about {:.0} of 256 steps to the others; look at that value, or use --calibrator percentile",
                largest / usual,
                256.0 * usual / largest
            ),
        }
    }
}

impl Samples {
    /// So many inputs of this shape, each value drawn from `distribution`.
    pub fn drawn(shape: &[Dim], distribution: Distribution, count: usize, rng: &mut Rng) -> Samples {
        let mut values = vec![0.0; count * per_example(shape)];
        distribution.fill(rng, &mut values);
        Samples { count, values }
    }

    /// Those at `places`, as far as there are any.
    pub fn part(&self, places: Range<usize>) -> Samples {
        let length = self.values.len() / self.count.max(1);
        let [from, to] = [places.start, places.end].map(|place| place.min(self.count));
        let values = self.values.get(from * length..to * length).unwrap_or_default().to_vec();
        Samples { count: to.saturating_sub(from), values }
    }

    /// The first `count` of them, or all there are; inputs of `graph`.
    pub fn first(&self, graph: &Graph, count: usize) -> Samples {
        let length = graph.inputs.first().map_or(0, |&input| per_example(&graph.shape(input)));
        let count = count.min(self.count);
        Samples { count, values: self.values.iter().copied().take(count * length).collect() }
    }

    /// The first `wanted` of an array file (`.npy`) of shape (N, ...), or all there are. `shape` is that of the model's `end`:
    /// its `input` or its `output`.
    ///
    /// # Errors
    /// When the file cannot be read, or its examples do not have `shape`.
    pub fn from_array(
        path: &Path,
        end: &'static str,
        shape: &[Dim],
        wanted: usize,
    ) -> Result<Samples, DataError> {
        let bytes = npy::read(path).map_err(|source| DataError::Io { path: path.into(), source })?;
        let array = npy::decode(&bytes).map_err(|source| DataError::Array { path: path.into(), source })?;
        let fits = array.shape.len() == shape.len()
            && array.shape[1..].iter().zip(&shape[1..]).all(|(length, dim)| *dim == Dim::Size(*length))
            && array.shape[0] > 0;
        if !fits {
            let (found, expected) = (array.shape, shape_text(shape));
            return Err(DataError::Shape { path: path.into(), end, found, expected });
        }
        if array.values.iter().any(|value| !value.is_finite()) {
            return Err(DataError::NotFinite { path: path.into() });
        }
        let count = array.shape[0].min(wanted);
        let mut values = array.values;
        values.truncate(count * per_example(shape));
        Ok(Samples { count, values })
    }

    /// What makes these values useless to observe ranges on.
    pub fn oddity(&self) -> Option<Oddity> {
        let first = *self.values.first()?;
        if self.values.iter().all(|value| *value == first) {
            return Some(Oddity::Constant(first));
        }
        let step = self.values.len().div_ceil(MOST_SORTED);
        let largest = self.values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let mut sizes: Vec<f32> = self.values.iter().step_by(step).map(|value| value.abs()).collect();
        // Of so few values a single one is no outlier.
        if sizes.len() < 1000 {
            return None;
        }
        let place = sizes.len() - 1 - sizes.len() / 1000;
        let usual = *sizes.select_nth_unstable_by(place, f32::total_cmp).1;
        (usual > 0.0 && largest >= OUTLIER * usual).then_some(Oddity::Outlier { largest, usual })
    }

    pub(super) fn check(&self, shape: &[Dim]) -> Result<(), QuantizeError> {
        let length = per_example(shape);
        let fail = |what: String| Err(QuantizeError::Samples { what });
        if self.count.checked_mul(length) != Some(self.values.len()) {
            return fail(format!(
                "are {} values, but {} for the model's input {} would be {}",
                self.values.len(),
                self.count,
                shape_text(shape),
                self.count.saturating_mul(length)
            ));
        }
        match shape.first() {
            _ if self.count == 0 => fail("are none".into()),
            Some(Dim::Size(batch)) if self.count < *batch => fail(format!(
                "are {}, but the model has a fixed batch of {batch}; give more of them, or export it with a free batch",
                self.count
            )),
            _ => Ok(()),
        }
    }
}

impl Inputs {
    /// `count` samples to calibrate with and a quarter as many (at least 16) to check with, each value drawn from `distribution`.
    pub fn drawn(
        shape: &[Dim],
        distribution: Distribution,
        count: usize,
        seed: u64,
        source: Source,
    ) -> Inputs {
        let mut rng = Rng::from_seed(seed);
        let mut draw = |count: usize| Samples::drawn(shape, distribution, count, &mut rng);
        Inputs { calibration: draw(count), held_out: draw(held_out(count)), source }
    }

    /// Inputs from a folder of pictures (in any depth; `count` and those to check with are picked by `seed`), one picture, or an
    /// array: `.npy` of shape (N, ...), its first `count` for calibration. With too few for both, a fifth is for checking; a
    /// single one is for both. Pictures of another size are cut to the model's proportions and resized; `encoding` says which values their pixels are.
    ///
    /// # Errors
    /// When the files cannot be read, or do not fit the model's input.
    pub fn read(
        path: &Path,
        shape: &[Dim],
        encoding: &ImageEncoding,
        count: usize,
        seed: u64,
    ) -> Result<Inputs, DataError> {
        let wanted = count + held_out(count);
        let (source, all) = if is_array(path) {
            (Source::Array, Samples::from_array(path, "input", shape, wanted)?)
        } else {
            (Source::Pictures, pictures(path, shape, encoding, wanted, seed)?)
        };
        let checked = match all.count {
            available if available == wanted => held_out(count),
            available => available / 5,
        };
        Ok(match all.count {
            1 => Inputs { calibration: all.clone(), held_out: all, source },
            available => {
                let checked = checked.max(1).min(available);
                Inputs {
                    calibration: all.part(0..available - checked),
                    held_out: all.part(available - checked..available),
                    source,
                }
            }
        })
    }
}

/// Whether a path names an array file.
pub fn is_array(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"))
}

/// How many elements an example of this shape has, the batch being its first axis.
pub(crate) fn per_example(shape: &[Dim]) -> usize {
    shape.iter().skip(1).map(|dim| if let Dim::Size(length) = dim { *length } else { 1 }).product()
}

/// How many samples to check with.
fn held_out(count: usize) -> usize {
    (count / 4).max(16)
}

fn pictures(
    path: &Path,
    shape: &[Dim],
    encoding: &ImageEncoding,
    wanted: usize,
    seed: u64,
) -> Result<Samples, DataError> {
    let mut pictures = Pictures::find(path, shape, encoding, seed)?;
    pictures.keep(0..wanted);
    pictures.read(0..pictures.len())
}

/// Picture files, in an order that a seed gives.
#[derive(Debug, Clone)]
pub struct Pictures {
    files: Vec<PictureFile>,
    /// Channels, rows, columns.
    shape: (usize, usize, usize),
    encoding: ImageEncoding,
}

impl Pictures {
    /// Those that [`pictures::list`] finds in a folder, or the one that `path` is; for a model whose input, or output, has `shape` and `encoding`.
    ///
    /// # Errors
    /// When there are none, or pictures do not have such a shape.
    pub fn find(
        path: &Path,
        shape: &[Dim],
        encoding: &ImageEncoding,
        seed: u64,
    ) -> Result<Pictures, DataError> {
        let (channels, height, width) = match *shape {
            [_, Dim::Size(a), Dim::Size(b), Dim::Size(c)] if encoding.channels_last => (c, a, b),
            [_, Dim::Size(a), Dim::Size(b), Dim::Size(c)] => (a, b, c),
            _ => (0, 0, 0),
        };
        if !matches!(channels, 1 | 3) {
            return Err(DataError::NotPictures { path: path.into(), shape: shape_text(shape) });
        }
        let mut files = pictures::list(path)?.files;
        Rng::from_seed(seed).shuffle(&mut files);
        Ok(Pictures { files, shape: (channels, height, width), encoding: *encoding })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Keeps those at `places` only. Beyond the last of them the first follow, but none twice.
    pub fn keep(&mut self, places: Range<usize>) {
        let start = places.start.min(self.len());
        self.files.rotate_left(start);
        self.files.truncate(places.len());
    }

    /// The class of each, by the folders that they lie in.
    pub fn classes(&self) -> Vec<String> {
        self.files.iter().map(|file| file.label.clone()).collect()
    }

    /// Decodes some. Pictures of another size are cut to the proportions of the shape and resized; the encoding
    /// says which values their pixels are.
    ///
    /// # Errors
    /// When a file is no picture.
    pub fn read(&self, places: Range<usize>) -> Result<Samples, DataError> {
        let files = self.files.get(places).unwrap_or_default();
        let decoded = files.par_iter().map(|file| {
            let picture = pictures::open(&file.path)?.into_shape(self.shape)?;
            Ok(picture.values(&self.encoding))
        });
        let values = decoded.collect::<Result<Vec<Vec<f32>>, DataError>>()?.concat();
        Ok(Samples { count: files.len(), values })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use latent_files::pictures::Picture;

    use super::*;
    use latent_runtime::pixels::ValueRange;

    fn encoding(low: f32, high: f32) -> ImageEncoding {
        ImageEncoding::stated(ValueRange::new(low, high).unwrap())
    }

    const PICTURE: [Dim; 4] = [Dim::Batch, Dim::Size(3), Dim::Size(2), Dim::Size(4)];

    #[test]
    fn drawn_inputs_are_repeatable_and_apart() {
        let shape = [Dim::Batch, Dim::Size(5)];
        let draw = |seed| Inputs::drawn(&shape, Distribution::REFERENCE, 8, seed, Source::Latents);
        let inputs = draw(1);
        assert_eq!(inputs, draw(1));
        assert_ne!(inputs, draw(2));
        assert_eq!((inputs.calibration.count, inputs.calibration.values.len()), (8, 40));
        assert_eq!((inputs.held_out.count, inputs.held_out.values.len()), (16, 80));
        assert_ne!(inputs.calibration.values[..40], inputs.held_out.values[..40]);
        assert!(inputs.calibration.check(&shape).is_ok());
        assert!(inputs.calibration.check(&[Dim::Batch, Dim::Size(4)]).is_err());
        assert!(inputs.calibration.check(&[Dim::Size(9), Dim::Size(5)]).is_err());
    }

    #[test]
    fn pictures_are_planes_in_the_models_range() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("class")).unwrap();
        let pixels = (0..8).flat_map(|at| [at, 100 + at, 255]).collect();
        let picture = Picture { width: 4, height: 2, channels: 3, pixels };
        for at in 0..6 {
            fs::write(folder.path().join(format!("class/{at}.png")), picture.to_png().unwrap()).unwrap();
        }
        fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
        let encoding = encoding(0.0, 255.0);
        let read = |path: &Path, count| Inputs::read(path, &PICTURE, &encoding, count, 0);
        let inputs = read(folder.path(), 100).unwrap();
        assert_eq!((inputs.calibration.count, inputs.held_out.count), (5, 1));
        let expected: Vec<f32> =
            [0, 100].iter().flat_map(|from| (0..8).map(move |at| (from + at) as f32)).collect();
        assert_eq!(inputs.calibration.values[..16], expected);
        assert_eq!(inputs.calibration.values[16..24], [255.0; 8]);
        let one = read(&folder.path().join("class/0.png"), 100).unwrap();
        assert_eq!((one.calibration.count, &one.held_out), (1, &one.calibration));

        // Another size and color: cut and resized.
        let gray = Picture { width: 40, height: 40, channels: 1, pixels: vec![7; 1600] };
        fs::write(folder.path().join("class/0.png"), gray.to_png().unwrap()).unwrap();
        let one = read(&folder.path().join("class/0.png"), 1).unwrap();
        assert_eq!(one.calibration.values, [7.0; 24]);

        fs::write(folder.path().join("class/9.JPG"), "no picture").unwrap();
        let cases: [(PathBuf, &[Dim], &str); 4] = [
            (folder.path().into(), &PICTURE, "9.JPG"),
            (folder.path().into(), &[Dim::Batch, Dim::Size(96)], "(N, 96) is no picture"),
            (folder.path().join("absent"), &PICTURE, "absent"),
            (tempfile::tempdir().unwrap().keep(), &PICTURE, "no pictures: no PNG or JPEG"),
        ];
        for (path, shape, expected) in cases {
            let error = Inputs::read(&path, shape, &encoding, 100, 0).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn useless_inputs_are_found() {
        let of = |values: Vec<f32>| Samples { count: 1, values }.oddity();
        let usual = || (0..4000).map(|at| (at % 100) as f32 / 100.0).collect::<Vec<_>>();
        assert_eq!(of(usual()), None);
        assert_eq!(of(vec![0.0; 5]), Some(Oddity::Constant(0.0)));
        assert_eq!(of(vec![0.3; 5]).unwrap().to_string().split(',').next(), Some("every value is 0.3"));
        let with = |value| {
            let mut values = usual();
            values[7] = value;
            of(values)
        };
        assert_eq!(with(-19.0), None);
        assert_eq!(with(-1e6), Some(Oddity::Outlier { largest: 1e6, usual: 0.99 }));
        let text = with(99.0).unwrap().to_string();
        assert!(text.contains("99.0000, 100 times") && text.contains("about 3 of 256 steps"), "{text}");
        // Half of them zero, as in pictures of digits.
        assert_eq!(of(usual().into_iter().map(|value| (value - 0.5).max(0.0)).collect()), None);
    }

    #[test]
    fn arrays_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let shape = [Dim::Batch, Dim::Size(2), Dim::Size(3)];
        let write =
            |shape: &[usize], values: &[f32]| fs::write(&path, npy::encode(&path, shape, values)).unwrap();
        let read = |count| Inputs::read(&path, &shape, &encoding(0.0, 1.0), count, 0);
        let values: Vec<f32> = (0..60).map(|at| at as f32).collect();
        write(&[10, 2, 3], &values);
        let inputs = read(100).unwrap();
        assert_eq!(inputs.calibration, Samples { count: 8, values: values[..48].to_vec() });
        assert_eq!(inputs.held_out, Samples { count: 2, values: values[48..].to_vec() });
        write(&[10, 3, 2], &values);
        assert!(read(4).unwrap_err().to_string().contains("[10, 3, 2], but the model's input is (N, 2, 3)"));
        write(&[1, 2, 3], &[f32::NAN; 6]);
        assert!(read(4).unwrap_err().to_string().contains("not finite"));
        fs::write(&path, "nothing").unwrap();
        assert!(read(4).unwrap_err().to_string().contains("a.npy"));
    }
}
