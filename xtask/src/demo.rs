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

/// Trains a GAN, exports its generator, runs it and leaves the pictures.
pub(crate) fn run(args: &DemoArgs) -> Result<()> {
    let start = Instant::now();
    setup::run(&setup::SetupArgs::default())?;
    let features = if args.tract { "latent-runtime/tract" } else { "latent-runtime/default" };
    shell::run(
        shell::cargo()
            .args([
                "build",
                "--release",
                "--bins",
                "--package",
                "latent-trainer",
                "--package",
                "latent-exporter",
            ])
            .args(["--package", "latent-runtime", "--features", features]),
    )?;

    let out = args.out.clone().unwrap_or_else(free_folder);
    let run = out.join("run");
    let iterations = args.iterations.to_string();
    shell::run(
        shell::program("trainer")
            .args([&args.gan, "--data", "synth-digits", "--iterations", &iterations, "--out"])
            .arg(&run),
    )?;
    shell::run(shell::program("trainer").arg("sample").arg(&run).arg("--out").arg(out.join("trainer.png")))?;
    shell::run(
        shell::program("exporter").arg("export").arg(&run).arg("--out").arg(&out).args(["--name", &args.gan]),
    )?;
    let model = out.join(format!("{}.fp32.onnx", args.gan));
    shell::run(shell::program("runtime").arg("inspect").arg(&model))?;
    let back_ends: &[&str] = if args.tract { &["ort", "tract"] } else { &["ort"] };
    for back_end in back_ends {
        let picture = out.join(format!("{back_end}.png"));
        shell::run(
            shell::program("runtime")
                .arg("run")
                .arg(&model)
                .args(["--backend", back_end, "--seed", "7", "--count", "64", "--out"])
                .arg(&picture),
        )?;
    }

    println!();
    println!("Done in {:.0} s. Look at:", start.elapsed().as_secs_f64());
    for (file, what) in [
        ("run/samples/final.png", "what the generator made at the end of training"),
        ("run/losses.png", "the losses"),
        ("ort.png", "the exported model, run by ONNX Runtime"),
    ] {
        println!("  {:40} {what}", relative(&out.join(file)));
    }
    Ok(())
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
