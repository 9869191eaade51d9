//! An encoder and everything that brings image files to it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use latent_files::pictures::{self, PictureError, PictureFile};
use latent_runtime::backend::Backend;
use latent_runtime::onnx::{ImageShape, ModelKind, ModelMetadata};
use latent_runtime::open::{BackendKind, OpenOptions, open};
use latent_runtime::pixels::ValueRange;

use super::metadata::metadata;

/// How a model is run.
#[derive(Args)]
pub(crate) struct EngineArgs {
    /// What runs it: native for packed models; ort (ONNX Runtime) or tract for ONNX files [default: native or ort]
    #[arg(long, value_name = "NAME")]
    backend: Option<BackendKind>,
    /// The threads for reading images and for one run; 0 takes one for each core and leaves the run to the back end
    #[arg(long, default_value_t = 0, value_name = "T", value_parser = clap::value_parser!(u16).range(..=1024))]
    threads: u16,
    /// The most images in one run
    #[arg(long, default_value_t = 64, value_name = "B", value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch: u32,
}

/// A model that takes images and gives embeddings.
pub(crate) struct Encoder {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) kind: BackendKind,
    /// One image.
    pub(crate) shape: ImageShape,
    /// Black and white.
    pub(crate) range: ValueRange,
    /// Mean and standard deviation for each channel, if the model leaves them to its caller.
    normalization: Option<(Vec<f32>, Vec<f32>)>,
    threads: usize,
    batch: usize,
    path: PathBuf,
}

/// What became of image files.
pub(crate) struct Embedded {
    /// The embeddings one after the other.
    pub(crate) values: Vec<f32>,
    /// Which files they are of.
    pub(crate) files: Vec<PictureFile>,
    /// The time for reading and running.
    pub(crate) seconds: f64,
}

/// The image files that are named, and those in the folders that are.
pub(crate) fn find(paths: &[PathBuf]) -> Result<Vec<PictureFile>, PictureError> {
    let mut files = Vec::new();
    for path in paths {
        files.extend(pictures::list(path)?.files);
    }
    Ok(files)
}

impl Encoder {
    pub(crate) fn open(path: &Path, args: &EngineArgs) -> anyhow::Result<Self> {
        let kind = args.backend.unwrap_or_else(|| BackendKind::for_file(path));
        // A fault of the file is told before one of the back end.
        let metadata = match kind.is_built_in() {
            true => metadata(path)?,
            false => ModelMetadata::default(),
        };
        let backend = open(path, kind, &OpenOptions { threads: args.threads.into() })?;
        let refuse = |what: String| format!("{} gives no embeddings: {what}", path.display());
        if let Some(kind @ (ModelKind::Generator | ModelKind::Discriminator)) = metadata.kind {
            bail!(refuse(format!("it is a {kind}; give an encoder")));
        }
        let &[channels, height, width] = backend.input().shape else {
            bail!(refuse(format!("an encoder takes images (N, C, H, W), but it takes {}", backend.input())));
        };
        let range = metadata.range.unwrap_or_else(|| {
            eprintln!(
                "runtime: note: the model does not say which values are black and white; taking 0 and 1"
            );
            ValueRange::UNIT
        });
        let normalization = normalization(&metadata, channels).with_context(|| path.display().to_string())?;
        let threads = match args.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads.into(),
        };
        let shape = ImageShape { channels, height, width };
        let (batch, path) = (args.batch as usize, path.to_path_buf());
        Ok(Self { backend, kind, shape, range, normalization, threads, batch, path })
    }

    /// Values of one embedding.
    pub(crate) fn dimension(&self) -> usize {
        self.backend.output().values()
    }

    /// The model's file name.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The embeddings of image files. With `skip`, one that cannot be read is told of on stderr and left out.
    pub(crate) fn embed(&mut self, files: &[PictureFile], skip: bool) -> anyhow::Result<Embedded> {
        let start = Instant::now();
        let dimension = self.dimension();
        let mut embedded = Embedded { values: Vec::new(), files: Vec::new(), seconds: 0.0 };
        let (terminal, mut shown, mut done) = (std::io::stderr().is_terminal(), Duration::ZERO, 0);
        // As many at a time as keep all threads busy; memory for them alone is needed.
        for files in files.chunks(self.batch * self.threads) {
            let images = self.read(files);
            let mut input = Vec::new();
            for (file, image) in files.iter().zip(images) {
                match image {
                    Ok(values) => {
                        input.extend(values);
                        embedded.files.push(file.clone());
                    }
                    Err(error) if skip => {
                        eprintln!(
                            "runtime: warning: {}",
                            latent_files::text::printable(&format!("{error:#}"))
                        );
                    }
                    Err(error) => return Err(error),
                }
            }
            let inputs = self.backend.input().values();
            for input in input.chunks(self.batch * inputs) {
                let count = input.len() / inputs;
                let from = embedded.values.len();
                embedded.values.resize(from + count * dimension, 0.0);
                let output = &mut embedded.values[from..];
                let run = self.backend.run(count, input, output);
                run.with_context(|| format!("running {}", self.path.display()))?;
            }
            done += files.len();
            // Only of use where it takes long.
            if terminal && start.elapsed() - shown > Duration::from_secs(1) {
                shown = start.elapsed();
                eprint!("\r{done} images");
            }
        }
        if !shown.is_zero() {
            eprintln!("\r{done} images");
        }
        if let Some(at) = embedded.values.iter().position(|value| !value.is_finite()) {
            let file = embedded.files[at / dimension].path.display();
            bail!("{}: the embedding of {file} is not finite", self.path.display());
        }
        embedded.seconds = start.elapsed().as_secs_f64();
        Ok(embedded)
    }

    /// What the model takes for each file, by all threads.
    fn read(&self, files: &[PictureFile]) -> Vec<anyhow::Result<Vec<f32>>> {
        // Without the back end, which only one thread may use.
        let (shape, range, normalization) = (self.shape, self.range, &self.normalization);
        let one = |file: &PictureFile| {
            let picture = pictures::open(&file.path)?;
            let mut values = picture.into_shape((shape.channels, shape.height, shape.width))?.values(range);
            if let Some((mean, std)) = normalization {
                let planes = values.chunks_exact_mut((shape.height * shape.width).max(1));
                for ((plane, mean), std) in planes.zip(mean).zip(std) {
                    plane.iter_mut().for_each(|value| *value = (*value - mean) / std);
                }
            }
            Ok(values)
        };
        let share = files.len().div_ceil(self.threads).max(1);
        std::thread::scope(|scope| {
            let workers: Vec<_> = files
                .chunks(share)
                .map(|part| scope.spawn(move || part.iter().map(one).collect::<Vec<_>>()))
                .collect();
            let joined = workers.into_iter().map(|worker| worker.join());
            joined
                .flat_map(|images| images.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }
}

/// Mean and standard deviation for each channel, of a model that wants its caller to normalize images.
fn normalization(metadata: &ModelMetadata, channels: usize) -> anyhow::Result<Option<(Vec<f32>, Vec<f32>)>> {
    let list = |key: &str| {
        let Some((_, text)) = metadata.other.iter().find(|(other, _)| other == key) else { return Ok(None) };
        let numbers: Option<Vec<f32>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
        match numbers.filter(|numbers| numbers.len() == channels && numbers.iter().all(|x| x.is_finite())) {
            Some(numbers) => Ok(Some(numbers)),
            None => bail!("its metadata has {key} \"{text}\", expected {channels} numbers"),
        }
    };
    match (list("latent.normalize.mean")?, list("latent.normalize.std")?) {
        (Some(mean), Some(std)) if std.iter().all(|&std| std > 0.0) => Ok(Some((mean, std))),
        (None, None) => Ok(None),
        _ => bail!(
            "its metadata has not both latent.normalize.mean and latent.normalize.std, the latter positive"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normalization_is_whole_or_refused() {
        let of = |entries: &[(&str, &str)]| {
            normalization(&ModelMetadata::from_entries(entries.iter().copied()), 2)
        };
        let (mean, std) = ("latent.normalize.mean", "latent.normalize.std");
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[(mean, "0.5, 0"), (std, "2,1")]).unwrap(), Some((vec![0.5, 0.0], vec![2.0, 1.0])));
        for entries in [
            &[(mean, "0.5,0.5")][..],
            &[(mean, "0.5"), (std, "1,1")],
            &[(mean, "a,b"), (std, "1,1")],
            &[(mean, "0,0"), (std, "1,0")],
            &[(mean, "0,0"), (std, "1,inf")],
        ] {
            assert!(of(entries).is_err(), "{entries:?}");
        }
    }
}
