//! `cargo xtask models`: the models in models/, from data to card.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{setup, shell};

/// A model that is trained, measured and put into models/.
struct Recipe {
    name: &'static str,
    /// What it is, in a sentence.
    about: &'static str,
    /// The training command, without where data and run lie.
    train: &'static [&'static str],
    /// Whether the ONNX file in half precision is small enough to be kept, too.
    onnx: bool,
}

/// The modern recipe, with what would depend on the machine.
macro_rules! modern {
    ($($first:literal),* ; $epochs:literal) => {
        &[
            $($first,)* "--data", "mnist", "--amp", "bf16", "--epochs", $epochs, "--seed", "0", "--threads", "1", "--eval-every", "750",
        ]
    };
}

const RECIPES: [Recipe; 3] = [
    Recipe {
        name: "dcgan-mnist",
        about: "Draws handwritten digits: the generator of the DCGAN of CS231n's Assignment 3.",
        train: modern!("dcgan"; "16"),
        onnx: false,
    },
    Recipe {
        name: "dcgan-nano-mnist",
        about: "Draws handwritten digits on a microcontroller: a DCGAN's generator with a fiftieth of the weights.",
        train: modern!("dcgan", "--size", "nano"; "12"),
        onnx: true,
    },
    Recipe {
        name: "digits-mnist",
        about: "Draws the handwritten digit that is asked for: a class-conditional DCGAN's generator with a thirteenth of the weights.",
        train: modern!("dcgan", "--size", "small", "--conditional"; "12"),
        onnx: false,
    },
];

/// What each is packed in and measured.
const PRECISIONS: [&str; 4] = ["f32", "f16", "int8", "int4"];

#[derive(Args)]
pub(crate) struct ModelsArgs {
    /// Models to make again [default: all]
    #[arg(value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(RECIPES.map(|r| r.name)))]
    names: Vec<String>,
    /// Where data sets lie [default: $LATENT_DATA, else data/]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the runs lie; a run that is there goes on, and a finished one is only measured
    #[arg(long, value_name = "DIR", default_value = "runs/models")]
    runs: PathBuf,
}

/// Trains, exports, packs and measures each model, and writes its files, its sample sheet and its card.
pub(crate) fn run(args: &ModelsArgs) -> Result<()> {
    setup::run(&setup::SetupArgs::default())?;
    let packages = ["latent-trainer", "latent-exporter", "latent-runtime-cli"];
    let packages = packages.into_iter().flat_map(|package| ["--package", package]);
    shell::run(shell::cargo().args(["build", "--release", "--bins"]).args(packages))?;
    for recipe in RECIPES.iter().filter(|r| args.names.is_empty() || args.names.iter().any(|n| n == r.name)) {
        make(recipe, args).with_context(|| format!("cannot make {}", recipe.name))?;
    }
    Ok(())
}

fn make(recipe: &Recipe, args: &ModelsArgs) -> Result<()> {
    let (name, run) = (recipe.name, args.runs.join(recipe.name));
    let data = args.data_dir.as_deref().map(|dir| ["--data-dir".as_ref(), dir.as_os_str()]);
    // Going on with a run checks that its settings are the recipe's; a finished one is left as it is.
    let into = if run.join("run.json").exists() { "--resume" } else { "--out" };
    shell::run(
        shell::program("trainer")
            .args(recipe.train)
            .args(data.iter().flatten())
            .arg(into)
            .arg(&run)
            .arg("--quiet"),
    )?;

    let work = crate::root().join("target/models").join(name);
    let models = crate::root().join("models");
    fs::create_dir_all(&work)?;
    let onnx = work.join(format!("{name}.fp32.onnx"));
    let half = work.join(format!("{name}.fp16.onnx"));
    let packed = |precision: &str| work.join(format!("{name}.{precision}.lat"));
    shell::run(
        shell::program("exporter")
            .arg("export")
            .arg(&run)
            .arg("--out")
            .arg(&work)
            .args(["--name", name, "--force"]),
    )?;
    shell::run(
        shell::program("exporter")
            .arg("convert")
            .arg(&onnx)
            .args(["--precision", "fp16", "--force", "--out"])
            .arg(&half),
    )?;
    for precision in PRECISIONS {
        shell::run(
            shell::program("exporter")
                .arg("pack")
                .arg(&onnx)
                .args(["--precision", precision, "--force", "--out"])
                .arg(packed(precision)),
        )?;
    }

    let mut judged = Vec::new();
    for precision in PRECISIONS {
        let mut eval = shell::program("trainer");
        eval.arg("eval")
            .arg(packed(precision))
            .args(data.iter().flatten())
            .args(["--data", "mnist", "--json"]);
        if precision != "int8" {
            eval.args(["--lookups", "0"]);
        }
        judged.push((precision, json(&mut eval)?));
    }
    let bench = json(
        shell::program("runtime").arg("bench").arg(&onnx).args(PRECISIONS.map(packed)).args(["--json"]),
    )?;
    let plan = json(shell::program("runtime").args(["inspect", "--json"]).arg(packed("int8")))?;

    let mut kept = vec![packed("int8")];
    if recipe.onnx {
        kept.push(half);
    }
    for file in &kept {
        let to = models.join(file.file_name().unwrap_or_default());
        fs::copy(file, &to).with_context(|| format!("cannot write {}", to.display()))?;
    }
    let sheet = models.join(format!("{name}.png"));
    let mut draw = shell::program("runtime");
    draw.arg("run").arg(packed("int8")).args(["--seed", "7", "--force", "--out"]).arg(&sheet);
    // A column for each digit that can be asked for.
    let shown: &[&str] = if recipe.train.contains(&"--conditional") {
        &["--count", "60", "--columns", "10", "--label", "0,1,2,3,4,5,6,7,8,9"]
    } else {
        &["--count", "60", "--columns", "12"]
    };
    shell::run(draw.args(shown))?;
    let card =
        card(recipe, &Measured { run: &run, kept: &kept, judged: &judged, bench: &bench, plan: &plan })?;
    let path = models.join(format!("{name}.md"));
    fs::write(&path, card).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {}, its files and its sheet", path.display());
    Ok(())
}

fn json(command: &mut std::process::Command) -> Result<Value> {
    Ok(serde_json::from_str(&shell::output(command)?)?)
}

/// What a card tells.
struct Measured<'a> {
    run: &'a Path,
    kept: &'a [PathBuf],
    /// By precision, what `trainer eval` says.
    judged: &'a [(&'a str, Value)],
    bench: &'a Value,
    plan: &'a Value,
}

fn card(recipe: &Recipe, measured: &Measured<'_>) -> Result<String> {
    let Measured { run, kept, judged, bench, plan } = measured;
    let name = recipe.name;
    let path = run.join("run.json");
    let info: Value = serde_json::from_str(
        &fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?,
    )?;
    if info["progress"]["finished"] != true {
        bail!("{} is not finished; run the same command again", run.display());
    }
    let mut text = format!(
        "# {name}\n\n{} Written by `cargo xtask models {name}`.\n\n![Samples of seed 7]({name}.png)\n\n| file | bytes | SHA-256 |\n\
         |---|---|---|\n",
        recipe.about
    );
    for file in *kept {
        let bytes = fs::read(file)?;
        let digest = Sha256::digest(&bytes);
        let digest = digest.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let file = file.file_name().unwrap_or_default().to_string_lossy();
        writeln!(text, "| `{file}` | {} | `{digest}` |", bytes.len())?;
    }
    writeln!(
        text,
        "\nIt takes {} latent values, {} between {} and {},{} and gives images of {}x{}x{}, -1 black, 1 white: {} multiplications \
         an image, {} bytes of working memory in int8.\n",
        info["latent"]["size"],
        info["latent"]["distribution"].as_str().unwrap_or_default(),
        info["latent"]["low"],
        info["latent"]["high"],
        info["classes"]["count"]
            .as_u64()
            .map_or(String::new(), |n| format!(" and one of {n} classes (`--label`),")),
        info["image"]["channels"],
        info["image"]["height"],
        info["image"]["width"],
        plan["multiply_accumulates"],
        plan["arena_bytes"],
    )?;

    let (progress, best) = (&info["progress"], &info["figures"]["best"]);
    writeln!(
        text,
        "## How it was made\n\n```sh\ntrainer {} --out runs/{name}\nexporter export runs/{name} --out . --name {name}\n\
         exporter pack {name}.fp32.onnx --precision int8 --out models/{name}.int8.lat\n```\n\n{} training images of MNIST \
         (CRC-32C {:08x}), {} iterations in {:.0} minutes on one thread of a machine that had other work; no test image was used \
         to train. Every 750 iterations {} samples were compared with training images, and the checkpoint with the least \
         Fréchet distance is the one that is exported, iteration {}:\n",
        recipe.train.join(" "),
        info["data"]["images"],
        info["data"]["crc32c"].as_u64().unwrap_or(0),
        progress["iterations"],
        progress["seconds"].as_f64().unwrap_or(0.0) / 60.0,
        info["hyperparameters"]["eval_samples"],
        best["iteration"],
    )?;
    curve(&mut text, &run.join("metrics.csv"))?;

    let scorer = &judged[0].1["scorer"];
    writeln!(
        text,
        "## Quality\n\n`trainer eval {name}.PRECISION.lat --data mnist`: {} images compared with {} training images by the features of a \
         classifier that is right on {:.2} % of the test images. Distances of one scorer are not those of another, nor of \
         Inception features.\n",
        judged[0].1["generated"]["samples"],
        judged[0].1["real_images"],
        100.0 * scorer["test_accuracy"].as_f64().unwrap_or(0.0),
    )?;
    text += "| | Fréchet | kernel distance | score | confident | classes' KL | precision, recall | density, coverage |\n";
    text += "|---|---|---|---|---|---|---|---|\n";
    let rows = judged.iter().map(|(precision, of)| (*precision, &of["generated"]));
    let anchors = [("test images", &judged[0].1["test_images"]), ("noise", &judged[0].1["noise"])];
    for (what, of) in rows.chain(anchors) {
        let figure = |key: &str| of[key].as_f64().unwrap_or(f64::NAN);
        writeln!(
            text,
            "| {what} | {:.2} | {:.2} | {:.2} | {:.1} % | {:.3} | {:.3}, {:.3} | {:.3}, {:.3} |",
            figure("frechet"),
            figure("kernel"),
            figure("score"),
            100.0 * figure("confident"),
            figure("class_divergence"),
            figure("precision"),
            figure("recall"),
            figure("density"),
            figure("coverage"),
        )?;
    }
    if let Some((_, of)) = judged.iter().find(|(precision, _)| *precision == "int8") {
        writeln!(
            text,
            "\nIn int8, {:.1} % of {} images are nearer to a training image than all but 1 % of test images are.\n",
            100.0 * of["memorization"]["suspicious"].as_f64().unwrap_or(f64::NAN),
            of["memorization"]["samples"],
        )?;
    }

    writeln!(
        text,
        "## Speed\n\n`runtime bench`, one thread, batch 1, medians; {}, {}:\n\n| engine | file | median | opening to first output | \
         PSNR from fp32 |\n|---|---|---|---|---|",
        bench["machine"]["cpu"].as_str().unwrap_or_default(),
        bench["machine"]["instruction_set"].as_str().unwrap_or_default(),
    )?;
    for line in bench["contenders"].as_array().into_iter().flatten() {
        let psnr =
            line["difference"]["psnr_db"].as_f64().map_or("".to_owned(), |psnr| format!("{psnr:.1} dB"));
        writeln!(
            text,
            "| {} | {} bytes | {:.0} us | {:.2} ms | {psnr} |",
            line["engine"].as_str().unwrap_or_default(),
            line["bytes"],
            line["p50_us"].as_f64().unwrap_or(f64::NAN),
            line["first_output_ms"].as_f64().unwrap_or(f64::NAN),
        )?;
    }
    text += "\nMNIST (Y. LeCun, C. Cortes, C. J. C. Burges) is commonly given as CC BY-SA 3.0.\n";
    Ok(text)
}

/// The Fréchet distances that were measured while it was trained.
fn curve(text: &mut String, metrics: &Path) -> Result<()> {
    let csv = fs::read_to_string(metrics).with_context(|| format!("cannot read {}", metrics.display()))?;
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = lines.next().unwrap_or_default();
    let column = |name: &str| {
        names.iter().position(|n| *n == name).with_context(|| format!("{} has no {name}", metrics.display()))
    };
    let (iteration, frechet) = (column("iteration")?, column("frechet")?);
    let points: Vec<(&str, f64)> =
        lines.filter_map(|line| Some((*line.get(iteration)?, line.get(frechet)?.parse().ok()?))).collect();
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    *text += &row(points.iter().map(|(iteration, _)| (*iteration).to_owned()).collect());
    *text += &row(points.iter().map(|_| "---".to_owned()).collect());
    *text += &row(points.iter().map(|(_, frechet)| format!("{frechet:.1}")).collect());
    *text += "\n";
    Ok(())
}
