//! An encoder and everything that brings image files to it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use latent_files::pictures::{self, PictureError, PictureFile};
use latent_runtime::backend::Backend;
use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::onnx::{ImageShape, ModelKind, ModelMetadata};
use latent_runtime::open::{BackendKind, OpenOptions, open, read_metadata};
use latent_runtime::pixels::ValueRange;

use super::metadata::decide;
use super::ports::{self, PortArgs};

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
    /// The values of black and white that the model takes, such as 0,1 or -1,1 [default: what its file states, else 0,1]
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    range: Option<ValueRange>,
    #[command(flatten)]
    ports: PortArgs,
}

/// A model that takes images and gives embeddings.
pub(crate) struct Encoder {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) kind: BackendKind,
    /// One image.
    pub(crate) shape: ImageShape,
    /// How its images are values.
    pub(crate) encoding: ImageEncoding,
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
            true => read_metadata(path)?,
            false => ModelMetadata::default(),
        };
        let options = OpenOptions { threads: args.threads.into(), choice: args.ports.choice()? };
        let backend = open(path, kind, &options)?;
        let given: Vec<String> = options.choice.given.into_iter().map(|(name, _)| name).collect();
        ports::check_given(path, backend.as_ref(), &given)?;
        let refuse = |what: String| format!("{} gives no embeddings: {what}", path.display());
        if let Some(kind @ (ModelKind::Generator | ModelKind::Discriminator)) = metadata.kind {
            bail!(refuse(format!("it is a {kind}; give an encoder")));
        }
        let Some((shape, _)) = ImageShape::of(backend.input().shape, metadata.image) else {
            bail!(refuse(format!(
                "an encoder takes images, (N, C, H, W) or (N, H, W, C), but it takes {}",
                backend.input()
            )));
        };
        let encoding = decide(path, &metadata, backend.as_ref(), args.range)?;
        let threads = match args.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads.into(),
        };
        let (batch, path) = (args.batch as usize, path.to_path_buf());
        Ok(Self { backend, kind, shape, encoding, threads, batch, path })
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
                        latent_files::say!(
                            "warning: {}",
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
            latent_files::say!("\r{done} images");
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
        let (shape, encoding) = (self.shape, self.encoding);
        let one = |file: &PictureFile| {
            let picture =
                pictures::open(&file.path)?.into_shape((shape.channels, shape.height, shape.width))?;
            Ok(picture.values(&encoding))
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
