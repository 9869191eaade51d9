//! `viewer --record`: a walk into a file, without a display.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use super::args::Args;
use super::{Chosen, choose_generator, choose_walk, note};
use crate::model::Generator;
use crate::picture::Picture;
use crate::record::{RecordFormat, RecordOptions, Recording, check, enlargement};
use crate::walk::Walk;

/// Pictures are shown for whole hundredths of a second, and players take one hundredth for ten.
const MOST_GIF_FPS: f64 = 50.0;
/// The images made at once.
const BATCH: usize = 16;

pub(super) fn record(args: &Args, path: &Path) -> anyhow::Result<()> {
    if check(path, args.force)? == RecordFormat::Gif && args.fps > MOST_GIF_FPS {
        bail!(
            "--fps {}: players show a GIF of more than {MOST_GIF_FPS} pictures a second at 10; take fewer, or record to a .png",
            args.fps
        );
    }
    let file = choose_generator(args)?;
    let Chosen { walk, edits, class, .. } = choose_walk(args, &file)?;
    if !file.distribution_is_known {
        note(args, "the model does not say what its latents are drawn from; uniform in [-1, 1] is taken");
    }
    let threads = usize::from(args.threads);
    let (mut generator, engine) = match args.backend {
        Some(engine) => (Generator::open(&file, engine, threads)?, engine),
        None => Generator::open_with_any(&file, threads)?,
    };
    let (rows, columns) = args.grid.unwrap_or((1, 1));
    let walks: Vec<Walk> = (0..rows * columns)
        .map(|index| match index {
            0 => walk.clone(),
            _ => {
                let seed = args.seed.wrapping_add(index as u64);
                let mut other = Walk::random(file.space, seed, walk.len(), walk.interpolation);
                other.closed = walk.closed;
                other
            }
        })
        .collect();
    let width = columns * file.image.width;
    let scale = args.scale.map_or_else(|| enlargement(width), usize::from);
    let frames = args.frames as usize;
    let options = RecordOptions { fps: args.fps, force: args.force };

    let start = Instant::now();
    let mut progress = Progress::new(args, frames);
    let mut recording: Option<Recording> = None;
    let positions: Vec<f64> = walk.positions(frames).collect();
    let mut size = (0, 0);
    // Pictures of a grid are many images each.
    for positions in positions.chunks(BATCH.div_ceil(walks.len())) {
        let mut latents = vec![0.0; positions.len() * walks.len() * file.space.size];
        let places = positions.iter().flat_map(|&position| walks.iter().map(move |walk| (walk, position)));
        for ((walk, position), latent) in places.zip(latents.chunks_exact_mut(file.space.size)) {
            walk.latent_at(position, latent);
            edits.apply(&file.space, latent);
        }
        let images = generator.run(&latents, class)?;
        for tiles in images.pictures.chunks(walks.len()) {
            let picture =
                Picture::tiled(tiles, columns, 0).context("the model gave no image")?.enlarged(scale);
            size = (picture.width, picture.height);
            let recording = match &mut recording {
                Some(recording) => recording,
                none => none.insert(Recording::begin(path, &picture, frames, &options)?),
            };
            recording.add(&picture)?;
            progress.show(recording.frames());
        }
    }
    progress.clear();
    let bytes = recording.context("no picture was made")?.finish()?;
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        let result = json!({
            "model": file.path.display().to_string(), "backend": engine.name(), "engine": generator.describe(),
            "path": path.display().to_string(), "bytes": bytes, "frames": frames, "width": size.0,
            "height": size.1, "fps": args.fps, "interpolation": walk.interpolation.name(),
            "closed": walk.closed, "key_frames": walk.len(), "seconds": seconds,
        });
        latent_files::output!("{result}")?;
    } else {
        latent_files::output!(
            "{frames} pictures of {}x{} in {seconds:.1} s ({}) -> {} ({})",
            size.0,
            size.1,
            generator.describe(),
            path.display(),
            crate::text::size(bytes)
        )?;
    }
    Ok(())
}

/// Progress on stderr: a line that is rewritten on a terminal, a line every ten seconds elsewhere.
struct Progress {
    total: usize,
    quiet: bool,
    terminal: bool,
    last: Instant,
}

impl Progress {
    fn new(args: &Args, total: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { total, quiet: args.quiet, terminal, last: Instant::now() }
    }

    fn show(&mut self, done: usize) {
        let every = if self.terminal { Duration::from_millis(100) } else { Duration::from_secs(10) };
        if !self.quiet && self.last.elapsed() >= every {
            self.last = Instant::now();
            match self.terminal {
                true => eprint!("\rpicture {done} of {}", self.total),
                false => latent_files::say!("picture {done} of {}", self.total),
            }
        }
    }

    fn clear(&self) {
        if self.terminal && !self.quiet {
            eprint!("\r\u{1b}[K");
        }
    }
}
