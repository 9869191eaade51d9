//! `trainer eval` and `trainer scorer`: how good a generator's images are, and by what that is judged.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use latent_files::atomic::{self, Existing};
use latent_files::run::Quality;
use latent_files::text::table_with_head;
use latent_runtime::open::BackendKind;
use serde_json::json;

use super::common::{load, load_any_test, number};
use crate::data::{DataSpec, Dataset};
use crate::device;
use crate::report::draw::Picture;
use crate::report::neighbors::{self, Labeled, Query};
use crate::scoring::evaluator::{Evaluator, Memorization, NEIGHBORS, noise};
use crate::scoring::generated::Generator;
use crate::scoring::scorer::Scorer;
use crate::which::Which;

/// What `trainer eval --help` shows below the options.
pub(super) const EVAL_EXAMPLES: &str = "\
Examples:
  trainer eval runs/dcgan
      10 000 images of a run's best checkpoint, beside test images (as good as
      it gets) and noise
  trainer eval models/dcgan-mnist.int8.lat --data mnist
  trainer eval dcgan.int8.onnx --backend ort --data mnist --json
      a model file, through any back end
  trainer eval runs/photos --scorer runs/photo-classifier --pairs pairs.png
      by a classifier of one's own (`trainer classifier`), with a picture of the
      images nearest to training images";

/// What `trainer scorer --help` shows below the options.
pub(super) const SCORER_EXAMPLES: &str = "\
Examples:
  trainer scorer runs/classifier --out models/scorer-mnist.safetensors
      weights in half precision, their accuracy measured as they are in the
      file, and a card beside it";

/// Options of `trainer eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// A run folder of a GAN, a packed model (.lat) or an ONNX file
    #[arg(value_name = "RUN|MODEL")]
    subject: PathBuf,
    /// Data set to compare with [default: the one it was trained on]
    #[arg(long, value_name = "SPEC")]
    data: Option<DataSpec>,
    /// Where named data sets lie [default: $LATENT_DATA, else data/]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Classifier whose features are compared: a file of `trainer scorer`, or a run folder of `trainer classifier` [default:
    /// models/scorer-DATA.safetensors]
    #[arg(long, value_name = "FILE|RUN")]
    scorer: Option<PathBuf>,
    /// Images drawn; as many real ones, at most, are compared with
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = number::<usize>(100, 1_000_000))]
    samples: usize,
    /// Seed of the latent vectors
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = latent_files::text::seed, allow_negative_numbers = true)]
    seed: u64,
    /// Images of these that are looked up among all training images, 0 for none
    #[arg(long, value_name = "N", default_value_t = 1000)]
    lookups: usize,
    /// Draw the ten images that are nearest to training images, with those, into this file
    #[arg(long, value_name = "PNG")]
    pairs: Option<PathBuf>,
    /// Run folders: which checkpoint: best (by Fréchet distance, if it was measured), last, or an iteration
    #[arg(long, value_name = "WHICH", default_value_t = Which::Best)]
    checkpoint: Which,
    /// Model files: native for packed models; ort (ONNX Runtime) or tract for ONNX files [default: native or ort]
    #[arg(long, value_name = "NAME")]
    backend: Option<BackendKind>,
    /// Replace a picture that is there
    #[arg(long)]
    force: bool,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,
    /// Threads on the CPU [default: one per core]
    #[arg(long, value_name = "N", value_parser = number::<usize>(1, 1024))]
    threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Options of `trainer scorer`.
#[derive(Debug, Args)]
pub struct ScorerArgs {
    /// The run folder of `trainer classifier`
    run: PathBuf,
    /// Test images to measure its accuracy with [default: those of the run's data]
    #[arg(long, value_name = "SPEC")]
    data: Option<DataSpec>,
    /// Where named data sets lie [default: $LATENT_DATA, else data/]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The file; its card is written beside it, as .md
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

/// Judges a generator.
pub fn run(args: EvalArgs) -> anyhow::Result<()> {
    if let Some(file) = &args.pairs {
        atomic::check(file, Existing::forced(args.force))?;
        if args.lookups == 0 {
            bail!("--pairs draws what --lookups finds, and that is 0");
        }
    }
    let device = device::choose(&args.device)?;
    if let Some(threads) = args.threads {
        tch::set_num_threads(i32::try_from(threads)?);
    }
    let mut generator = Generator::open(&args.subject, args.backend, args.checkpoint, device)?;
    let spec = match (&args.data, generator.data()) {
        (Some(spec), _) => spec.clone(),
        (None, Some(data)) => data.parse()?,
        (None, None) => bail!("{} does not say what it was trained on: give --data", args.subject.display()),
    };
    let spec = spec.resolve(args.data_dir.as_deref())?;
    let image @ [channels, height, width] = generator.image();
    let (size, gray) = (Some((height, width)), channels == 1);
    let train = load(&spec, size, gray)?;
    let test = load_any_test(&spec, size, gray)?;
    let scorer = match &args.scorer {
        Some(path) => Scorer::open(path, device)?,
        None => Scorer::shipped(&train.name, image, device)?.ok_or_else(|| {
            anyhow::anyhow!(
                "there is no models/scorer-{0}.safetensors for images of {1}: train a classifier with `trainer classifier --data {spec}` and give \
                 its run with --scorer",
                train.name,
                image.map(|n| n.to_string()).join("x"),
            )
        })?,
    };
    let evaluator = Evaluator::new(scorer, &train, args.samples)?;
    let pixels = generator.draw(args.samples, args.seed)?;
    let (quality, shares) = evaluator.judge(&pixels)?;
    let floor = test.as_ref().map(|test| {
        let kept = &test.pixels[..test.pixels.len().min(pixels.len())];
        evaluator.judge(kept)
    });
    let floor = floor.transpose()?;
    let (anchor, _) = evaluator.judge(&noise(pixels.len(), args.seed))?;
    let size = image.iter().product::<usize>();
    let memorization = (args.lookups > 0).then(|| {
        let looked_up = &pixels[..pixels.len().min(args.lookups * size)];
        Memorization::look(looked_up, &train.pixels, test.as_ref().map(|test| &test.pixels[..]), size)
    });
    if let (Some(file), Some(memorization)) = (&args.pairs, &memorization) {
        let picture = pairs(&pixels, &train, memorization)?;
        atomic::write_file(file, &picture, Existing::forced(args.force))?;
    }

    let info = &evaluator.scorer().info;
    if args.json {
        let result = json!({
            "subject": args.subject, "by": generator.describe(), "seed": args.seed, "data": train.name,
            "real_images": evaluator.real(), "neighbors": NEIGHBORS,
            "scorer": { "data": info.data, "test_accuracy": info.test_accuracy },
            "generated": quality, "class_shares": shares, "data_class_shares": evaluator.shares(),
            "test_images": floor.as_ref().map(|(quality, _)| quality), "noise": anchor, "memorization": memorization,
        });
        latent_files::output!("{}", serde_json::to_string_pretty(&result)?)?;
        return Ok(());
    }
    latent_files::output!("{}: {}", args.subject.display(), generator.describe())?;
    let accuracy = info.test_accuracy.map(|part| format!(" ({:.2} % of test images right)", 100.0 * part));
    latent_files::output!(
        "beside {} training images of {}, by the features of a classifier of {}{}",
        evaluator.real(),
        train.name,
        info.data,
        accuracy.unwrap_or_default()
    )?;
    latent_files::output!(
        "\n{}",
        table(&quality, floor.as_ref().map(|(quality, _)| quality), &anchor, evaluator.scorer().classes())
    )?;
    let mut rows = vec![
        std::iter::once("class".to_owned()).chain(info.classes.names.iter().cloned()).collect::<Vec<_>>(),
    ];
    for (name, shares) in [("generated, %", &shares[..]), ("real, %", evaluator.shares())] {
        let cells = shares.iter().map(|share| format!("{:.1}", 100.0 * share));
        rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
    }
    latent_files::output!("{}", table_with_head(&rows))?;
    if let Some(found) = &memorization {
        latent_files::output!("{}", memory_text(found))?;
    }
    if let Some(file) = &args.pairs {
        latent_files::output!("pairs: {}", file.display())?;
    }
    Ok(())
}

fn table(generated: &Quality, test: Option<&Quality>, noise: &Quality, classes: usize) -> String {
    let part = |value: f64| format!("{:.1}", 100.0 * value);
    let columns: Vec<(&str, &Quality)> =
        [("generated", Some(generated)), ("test images", test), ("noise", Some(noise))]
            .into_iter()
            .filter_map(|(name, quality)| Some((name, quality?)))
            .collect();
    let mut rows = vec![
        std::iter::once(String::new()).chain(columns.iter().map(|c| c.0.to_owned())).collect::<Vec<_>>(),
    ];
    type Figure<'a> = (&'static str, &'a dyn Fn(&Quality) -> String);
    let figures: [Figure<'_>; 11] = [
        ("images", &|q| q.samples.to_string()),
        ("Fréchet distance", &|q| format!("{:.2}", q.frechet)),
        ("kernel distance", &|q| format!("{:.4}", q.kernel)),
        ("score", &|q| format!("{:.2}", q.score)),
        ("KL of classes", &|q| q.class_divergence.map_or("inf".to_owned(), |value| format!("{value:.4}"))),
        ("classes covered", &|q| format!("{} / {classes}", q.classes_covered)),
        ("confident, %", &|q| part(q.confident)),
        ("precision, %", &|q| part(q.precision)),
        ("recall, %", &|q| part(q.recall)),
        ("density", &|q| format!("{:.3}", q.density)),
        ("coverage, %", &|q| part(q.coverage)),
    ];
    for (name, figure) in figures {
        rows.push(std::iter::once(name.to_owned()).chain(columns.iter().map(|(_, q)| figure(q))).collect());
    }
    table_with_head(&rows)
}

fn memory_text(found: &Memorization) -> String {
    let mut text = format!(
        "nearest of {} training images: median distance {:.0} over {} generated images",
        found.training_images, found.median, found.samples
    );
    if let (Some(median), Some(part)) = (found.test_median, found.suspicious) {
        text += &format!(
            "; {median:.0} over test images. {:.1} % are nearer than all but 1 % of test images",
            100.0 * part
        );
    }
    text
}

/// The nearest pairs as a picture.
fn pairs(pixels: &[u8], train: &Dataset, found: &Memorization) -> anyhow::Result<Vec<u8>> {
    let Dataset { channels, height, width, .. } = *train;
    let size = train.image_len();
    let labeled = |pixels, class| Labeled { picture: Picture { pixels, channels, height, width }, class };
    let names: Vec<Vec<String>> = found
        .nearest
        .iter()
        .map(|(_, near)| near.iter().map(|(place, _)| place.to_string()).collect())
        .collect();
    let queries = found.nearest.iter().zip(&names).map(|((at, near), names)| Query {
        image: labeled(&pixels[at * size..(at + 1) * size], ""),
        nearest: near
            .iter()
            .zip(names)
            .map(|((place, distance), name)| (labeled(train.image(*place), name.as_str()), *distance as f32))
            .collect(),
    });
    let title = format!("Generated images nearest to training images of {}", train.name);
    Ok(neighbors::distances_png(&title, &queries.collect::<Vec<_>>())?)
}

/// Makes a scorer's file and its card.
pub fn scorer(args: ScorerArgs) -> anyhow::Result<()> {
    let existing = Existing::forced(args.force);
    let card = args.out.with_extension("md");
    for file in [&args.out, &card] {
        atomic::check(file, existing)?;
    }
    let device = tch::Device::Cpu;
    let mut scorer = Scorer::open(&args.run, device)?;
    let described = crate::run_folder::read_info::<crate::classifier::run::RunInfo>(&args.run)?;
    let spec = match &args.data {
        Some(spec) => spec.clone(),
        None => described.data.source.parse()?,
    };
    let settings = &described.hyperparameters;
    let spec = spec.resolve(args.data_dir.as_deref())?;
    if let Some(test) = &load_any_test(&spec, settings.common.image_size, settings.gray)? {
        // What will be in the file is measured, not what was rounded for it.
        let rounded = Scorer::parse(&args.out, &scorer.to_bytes()?, device)?;
        scorer.info.test_accuracy = rounded.accuracy(&test.pixels, &test.labels)?;
        scorer.info.test_images = test.len();
    }
    let bytes = scorer.to_bytes()?;
    atomic::write_file(&args.out, &bytes, existing)?;
    atomic::write_file(&card, card_text(&scorer, &described, &args.out, bytes.len()).as_bytes(), existing)?;
    latent_files::output!("{}\n{}", args.out.display(), card.display())?;
    Ok(())
}

fn card_text(scorer: &Scorer, run: &crate::classifier::run::RunInfo, file: &Path, bytes: usize) -> String {
    let info = &scorer.info;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let [channels, height, width] = scorer.image();
    let accuracy = match info.test_accuracy {
        Some(part) => format!("{:.2} % of {} test images right", 100.0 * part, info.test_images),
        None => "not measured: there are no test images".to_owned(),
    };
    let settings = &run.hyperparameters;
    let common = &settings.common;
    let epochs = info.iterations as f64 * info.batch as f64 / info.images.max(1) as f64;
    format!(
        "# {name}\n\n\
         A classifier of {} with {} classes, whose features `trainer eval` compares. Written by `trainer scorer`.\n\n\
         | | |\n|---|---|\n\
         | input | {channels}x{height}x{width}, {} black, {} white |\n\
         | features | what enters the last of its layers |\n\
         | accuracy | {accuracy}, as in the file (half precision) |\n\
         | parameters | {} |\n\
         | file | {bytes} bytes |\n\
         | data | {} training images of {}; test images were used for the accuracy alone |\n\
         | training | seed {}, {} iterations of {} ({epochs:.1} epochs), Adam at {} with a cosine, weight decay {}; {:.0} s on {} thread(s) of {} |\n\
         | augmentation | shifts up to {} pixels, rotations up to {} degrees, sizes up to {:.0} % |\n\n\
         ```sh\n\
         trainer classifier --data {} --iterations {} --batch {} --seed {} --out runs/classifier\n\
         trainer scorer runs/classifier --out {name}\n\
         ```\n",
        info.data,
        info.classes.count,
        info.image.low,
        info.image.high,
        scorer.parameters(),
        info.images,
        info.data,
        info.seed,
        info.iterations,
        info.batch,
        settings.lr,
        settings.weight_decay,
        info.seconds,
        common.threads,
        common.device,
        settings.augment.shift,
        settings.augment.rotation,
        100.0 * settings.augment.scale,
        // Where the files lie is this machine's affair.
        if run.data.source.starts_with("synth-") { &run.data.source } else { &run.data.name },
        info.iterations,
        info.batch,
        info.seed,
    )
}
