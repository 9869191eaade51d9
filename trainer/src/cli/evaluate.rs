//! `trainer knn`, `trainer probe` and `trainer embeddings`: what an encoder learned.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use latent_files::atomic::{self, Existing};
use latent_files::run::Accuracy;
use serde_json::json;
use tch::Device;

use super::common::{number, positive};
use crate::data::{DataSpec, Dataset, LoadOptions, Split};
use crate::device;
use crate::report::confusion::Confusion;
use crate::report::draw::Picture;
use crate::report::map::EmbeddingMap;
use crate::report::neighbors as picture;
use crate::simclr::evaluate::{self, Frozen, Spread};
use crate::simclr::features::spread;
use crate::simclr::flat;
use crate::simclr::knn::{self, Vote};
use crate::simclr::probe::{self, Examples, Labels, Protocol};
use crate::which::Which;

/// What `trainer knn --help` shows below the options.
pub(super) const KNN_EXAMPLES: &str = "\
Examples:
  trainer knn runs/simclr
      all test images among all training images, k = 200, beside the untrained
      encoder and the raw pixels
  trainer knn runs/simclr --checkpoint last --bank 10000 --queries 2000
      the newest checkpoint, faster";

/// What `trainer probe --help` shows below the options.
pub(super) const PROBE_EXAMPLES: &str = "\
Examples:
  trainer probe runs/simclr
      a linear layer on the frozen encoder, trained with all labels; beside it
      the same on the untrained encoder and on
      the raw pixels
  trainer probe runs/simclr --labels 10% --seeds 5
      a tenth of the labels, drawn five times
  trainer probe runs/simclr --preset reference
      the notebook's protocol: a tenth of the labels, 10 epochs of Adam";

/// What `trainer embeddings --help` shows below the options.
pub(super) const EMBEDDINGS_EXAMPLES: &str = "\
Examples:
  trainer embeddings runs/simclr
      neighbors.png, map-pca.png and map-tsne.png in runs/simclr/embeddings
  trainer embeddings runs/simclr --checkpoint 0 --out untrained
      the same for the untrained encoder";

/// Options of all three commands.
#[derive(Debug, Args)]
pub struct Common {
    /// The run folder
    run: PathBuf,
    /// Which checkpoint: best (by nearest neighbors), last, or an iteration
    #[arg(long, value_name = "WHICH", default_value_t = Which::Best)]
    checkpoint: Which,
    /// Data set [default: the run's]
    #[arg(long, value_name = "SPEC")]
    data: Option<DataSpec>,
    /// Where named data sets lie [default: $LATENT_DATA, else data/]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// Threads on the CPU [default: one per core]
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, 1024))]
    threads: Option<usize>,
}

/// Options of `trainer knn`.
#[derive(Debug, Args)]
pub struct KnnArgs {
    #[command(flatten)]
    common: Common,
    /// Neighbors that vote
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = number::<usize>(1, 1 << 20))]
    k: usize,
    /// Temperature of their weights, exp(similarity / T)
    #[arg(long, value_name = "T", default_value_t = 0.5, value_parser = positive, allow_negative_numbers = true)]
    temperature: f64,
    /// Training images to look among, spread evenly [default: all]
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, u64::MAX))]
    bank: Option<usize>,
    /// Test images to classify, spread evenly [default: all]
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, u64::MAX))]
    queries: Option<usize>,
    /// Leave the untrained encoder and the raw pixels out
    #[arg(long)]
    no_baselines: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Options of `trainer probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    #[command(flatten)]
    common: Common,
    /// Labels to learn from: `all`, a part of each class such as 10%, or a number of images [default: all; 10% with --preset
    /// reference]
    #[arg(long, value_name = "LABELS")]
    labels: Option<Labels>,
    /// How the linear layer is trained
    #[arg(long, value_enum, default_value_t = Protocol::Modern)]
    preset: Protocol,
    /// Repetitions with other labels, starts and orders
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = number::<u64>(1, 1000))]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = latent_files::text::seed, allow_negative_numbers = true)]
    seed: u64,
    /// Use the mean of the features of an image and of its mirror image
    #[arg(long)]
    mirrored: bool,
    /// Leave the untrained encoder and the raw pixels out
    #[arg(long)]
    no_baselines: bool,
    /// File for the confusion matrix [default: confusion.png in the run folder]
    #[arg(long, value_name = "PNG")]
    confusion: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Options of `trainer embeddings`.
#[derive(Debug, Args)]
pub struct EmbeddingsArgs {
    #[command(flatten)]
    common: Common,
    /// Test images whose neighbors are shown
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = number::<usize>(1, 100))]
    queries: usize,
    /// Neighbors of each, among the training images
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = number::<usize>(1, 50))]
    neighbors: usize,
    /// Test images on the maps, spread evenly
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = number::<usize>(2, 20_000))]
    points: usize,
    /// Folder for the pictures [default: embeddings in the run folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

/// An encoder and labeled images.
struct Subject {
    frozen: Frozen,
    train: Dataset,
    test: Dataset,
    device: Device,
}

impl Subject {
    fn open(args: &Common) -> anyhow::Result<Self> {
        if let Some(threads) = args.threads {
            tch::set_num_threads(i32::try_from(threads)?);
        }
        let device = device::choose(&args.device)?;
        let frozen = Frozen::open(&args.run, args.checkpoint, device)?;
        let spec = match &args.data {
            Some(spec) => spec.clone(),
            None => frozen.info.hyperparameters.common.data.parse()?,
        };
        let spec = spec.resolve(args.data_dir.as_deref())?;
        let options =
            LoadOptions { resize: frozen.info.hyperparameters.common.image_size, gray: false, seed: 0 };
        let load =
            |split| spec.load(split, &options).with_context(|| format!("cannot load the {split} images"));
        let (train, test) = (load(Split::Train)?, load(Split::Test)?);
        if train.class_names != test.class_names {
            bail!("the training and the test images of {spec} have different classes");
        }
        Ok(Self { frozen, train, test, device })
    }

    fn classes(&self) -> i64 {
        self.train.class_names.len() as i64
    }

    /// Training and test features from this encoder.
    fn features(&self, frozen: &Frozen, mirrored: bool) -> anyhow::Result<(Examples, Examples)> {
        let of = |data| frozen.features(&frozen.images(data)?, mirrored);
        Ok((of(&self.train)?, of(&self.test)?))
    }

    fn pixels(&self) -> anyhow::Result<(Examples, Examples)> {
        let of = |data| evaluate::raw_pixels(data, self.device);
        Ok((of(&self.train)?, of(&self.test)?))
    }

    /// `small at iteration 7800 of runs/simclr, images of cifar10 (50000 and 10000)`
    fn about(&self, run: &Path) -> String {
        format!(
            "{} at iteration {} of {}; {} training and {} test images of {}",
            self.frozen.info.encoder,
            self.frozen.iteration,
            run.display(),
            self.train.len(),
            self.test.len(),
            self.train.source
        )
    }
}

/// Classifies by nearest neighbors.
pub fn neighbors(args: KnnArgs) -> anyhow::Result<()> {
    let mut subject = Subject::open(&args.common)?;
    if let Some(bank) = args.bank {
        subject.train = spread(&subject.train, bank);
    }
    if let Some(queries) = args.queries {
        subject.test = spread(&subject.test, queries);
    }
    let vote = Vote { k: i64::try_from(args.k)?, temperature: args.temperature };
    let classes = subject.classes();
    let measure = |(train, test): (Examples, Examples)| evaluate::neighbors(&train, &test, classes, vote);
    // Each figure is shown as soon as it is known: the next may take minutes.
    let say = |name: &str, found: Accuracy| match args.json {
        true => Ok(()),
        false => latent_files::output!(
            "{name:<10} {:.2} % (top-5 {:.2} %)",
            100.0 * found.top1,
            100.0 * found.top5
        ),
    };
    if !args.json {
        latent_files::output!("{}, k = {}", subject.about(&args.common.run), vote.k)?;
    }
    let (trained, _) = measure(subject.features(&subject.frozen, false)?)?;
    say("encoder", trained)?;
    let (mut untrained, mut pixels) = (None, None);
    if !args.no_baselines {
        let found = measure(subject.features(&subject.frozen.untrained()?, false)?)?.0;
        say("untrained", found)?;
        untrained = Some(found);
        let found = measure(subject.pixels()?)?.0;
        say("pixels", found)?;
        pixels = Some(found);
    }
    if args.json {
        let result = json!({
            "run": args.common.run, "iteration": subject.frozen.iteration, "data": subject.train.source,
            "bank": subject.train.len(), "queries": subject.test.len(), "k": vote.k, "temperature": vote.temperature,
            "encoder": trained, "untrained": untrained, "pixels": pixels,
        });
        latent_files::output!("{}", serde_json::to_string_pretty(&result)?)?;
    }
    Ok(())
}

/// Trains linear layers on frozen features.
pub fn probe(args: ProbeArgs) -> anyhow::Result<()> {
    let subject = Subject::open(&args.common)?;
    let labels = args.labels.unwrap_or(match args.preset {
        Protocol::Modern => Labels::All,
        Protocol::Reference => Labels::Part(0.1),
    });
    let count = subject.train.class_names.len();
    let places = |seed| labels.choose(&subject.train.labels, count, seed);
    let seeds = args.seed..args.seed + args.seeds;
    let measure = |(train, test): (Examples, Examples)| {
        evaluate::probe_seeds(&train, &test, subject.classes(), args.preset, seeds.clone(), places)
    };
    let used = places(args.seed).len();
    // Each figure is shown as soon as it is known: the next may take minutes.
    let say = |name: &str, found: &Spread| match args.json {
        true => Ok(()),
        false => latent_files::output!("{name:<10} {found}"),
    };
    if !args.json {
        latent_files::output!("{}, {used} labels", subject.about(&args.common.run))?;
    }
    let (trained, last) = measure(subject.features(&subject.frozen, args.mirrored)?)?;
    say("encoder", &trained)?;
    let (mut untrained, mut pixels) = (None, None);
    if !args.no_baselines {
        let found = measure(subject.features(&subject.frozen.untrained()?, args.mirrored)?)?.0;
        say("untrained", &found)?;
        untrained = Some(found);
        let found = measure(subject.pixels()?)?.0;
        say("pixels", &found)?;
        pixels = Some(found);
    }

    let file = args.confusion.clone().unwrap_or_else(|| args.common.run.join("confusion.png"));
    let mut confusion = Confusion::new(&subject.train.class_names);
    if let Some(last) = &last {
        for (truth, found) in subject.test.labels.iter().zip(probe::predictions(&last.scores)?) {
            let _ = confusion.add(*truth as usize, found);
        }
    }
    let title =
        format!("Linear probe of {} on {}, {used} labels", subject.frozen.info.encoder, subject.train.name);
    atomic::write_file(&file, &confusion.png(&title)?, Existing::Replace)?;

    if args.json {
        let result = json!({
            "run": args.common.run, "iteration": subject.frozen.iteration, "data": subject.train.source,
            "protocol": args.preset, "labels": used, "test_images": subject.test.len(), "mirrored": args.mirrored,
            "penalty": last.as_ref().and_then(|last| last.penalty),
            "encoder": trained, "untrained": untrained, "pixels": pixels, "confusion": file,
        });
        latent_files::output!("{}", serde_json::to_string_pretty(&result)?)?;
        return Ok(());
    }
    if let (Some(untrained), Some(pixels)) = (untrained, pixels) {
        latent_files::output!(
            "gain       {:.2} points over the untrained encoder, {:.2} over the pixels",
            100.0 * (trained.top1 - untrained.top1),
            100.0 * (trained.top1 - pixels.top1)
        )?;
    }
    latent_files::output!("confusion  {}", file.display())?;
    Ok(())
}

/// The image at a place, with its class.
fn labeled(data: &Dataset, place: usize) -> picture::Labeled<'_> {
    let Dataset { channels, height, width, .. } = *data;
    let class = data.labels.get(place).and_then(|label| data.class_names.get(*label as usize));
    picture::Labeled {
        picture: Picture { pixels: data.image(place), channels, height, width },
        class: class.map_or("", String::as_str),
    }
}

/// Draws neighbors and maps.
pub fn embeddings(args: EmbeddingsArgs) -> anyhow::Result<()> {
    let subject = Subject::open(&args.common)?;
    let folder = args.out.clone().unwrap_or_else(|| args.common.run.join("embeddings"));
    let files = ["neighbors.png", "map-pca.png", "map-tsne.png"].map(|name| folder.join(name));
    let existing = Existing::forced(args.force);
    for file in &files {
        atomic::check(file, existing)?;
    }
    let frozen = &subject.frozen;
    let (queries, points) = (spread(&subject.test, args.queries), spread(&subject.test, args.points));
    let features = |data| -> anyhow::Result<Examples> { Ok(frozen.features(&frozen.images(data)?, false)?) };
    let (bank, wanted, placed) = (features(&subject.train)?, features(&queries)?, features(&points)?);

    let found = knn::nearest(&bank.features, &wanted.features, i64::try_from(args.neighbors)?)?;
    let shown: Vec<picture::Query<'_>> = found
        .into_iter()
        .enumerate()
        .map(|(place, nearest)| picture::Query {
            image: labeled(&queries, place),
            nearest: nearest
                .into_iter()
                .map(|(near, alike)| (labeled(&subject.train, near), alike))
                .collect(),
        })
        .collect();
    let about = format!("{} at iteration {}", frozen.info.encoder, frozen.iteration);
    let title = format!("Nearest training images of {}, by {about}", subject.train.name);
    let maps = [
        ("principal components of the features", flat::principal(&placed.features)?),
        ("t-SNE of the features by their angles, perplexity 30", flat::neighbor_map(&placed.features)?),
    ];
    let mut pictures = vec![picture::png(&title, &shown)?];
    for (how, map) in &maps {
        let title = format!("{} as {about} sees it", subject.test.name);
        let note = format!("{} test images: {how}", points.len());
        pictures.push(
            EmbeddingMap {
                title: &title,
                note: &note,
                points: map,
                labels: &points.labels,
                classes: &points.class_names,
            }
            .png()?,
        );
    }
    for (file, picture) in files.iter().zip(&pictures) {
        atomic::write_file(file, picture, existing)?;
        latent_files::output!("{}", file.display())?;
    }
    Ok(())
}
