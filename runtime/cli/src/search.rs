//! `runtime search`: the nearest neighbors of an image among stored embeddings.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use latent_files::atomic::{self, Existing};
use latent_runtime::gallery::{Neighbor, Storage, Vote, vote};
use serde_json::json;

use super::embeddings::Embeddings;
use super::encoder::{self, Encoder, EngineArgs};
use super::print;
use latent_files::pictures;
use latent_files::sheet::{Compression, Gap, Sheet};
use latent_files::text::{Align, table};

/// Find the images most similar to an image among stored embeddings.
///
/// Similarity is the cosine of the angle between two embeddings. The neighbors vote for their classes, each with weight
/// exp(similarity / temperature).
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SearchArgs {
    /// Embeddings that `runtime embed` stored (.safetensors)
    embeddings: PathBuf,
    /// PNG and JPEG files, and folders of them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// The encoder that the embeddings are from, in any form: a packed model (.lat) or an ONNX file
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// How many neighbors are found for each image
    #[arg(short, long = "neighbors", alias = "neighbours", default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    k: u32,
    /// The temperature of the vote: the lower, the more the nearest count
    #[arg(long, default_value_t = 0.5, value_name = "T")]
    temperature: f32,
    #[command(flatten)]
    engine: EngineArgs,
    /// Write a picture: a row for each image, first the image, then its neighbors, read from where they were
    #[arg(long, value_name = "PNG")]
    out: Option<PathBuf>,
    /// Each pixel of the model's images becomes K x K pixels of the picture
    #[arg(long, default_value_t = 2, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=64))]
    scale: u32,
    /// Overwrite the picture
    #[arg(long)]
    force: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  runtime search pets.safetensors photo.jpg --model encoder.int8.lat
  runtime search pets.safetensors new/ --model encoder.fp32.onnx -k 10 \\
      --out neighbors.png
  runtime search bank.safetensors photo.jpg --model simclr.onnx --output h";

pub(crate) fn run(args: &SearchArgs) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        atomic::check(out, Existing::forced(args.force))?;
        atomic::check_apart(out, args.images.iter().chain([&args.model, &args.embeddings]))?;
    }
    let stored = Embeddings::read(&args.embeddings)?;
    let files = encoder::find(&args.images)?;
    let mut encoder = Encoder::open(&args.model, &args.engine)?;
    let dimension = encoder.dimension();
    if dimension != stored.dimension {
        bail!(
            "{} holds embeddings of {} values (made by {}), but {} gives {dimension}",
            args.embeddings.display(),
            stored.dimension,
            stored.model,
            args.model.display()
        );
    }
    let mut memory = stored.gallery_memory(Storage::F32)?;
    let gallery = stored
        .in_gallery(&mut memory, Storage::F32)
        .with_context(|| format!("cannot search {}", args.embeddings.display()))?;
    let embedded = encoder.embed(&files, false)?;
    let k = (args.k as usize).min(stored.len());
    let mut results = Vec::new();
    for (query, file) in embedded.values.chunks_exact(dimension).zip(&embedded.files) {
        let (mut neighbors, mut votes) = (vec![Neighbor::default(); k], vec![Vote::default(); k]);
        let name = || format!("the embedding of {}", file.path.display());
        let found = gallery.nearest(query, &mut neighbors).with_context(name)?;
        let votes = vote(found, args.temperature, &mut votes)?.to_vec();
        results.push(Found { name: file.path.display().to_string(), neighbors, votes });
    }
    if let Some(out) = &args.out {
        atomic::write_file(out, &draw(args, &encoder, &stored, &results)?, Existing::forced(args.force))?;
    }
    if args.json {
        let result = json!({
            "embeddings": args.embeddings.display().to_string(), "stored": stored.len(),
            "model": args.model.display().to_string(), "backend": encoder.kind.name(),
            "engine": encoder.backend.describe(), "results": results.iter().map(|found| found.json(&stored)).collect::<Vec<_>>(),
        });
        return print(&format!("{result}\n"));
    }
    print(&results.iter().map(|found| found.text(&stored)).collect::<Vec<_>>().join("\n"))
}

/// What was found for one image.
struct Found {
    name: String,
    neighbors: Vec<Neighbor>,
    votes: Vec<Vote>,
}

impl Found {
    fn json(&self, stored: &Embeddings) -> serde_json::Value {
        let votes =
            self.votes.iter().map(|vote| json!({ "class": stored.class(vote.label), "share": vote.share }));
        let neighbors = self.neighbors.iter().map(|neighbor| {
            json!({
                "image": stored.names.get(neighbor.index), "class": stored.class(neighbor.label),
                "similarity": neighbor.similarity,
            })
        });
        json!({
            "image": self.name, "class": self.votes.first().map(|vote| stored.class(vote.label)),
            "votes": votes.collect::<Vec<_>>(), "neighbors": neighbors.collect::<Vec<_>>(),
        })
    }

    fn text(&self, stored: &Embeddings) -> String {
        let votes: Vec<String> = self
            .votes
            .iter()
            .take(5)
            .map(|vote| format!("{} {:.2}", stored.class(vote.label), vote.share))
            .collect();
        let rows: Vec<Vec<String>> = self
            .neighbors
            .iter()
            .enumerate()
            .map(|(place, neighbor)| {
                vec![
                    (place + 1).to_string(),
                    format!("{:.4}", neighbor.similarity),
                    stored.class(neighbor.label).to_string(),
                    stored.names.get(neighbor.index).cloned().unwrap_or_default(),
                ]
            })
            .collect();
        let head = format!("{}: {}\n", self.name, votes.join(", "));
        latent_files::text::printable(head.trim_end()).into_owned()
            + "\n"
            + &table(&[Align::Right, Align::Right, Align::Left, Align::Left], &rows)
    }
}

/// A row for each image: itself and its neighbors.
fn draw(
    args: &SearchArgs,
    encoder: &Encoder,
    stored: &Embeddings,
    results: &[Found],
) -> anyhow::Result<Vec<u8>> {
    let columns = 1 + results.first().map_or(0, |found| found.neighbors.len());
    let (scale, image) = (args.scale as usize, encoder.shape);
    let shape = (image.channels, image.height, image.width);
    let sheet = Sheet { count: results.len() * columns, columns, scale, shape, gap: Gap::BLACK };
    sheet.size()?;
    let mut drawn = Vec::new();
    for found in results {
        let neighbors = found.neighbors.iter().filter_map(|neighbor| stored.names.get(neighbor.index));
        for name in std::iter::once(&found.name).chain(neighbors) {
            let read = pictures::open(name.as_ref())
                .context("drawing --out (is this the folder that they were embedded from?)")?;
            drawn.push(read.into_shape(shape)?);
        }
    }
    Ok(sheet.png(&drawn, Compression::Balanced)?)
}
