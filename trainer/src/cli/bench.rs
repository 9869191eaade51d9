//! `trainer bench-step`: the speed of a training step, for comparison with `benches/pytorch_gan.py`.

use std::fs;
use std::time::Instant;

use clap::Args;
use latent_runtime::rng::Rng;
use serde_json::json;
use tch::Tensor;

use super::common::net_kinds;
use crate::device;
use crate::gan::architecture::{ImageShape, NetKind};
use crate::gan::batches::Batches;
use crate::gan::losses::LossKind;
use crate::gan::model::Gan;
use crate::gan::noise::Noise;
use crate::gan::settings::GanSettings;
use crate::run_folder::LatentDistribution;
use crate::settings::{Amp, CommonSettings};

/// Options of `trainer bench-step`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Networks
    #[arg(long, value_parser = net_kinds(), default_value_t = NetKind::Dcgan)]
    net: NetKind,
    /// Losses
    #[arg(long, value_enum, default_value_t = LossKind::Bce)]
    loss: LossKind,
    /// Images per step
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(2..=1 << 16))]
    batch: u32,
    /// Iterations that are timed
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    iterations: u64,
    /// Iterations before, which are not
    #[arg(long, default_value_t = 10)]
    warmup: u64,
    /// Precision of matrix products and convolutions
    #[arg(long, value_enum, default_value_t = Amp::Off)]
    amp: Amp,
    /// Threads on the CPU [default: one per core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: BenchArgs) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        tch::set_num_threads(i32::from(threads));
    }
    let device = device::choose(&args.device)?;
    let batch = args.batch as usize;
    let train_images = 100 * batch;
    let options = GanSettings {
        common: CommonSettings { batch, train_images, amp: args.amp, ..CommonSettings::default() },
        net: args.net,
        beta1: 0.5,
        beta2: 0.999,
        d_lr: 1e-3,
        g_lr: 1e-3,
        ..GanSettings::new(args.loss)
    };
    let image = ImageShape { channels: 1, height: 28, width: 28 };
    let mut rng = Rng::from_seed(0);
    let mut gan = Gan::new(&options, image, None, &mut rng, device)?;
    let pixels: Vec<u8> = (0..train_images * 784).map(|_| rng.below(256) as u8).collect();
    let mut batches = Batches::new(&pixels, train_images, image, batch, None, device)?;
    let distribution = LatentDistribution::from(options.distribution).into();
    let mut noise = Noise::new(rng, distribution, options.latent_size, device);

    for iteration in 0..args.warmup {
        let _ = gan.step(iteration, &mut batches, &mut noise)?;
    }
    device::wait(device);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut last = None;
    for iteration in args.warmup..args.warmup + args.iterations {
        last = Some(gan.step(iteration, &mut batches, &mut noise)?);
    }
    let losses: Vec<f32> = last.map(|t: Tensor| Vec::try_from(t)).transpose()?.unwrap_or_default();
    device::wait(device);
    let seconds = start.elapsed().as_secs_f64();
    let cpu = cpu_seconds().zip(cpu).map(|(end, start)| end - start);
    let speed = args.iterations as f64 / seconds;
    if args.json {
        let result = json!({
            "engine": format!("latent-trainer {}, libtorch {}", env!("CARGO_PKG_VERSION"), super::LIBTORCH),
            "net": args.net, "loss": args.loss, "amp": args.amp, "threads": tch::get_num_threads(),
            "iterations": args.iterations, "seconds": seconds, "iterations_per_second": speed,
            "cpu_seconds": cpu,
            "d_loss": losses.first(), "g_loss": losses.get(1),
        });
        latent_files::output!("{result}")?;
    } else {
        latent_files::output!(
            "{} {}: {speed:.2} it/s ({} in {seconds:.2} s)",
            args.net,
            args.loss,
            args.iterations
        )?;
    }
    Ok(())
}

/// Processor time of this process so far, over all threads, where the system tells (Linux): on a busy machine it says more
/// than the clock does.
fn cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses; user and system time are the 14th and 15th.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    // Linux counts in hundredths of a second for programs, whatever the kernel's own clock is.
    Some(ticks / 100.0)
}
