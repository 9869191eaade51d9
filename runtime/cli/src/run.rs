//! `runtime run`: a generator draws images from noise, a discriminator scores images.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use latent_files::atomic::{self, Existing};
use latent_files::given::Given;
use latent_files::picture_file::{self, is_stdout};
use latent_files::pictures::{self, Picture};
use latent_files::sheet::{Compression, Gap, Sheet};
use latent_files::text::seed;
use latent_files::{npy, regular};
use latent_runtime::backend::{Backend, TensorInfo};
use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::latent::{Distribution, lerp, slerp};
use latent_runtime::onnx::{ImageShape, ModelKind, ModelMetadata};
use latent_runtime::open::{BackendKind, read_metadata};
use latent_runtime::pixels::ValueRange;
use latent_runtime::rng::Rng;
use serde_json::json;

use super::metadata::{decide, range_json};
use super::ports;
use super::{print, usage};

/// The most values of all inputs or outputs together: 4 GB.
const MAX_VALUES: usize = 1 << 30;

/// Run a model.
///
/// A generator draws images from latent vectors: from noise by --seed, a walk through the latent space by
/// --interpolate, or a file by --input. A discriminator or encoder takes images by --input and prints a score for each.
/// What noise is drawn from, and which values are black and white, is taken from the model's metadata. A model that takes a
/// class, too, is told it by --label; what else a model takes, by --input NAME=VALUES.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    /// The model: a packed model (.lat) or an ONNX file
    model: PathBuf,
    /// What runs it: native for packed models; ort (ONNX Runtime) or tract for ONNX files [default: native or ort]
    #[arg(long, value_name = "NAME")]
    backend: Option<BackendKind>,
    /// The threads one run may use; 0 leaves it to the back end
    #[arg(long, default_value_t = 0, value_name = "T", value_parser = clap::value_parser!(u16).range(..=1024))]
    threads: u16,
    /// The seed of the noise; the same seed draws the same images [default: 0]
    #[arg(long, value_parser = seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// How many latent vectors are drawn [default: 64; 2 with --interpolate]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Draw from this instead of what the metadata says: uniform in [-1, 1], or normal with mean 0 and deviation 1
    #[arg(long, value_enum)]
    distribution: Option<Noise>,
    /// Walk from each latent vector to the next, one row of the sheet each: slerp keeps to the sphere, lerp goes straight
    #[arg(long, value_enum, value_name = "PATH")]
    interpolate: Option<Walk>,
    /// The images of one walk, both ends included
    #[arg(long, default_value_t = 8, requires = "interpolate", value_parser = clap::value_parser!(u32).range(2..))]
    frames: u32,
    /// Latent vectors for a generator: one .npy file, or raw little-endian f32 values in a file named .f32, .bin or .raw. For
    /// other models PNG and JPEG files, cropped and resized to the model's size where they have another, or one file of values.
    /// With NAME= before it, what goes into the input of that name: numbers, or a file of values, over which the examples go
    /// round and round
    #[arg(long, num_args = 1.., value_name = "FILE|NAME=NUMBERS|NAME=FILE")]
    input: Vec<PathBuf>,
    /// The class of what is drawn or scored, for a model that takes one: a number, or several with commas between them, over
    /// which the images go round and round
    #[arg(long, value_delimiter = ',', value_name = "CLASS,...")]
    label: Vec<usize>,
    /// The output that is wanted, of a model with several
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// The values of black and white in the model's images, such as 0,1 or -1,1 [default: what its file states, else -1,1, or
    /// 0,1 for an encoder]
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    range: Option<ValueRange>,
    /// The contact sheet to write: .png or .jpg; - is a PNG to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The images in one row of the sheet [default: as square as it gets; --frames with --interpolate]
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u32).range(1..))]
    columns: Option<u32>,
    /// Each pixel of the model becomes K x K pixels of the sheet [default: 1]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=64))]
    scale: Option<u32>,
    /// Write the output's values: NumPy's format if it ends in .npy, else raw little-endian f32
    #[arg(long, value_name = "FILE")]
    save_output: Option<PathBuf>,
    /// The most examples in one run
    #[arg(long, default_value_t = 64, value_name = "B", value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch: u32,
    /// Overwrite files
    #[arg(long)]
    force: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  runtime run generator.int8.lat --out sheet.png
      64 images from seed 0
  runtime run generator.onnx --backend tract --seed 7 --count 16 --columns 8 \\
      --scale 4 --out sheet.png
  runtime run generator.onnx --interpolate slerp --count 5 --frames 12 \\
      --out walks.png
  runtime run generator.onnx --input latents.npy --save-output images.npy
  runtime run digits.lat --label 7 --out sevens.png
      a generator that takes a class
  runtime run digits.lat --label 0,1,2,3,4,5,6,7,8,9 --count 100 --columns 10 \\
      --out classes.png
  runtime run encoder.onnx --input photo.png --output h --save-output h.npy
  runtime run discriminator.onnx --input digit.png other.png
      a score for each";

#[derive(Clone, Copy, ValueEnum)]
enum Noise {
    Uniform,
    Normal,
}

#[derive(Clone, Copy, ValueEnum)]
enum Walk {
    Lerp,
    Slerp,
}

/// What goes through the model: `count` examples of values.
struct Examples {
    count: usize,
    values: Vec<f32>,
}

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<()> {
    // Everything that can be refused without work is refused first.
    if args.out.is_some() && args.out == args.save_output {
        return Err(usage!("--out and --save-output are the same file"));
    }
    let existing = Existing::forced(args.force);
    if let Some(path) = &args.out {
        picture_file::check(path, existing)?;
        if args.json && is_stdout(path) {
            return Err(usage!("--out - and --json both write to standard output; give --out a file"));
        }
    }
    if let Some(path) = &args.save_output {
        if is_stdout(path) {
            return Err(usage!("--save-output writes a file; its name says in which format"));
        }
        atomic::check(path, existing)?;
    }
    for target in args.out.iter().chain(&args.save_output) {
        atomic::check_apart(target, args.input.iter().chain([&args.model]))?;
    }
    // Of a sheet; nothing else has columns.
    let of_sheet = [("--columns", args.columns.is_some()), ("--scale", args.scale.is_some())];
    if let (None, Some((name, _))) = (&args.out, of_sheet.iter().find(|(_, given)| *given)) {
        return Err(usage!("{name} is for the sheet of --out, which is not given"));
    }
    let (mut given, mut files) = (Vec::new(), Vec::new());
    for input in &args.input {
        match input.to_str().map(Given::read).transpose()?.flatten() {
            Some(named) => given.push(named),
            None => files.push(input.clone()),
        }
    }
    let backend_kind = args.backend.unwrap_or_else(|| BackendKind::for_file(&args.model));
    // A fault of the file is told before one of the back end.
    let metadata = match backend_kind.is_built_in() {
        true => read_metadata(&args.model)?,
        false => ModelMetadata::default(),
    };
    let about = (args.threads.into(), args.output.as_deref());
    let (mut backend, main) = ports::open_given(&args.model, backend_kind, about, &mut given)?;
    if backend_kind == BackendKind::Tract && args.threads > 1 {
        latent_files::say!("note: tract uses one thread");
    }
    if main.is_some() && !files.is_empty() {
        return Err(usage!(
            "all inputs of the model are given by name; {} is one too many",
            files[0].display()
        ));
    }
    let noise = [
        ("--seed", args.seed.is_some()),
        ("--count", args.count.is_some()),
        ("--interpolate", args.interpolate.is_some()),
        ("--distribution", args.distribution.is_some()),
    ];
    if let (true, Some((name, _))) =
        (main.is_some() || !files.is_empty(), noise.iter().find(|(_, given)| *given))
    {
        return Err(usage!("--input says what goes into the model, so {name} has no meaning"));
    }
    ports::give_classes(&args.model, (backend.as_ref(), &metadata), &args.label, &mut given)?;
    let names: Vec<String> = given.iter().map(|given| given.name.clone()).collect();
    ports::check_given(&args.model, backend.as_ref(), &names)?;
    let kind = kind(args, &metadata, backend.as_ref())
        .with_context(|| format!("{} cannot be run here", args.model.display()))?;
    let inputs = Inputs { files, main, given };
    match kind {
        Kind::Generator(image) => generate(args, &metadata, image, (backend_kind, backend.as_mut()), inputs),
        Kind::TakesImages(image) => score(args, &metadata, image, (backend_kind, backend.as_mut()), inputs),
    }
}

/// What `--input` and `--label` say.
struct Inputs {
    /// Examples, as files.
    files: Vec<PathBuf>,
    /// Examples, as values.
    main: Option<Given>,
    /// What goes into the other inputs.
    given: Vec<Given>,
}

enum Kind {
    /// The image, unless the output that is wanted is none.
    Generator(Option<ImageShape>),
    TakesImages(ImageShape),
}

/// What the model is, by its metadata and shapes; the shapes alone tell if there is no metadata.
fn kind(args: &RunArgs, metadata: &ModelMetadata, backend: &dyn Backend) -> anyhow::Result<Kind> {
    let (input, output) = (backend.input(), backend.output());
    let image = |info: TensorInfo<'_>| ImageShape::of(info.shape, metadata.image).map(|(image, _)| image);
    let expected = metadata.kind.map(ModelKind::name).unwrap_or("model");
    Ok(match (metadata.kind, input.shape.len(), image(input), image(output)) {
        (Some(ModelKind::Generator) | None, 1, _, Some(shape)) => Kind::Generator(Some(shape)),
        (Some(ModelKind::Generator), 1, ..) if args.output.is_some() => Kind::Generator(None),
        (Some(ModelKind::Discriminator | ModelKind::Encoder) | None, _, Some(shape), _) => {
            Kind::TakesImages(shape)
        }
        _ => bail!(
            "a generator takes (N, latent) and gives images, (N, C, H, W) or (N, H, W, C), other models take images, but this {expected} \
             takes {input} and gives {output}"
        ),
    })
}

fn generate(
    args: &RunArgs,
    metadata: &ModelMetadata,
    image: Option<ImageShape>,
    (backend_kind, backend): (BackendKind, &mut dyn Backend),
    inputs: Inputs,
) -> anyhow::Result<()> {
    if args.out.is_none() && args.save_output.is_none() {
        return Err(usage!("a generator's images go to a file: give --out PNG or --save-output FILE"));
    }
    if args.range.is_some() && args.out.is_none() {
        return Err(usage!("--range is for the sheet of --out; --save-output writes values as they are"));
    }
    let latent_size = backend.input().values();
    let image_values = backend.output().values();
    let count = match args.interpolate {
        Some(_) => (args.count.unwrap_or(2).saturating_sub(1) as usize).saturating_mul(args.frames as usize),
        None => args.count.unwrap_or(64) as usize,
    };
    if args.interpolate.is_some() && count == 0 {
        return Err(usage!(
            "--interpolate needs a --count of at least 2: it walks from one latent vector to the next"
        ));
    }
    // Before anything is drawn or allocated.
    check_count(count, latent_size.max(image_values))?;
    let drawn = inputs.files.is_empty() && inputs.main.is_none();
    let examples = match (inputs.files.as_slice(), inputs.main) {
        ([], None) => draw(args, metadata, latent_size, count),
        ([], Some(main)) => examples(main, backend.input())?,
        ([path], _) => read_values(path, backend.input())?,
        _ => return Err(usage!("a generator takes one --input file of latent vectors")),
    };
    check_count(examples.count, latent_size.max(image_values))?;
    let columns = match (args.columns, args.interpolate) {
        (Some(columns), _) => columns as usize,
        (None, Some(_)) => args.frames as usize,
        (None, None) => ceil_sqrt(examples.count),
    };
    let (count, scale) = (examples.count, args.scale.unwrap_or(1) as usize);
    let sheet = match (&args.out, image) {
        (None, _) => None,
        (Some(_), Some(ImageShape { channels, height, width })) => {
            let shape = (channels, height, width);
            let sheet = Sheet { count, columns, scale, shape, gap: Gap::BLACK };
            sheet.size()?;
            Some((sheet, decide(&args.model, metadata, backend, args.range)?))
        }
        (Some(_), None) => {
            let what = backend.output();
            return Err(usage!(
                "--out draws images, but the output is {what}; write its values with --save-output"
            ));
        }
    };
    let (output, seconds) = run_all(args, backend, &examples, &inputs.given)?;
    let not_finite = output.iter().filter(|value| !value.is_finite()).count();
    if not_finite > 0 {
        latent_files::say!("warning: {not_finite} of {} output values are not finite", output.len());
    }
    if let (Some(path), Some((sheet, encoding))) = (&args.out, &sheet) {
        let pictures = output
            .chunks_exact(image_values)
            .map(|values| Picture::from_values(values, sheet.shape, encoding));
        let picture = sheet.draw(&pictures.collect::<Result<Vec<_>, _>>()?)?;
        picture_file::write(path, &picture, Compression::Balanced, Existing::forced(args.force))?;
    }
    save_output(args, backend.output(), examples.count, &output)?;
    let written: Vec<String> =
        args.out.iter().chain(&args.save_output).map(|path| path.display().to_string()).collect();
    if args.json {
        let result = json!({
            "model": args.model.display().to_string(), "backend": backend_kind.name(),
            "engine": backend.describe(), "images": examples.count, "image": image.map(|image| image.to_string()),
            "seed": drawn.then_some(args.seed.unwrap_or(0)), "labels": args.label, "seconds": seconds,
            "not_finite": not_finite, "written": written,
            "range": sheet.as_ref().map(|(_, encoding)| range_json(encoding)),
        });
        return print(&format!("{result}\n"));
    }
    let what = match image {
        Some(image) => format!("images of {image}"),
        None => format!("times {}", backend.output()),
    };
    let line = format!(
        "{} {what} in {:.1} ms ({}) -> {}",
        examples.count,
        seconds * 1e3,
        backend.describe(),
        written.join(", ")
    );
    if args.out.as_deref().is_some_and(is_stdout) {
        latent_files::say!("{line}");
        return Ok(());
    }
    print(&(line + "\n"))
}

/// The latent vectors of `--seed`, `--count` and `--interpolate`; `count` images come of them.
fn draw(args: &RunArgs, metadata: &ModelMetadata, latent_size: usize, count: usize) -> Examples {
    let distribution = match args.distribution {
        Some(Noise::Uniform) => Distribution::REFERENCE,
        Some(Noise::Normal) => Distribution::STANDARD_NORMAL,
        None => metadata.distribution.unwrap_or_else(|| {
            latent_files::say!(
                "note: the model does not say what its noise is drawn from; taking uniform in [-1, 1]"
            );
            Distribution::REFERENCE
        }),
    };
    let mut rng = Rng::from_seed(args.seed.unwrap_or(0));
    let mut drawn = |vectors: usize| {
        let mut values = vec![0.0; vectors * latent_size];
        distribution.fill(&mut rng, &mut values);
        values
    };
    let Some(path) = args.interpolate else { return Examples { count, values: drawn(count) } };
    let frames = args.frames as usize;
    let ends = drawn(count / frames + 1);
    let mut values = vec![0.0; count * latent_size];
    for (index, out) in values.chunks_exact_mut(latent_size).enumerate() {
        let (walk, frame) = (index / frames, index % frames);
        let from = &ends[walk * latent_size..][..latent_size];
        let to = &ends[(walk + 1) * latent_size..][..latent_size];
        let t = frame as f32 / (frames - 1) as f32;
        match path {
            Walk::Lerp => lerp(from, to, t, out),
            Walk::Slerp => slerp(from, to, t, out),
        }
    }
    Examples { count, values }
}

fn score(
    args: &RunArgs,
    metadata: &ModelMetadata,
    image: ImageShape,
    (backend_kind, backend): (BackendKind, &mut dyn Backend),
    inputs: Inputs,
) -> anyhow::Result<()> {
    let kind = metadata.kind.map_or("this model", ModelKind::name);
    if args.out.is_some() || args.interpolate.is_some() {
        return Err(usage!(
            "--out and --interpolate are for generators; {kind} takes images by --input and prints scores"
        ));
    }
    if inputs.files.is_empty() && inputs.main.is_none() {
        return Err(usage!("{kind} takes images of {image}: give them with --input FILE.png..."));
    }
    let per_example = backend.output().values();
    if per_example != 1 && args.save_output.is_none() && !args.json {
        return Err(usage!(
            "{kind} gives {per_example} values for each image: give --save-output FILE or --json"
        ));
    }
    let mut encoding = None;
    let as_they_are = |examples: Examples, from: &str| {
        if args.range.is_some() {
            return Err(usage!(
                "--range is for pictures; the values of {from} are given to the model as they are"
            ));
        }
        let names = (0..examples.count).map(|index| format!("{from}[{index}]")).collect();
        Ok((examples, names))
    };
    let (examples, names): (_, Vec<String>) = match (inputs.files.as_slice(), inputs.main) {
        ([path], _) if !is_picture(path) => {
            as_they_are(read_values(path, backend.input())?, &path.display().to_string())?
        }
        ([], Some(main)) => {
            let name = main.name.clone();
            as_they_are(examples(main, backend.input())?, &name)?
        }
        (paths, _) => {
            check_count(paths.len(), backend.input().values().max(per_example))?;
            let decided = decide(&args.model, metadata, backend, args.range)?;
            let values = read_pictures(paths, image, &decided)?;
            encoding = Some(decided);
            let names = paths.iter().map(|path| path.display().to_string()).collect();
            (Examples { count: paths.len(), values }, names)
        }
    };
    check_count(examples.count, per_example)?;
    let (output, seconds) = run_all(args, backend, &examples, &inputs.given)?;
    save_output(args, backend.output(), examples.count, &output)?;
    if args.json {
        let results: Vec<_> = names
            .iter()
            .zip(output.chunks_exact(per_example))
            .map(|(name, values)| match values {
                [score] => json!({ "input": name, "score": score }),
                values => json!({ "input": name, "values": values }),
            })
            .collect();
        let result = json!({
            "model": args.model.display().to_string(), "backend": backend_kind.name(),
            "engine": backend.describe(), "seconds": seconds, "results": results,
            "range": encoding.as_ref().map(range_json),
        });
        return print(&format!("{result}\n"));
    }
    if per_example != 1 {
        return Ok(());
    }
    let lines: String = names
        .iter()
        .zip(&output)
        .map(|(name, score)| format!("{score:>10.5}  {}\n", latent_files::text::printable(name)))
        .collect();
    print(&lines)
}

/// Runs all examples, `--batch` at a time. Returns the outputs and the seconds it took.
fn run_all(
    args: &RunArgs,
    backend: &mut dyn Backend,
    examples: &Examples,
    given: &[Given],
) -> anyhow::Result<(Vec<f32>, f64)> {
    let (inputs, outputs) = (backend.input().values(), backend.output().values());
    let mut output = vec![0.0; examples.count * outputs];
    let batch = args.batch as usize;
    let chunks = examples.values.chunks(batch * inputs).zip(output.chunks_mut(batch * outputs));
    let start = Instant::now();
    let terminal = std::io::stderr().is_terminal();
    let (mut done, mut shown) = (0, Duration::ZERO);
    for (input, output) in chunks {
        ports::give(backend, given, done, input.len() / inputs)?;
        backend
            .run(input.len() / inputs, input, output)
            .with_context(|| format!("running {}", args.model.display()))?;
        done += input.len() / inputs;
        // Only of use where it takes long.
        if terminal && start.elapsed() - shown > Duration::from_secs(1) {
            shown = start.elapsed();
            eprint!("\r{done} of {}", examples.count);
        }
    }
    if !shown.is_zero() {
        latent_files::say!("\r{done} of {}", examples.count);
    }
    Ok((output, start.elapsed().as_secs_f64()))
}

fn save_output(args: &RunArgs, info: TensorInfo<'_>, count: usize, values: &[f32]) -> anyhow::Result<()> {
    let Some(path) = &args.save_output else { return Ok(()) };
    let shape: Vec<usize> = [count].iter().chain(info.shape).copied().collect();
    Ok(atomic::write_file(path, &npy::encode(path, &shape, values), Existing::forced(args.force))?)
}

fn check_count(count: usize, per_example: usize) -> anyhow::Result<()> {
    if count.checked_mul(per_example).is_none_or(|values| values > MAX_VALUES) {
        bail!(
            "{count} examples of {per_example} values are too many at once; at most {} fit",
            MAX_VALUES / per_example.max(1)
        );
    }
    Ok(())
}

fn ceil_sqrt(n: usize) -> usize {
    let root = n.isqrt();
    if root * root < n { root + 1 } else { root.max(1) }
}

/// Whether a file has a picture's name, or begins as a picture does. What cannot be read is none; reading it says why.
fn is_picture(path: &Path) -> bool {
    if pictures::skip(&path.file_name().unwrap_or_default().to_string_lossy()).is_none() {
        return true;
    }
    let mut start = Vec::new();
    regular::open(path, u64::MAX).is_ok_and(|(file, _)| file.take(8).read_to_end(&mut start).is_ok())
        && pictures::is_picture(&start)
}

/// The values of PNG and JPEG files, one after the other. Says so on stderr when some had another size than the model's.
fn read_pictures(paths: &[PathBuf], image: ImageShape, encoding: &ImageEncoding) -> anyhow::Result<Vec<f32>> {
    let ImageShape { channels, height, width } = image;
    let mut values = Vec::new();
    let mut resized: Vec<String> = Vec::new();
    for path in paths {
        let picture = pictures::open(path)?;
        if (picture.width, picture.height) != (width, height) {
            resized.push(format!("{} has {} x {} pixels", path.display(), picture.width, picture.height));
        }
        values.extend(picture.into_shape((channels, height, width))?.values(encoding));
    }
    if let Some(first) = resized.first() {
        let others = match resized.len() - 1 {
            0 => String::new(),
            others => format!(", {others} more have another size too"),
        };
        let first = latent_files::text::printable(first);
        latent_files::say!("note: {first}{others}; cropped and resized to the model's {width} x {height}");
    }
    Ok(values)
}

/// Examples that were given by the name of their input.
fn examples(given: Given, input: TensorInfo<'_>) -> anyhow::Result<Examples> {
    let Given { name, values } = given;
    let per_example = input.values();
    if !values.len().is_multiple_of(per_example) {
        bail!("--input {name}=...: {} values are given, but the model takes {input}", values.len());
    }
    Ok(Examples { count: values.len() / per_example, values })
}

/// Reads examples from a `.npy` file of shape (N, ...) or a raw file of float32 values.
fn read_values(path: &Path, input: TensorInfo<'_>) -> anyhow::Result<Examples> {
    let read = || {
        let bytes = npy::read(path)?;
        if pictures::is_picture(&bytes) {
            bail!("it is a picture, but the model takes {input}");
        }
        let array = npy::decode_named(path, &bytes)?;
        let per_example = input.values();
        let fits = match array.shape.as_slice() {
            // Raw values, or flattened ones.
            [values] => values % per_example == 0,
            [_, rest @ ..] => rest.iter().product::<usize>() == per_example,
            [] => false,
        };
        if !fits || array.values.is_empty() {
            bail!("it has the shape {:?}, but the model takes {input}", array.shape);
        }
        if array.values.iter().any(|value| !value.is_finite()) {
            bail!("it has values that are not finite");
        }
        Ok(Examples { count: array.values.len() / per_example, values: array.values })
    };
    read().with_context(|| format!("cannot use {} as input", path.display()))
}
