//! `trainer bench-augment`: how many views of images can be made in a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;
use tch::Device;

use crate::data::{DataSpec, LoadOptions, Split};
use crate::device;
use crate::simclr::augment::{
    AugmentSettings, DeviceRenderer, Normalization, Renderer, ViewOptions, ViewSource,
};

/// Options of `trainer bench-augment`.
#[derive(Debug, Args)]
pub struct BenchAugmentArgs {
    /// Images to make views of
    #[arg(long, value_name = "DATA", default_value = "synth-objects:5000")]
    data: DataSpec,
    /// How strongly views differ from their image
    #[arg(long, value_enum, default_value_t = Strength::Modern)]
    augment: Strength,
    /// What is measured
    #[arg(long, value_enum, default_value_t = What::Pairs)]
    what: What,
    /// Images in a batch; there are twice as many views
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    batch: u32,
    /// How long to measure
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Threads on the CPU [default: one per core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// auto, cpu, cuda or cuda:N; on anything but cpu views are made by tensor operations
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which settings of the augmentation.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Strength {
    /// Crops from 0.08 of the area, gray 0.2
    Reference,
    /// Crops from 0.2 of the area, gray 0.1
    Modern,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    /// Views written into memory by the CPU
    Pairs,
    /// The batches of tensors that training takes
    Source,
    /// Views made by tensor operations, on any device
    Tensors,
}

pub fn run(args: BenchAugmentArgs) -> anyhow::Result<()> {
    if let Some(threads) = args.threads {
        tch::set_num_threads(i32::from(threads));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads));
        pool.build_global().context("cannot set the number of threads")?;
    }
    let device = device::choose(&args.device)?;
    let data = Arc::new(args.data.load(Split::Train, &LoadOptions::default())?);
    let batch = (args.batch as usize).min(data.len());
    let settings = match args.augment {
        Strength::Reference => AugmentSettings::REFERENCE,
        Strength::Modern => AugmentSettings::MODERN,
    };
    let by = Normalization::CIFAR10;
    let renderer = Renderer::new(&data, settings, by)?;
    let what = if device == Device::Cpu || args.what == What::Source { args.what } else { What::Tensors };

    let images: Vec<u32> = (0..batch as u32).collect();
    let mut step: Box<dyn FnMut(u64) -> anyhow::Result<()>> = match what {
        What::Pairs => {
            let mut out = vec![0f32; 2 * batch * renderer.view_len()];
            Box::new(move |index| Ok(renderer.pairs(0, index, &images, &mut out)?))
        }
        What::Source => {
            let options =
                ViewOptions { settings, normalization: by, seed: 0, batch, shuffle: true, start: 0, device };
            let mut source = ViewSource::new(Arc::clone(&data), options)?;
            Box::new(move |index| {
                source.get(index)?;
                Ok(())
            })
        }
        What::Tensors => {
            let tensors = DeviceRenderer::new(&data, &settings, by, device)?;
            let twice = [&images[..], &images[..]].concat();
            Box::new(move |index| {
                let _ = tensors.render(&twice, &renderer.draw(0, index, &images))?;
                Ok(())
            })
        }
    };
    for index in 0..3 {
        step(index)?;
    }
    device::wait(device);
    let length = Duration::try_from_secs_f64(args.seconds).context("--seconds is no length of time")?;
    let (start, mut batches) = (Instant::now(), 0u64);
    while start.elapsed() < length || batches == 0 {
        step(3 + batches)?;
        batches += 1;
        if device != Device::Cpu && batches.is_multiple_of(16) {
            // Otherwise the loop would only measure how fast work is handed over.
            device::wait(device);
        }
    }
    device::wait(device);
    let seconds = start.elapsed().as_secs_f64();
    let views = batches * 2 * batch as u64;
    let speed = views as f64 / seconds;
    let threads = rayon::current_num_threads();
    if args.json {
        let result = json!({
            "what": what, "augment": args.augment, "data": data.source, "batch": batch, "threads": threads,
            "device": args.device, "views": views, "seconds": seconds, "views_per_second": speed,
        });
        latent_files::output!("{result}")?;
    } else {
        latent_files::output!("{speed:.0} views/s ({views} in {seconds:.2} s, {threads} threads)")?;
    }
    Ok(())
}
