//! `cargo xtask demo`: the main job from end to end, on data that the program draws itself.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::{setup, shell};

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// What to train: vanilla, lsgan or dcgan
    #[arg(long, default_value = "dcgan", value_parser = ["vanilla", "lsgan", "dcgan"])]
    gan: String,
    /// Training iterations
    #[arg(long, default_value_t = 1000)]
    iterations: u32,
    /// Also run the model in tract, whose first build takes about ten minutes on two cores
    #[arg(long)]
    tract: bool,
    /// Where to write [default: the first of out/demo, out/demo-2, ... that is not there yet]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// The programs by package; all are built here.
const PACKAGES: [&str; 4] = ["latent-trainer", "latent-exporter", "latent-runtime-cli", "latent-viewer"];

/// Trains a GAN, exports and packs its generator, runs it in every engine, records a walk, and leaves the pictures.
pub(crate) fn run(args: &DemoArgs) -> Result<()> {
    let start = Instant::now();
    setup::run(&setup::SetupArgs::default())?;
    let mut build = shell::cargo();
    build.args(["build", "--release", "--bins"]);
    build.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    if args.tract {
        build.args(["--features", "latent-runtime-cli/tract"]);
    }
    shell::run(&mut build)?;

    let out = args.out.clone().unwrap_or_else(free_folder);
    let run = out.join("run");
    let iterations = args.iterations.to_string();
    shell::run(
        shell::program("trainer")
            .args([&args.gan, "--data", "synth-digits", "--iterations", &iterations, "--out"])
            .arg(&run),
    )?;
    shell::run(shell::program("trainer").arg("sample").arg(&run).arg("--out").arg(out.join("trainer.png")))?;
    let mut pictures = vec![
        ("run/samples/final.png", "what the generator made at the end of training"),
        ("run/losses.png", "the losses"),
        ("trainer.png", "64 images, drawn by the trainer"),
    ];
    pictures.extend(use_run(&run, &args.gan, &out, args.tract)?);

    println!();
    println!("Done in {:.0} s. Look at:", start.elapsed().as_secs_f64());
    for (file, what) in pictures {
        println!("  {:40} {what}", relative(&out.join(file)));
    }
    Ok(())
}

/// What one does with a run: exports and packs the generator, runs both forms, records a walk. Returns the pictures, each
/// with what it shows.
fn use_run(run: &Path, name: &str, out: &Path, tract: bool) -> Result<Vec<(&'static str, &'static str)>> {
    let (onnx, packed) = (out.join(format!("{name}.fp32.onnx")), out.join(format!("{name}.int8.lat")));
    shell::run(
        shell::program("exporter").arg("export").arg(run).arg("--out").arg(out).args(["--name", name]),
    )?;
    shell::run(
        shell::program("exporter").arg("pack").arg(&onnx).args(["--precision", "int8", "--out"]).arg(&packed),
    )?;
    shell::run(shell::program("runtime").arg("inspect").arg(&onnx))?;
    let mut engines = vec![("ort", &onnx, "ort.png", "the exported model, run by ONNX Runtime")];
    if tract {
        engines.push(("tract", &onnx, "tract.png", "the same images, run by tract"));
    }
    engines.push((
        "native",
        &packed,
        "native.png",
        "the same images in 8-bit integers, by Latent's own engine",
    ));
    let mut pictures = Vec::new();
    for (back_end, model, picture, what) in engines {
        shell::run(
            shell::program("runtime")
                .arg("run")
                .arg(model)
                .args(["--backend", back_end, "--seed", "7", "--count", "64", "--out"])
                .arg(out.join(picture)),
        )?;
        pictures.push((picture, what));
    }
    shell::run(
        shell::program("viewer")
            .arg(&packed)
            .arg("--record")
            .arg(out.join("walk.gif"))
            .args(["--frames", "64", "--seed", "7"]),
    )?;
    pictures.push(("walk.gif", "a walk through the latent space"));
    Ok(pictures)
}

/// The first of out/demo, out/demo-2, ... that is not there: an earlier demo's pictures stay.
fn free_folder() -> PathBuf {
    let root = crate::root().join("out");
    (1..)
        .map(|n| if n == 1 { root.join("demo") } else { root.join(format!("demo-{n}")) })
        .find(|folder| !folder.exists())
        .unwrap_or(root)
}

fn relative(path: &Path) -> String {
    path.strip_prefix(crate::root()).unwrap_or(path).display().to_string()
}
