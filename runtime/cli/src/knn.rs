//! `runtime knn`: how well embeddings tell classes apart.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use latent_runtime::gallery::{GalleryError, GalleryView, Neighbor, Vote};
use serde_json::json;

use super::embed::Kept;
use super::embeddings::Embeddings;
use super::print;
use latent_files::text::{Align, table};

/// Classify embeddings by their nearest neighbors among others, and tell how often that is right.
///
/// Both files are what `runtime embed` stored, with the folder of each image as its class. The k nearest of the bank vote
/// with weight exp(similarity / temperature). With the same images embedded by a model's other precisions and on other back
/// ends, it tells what they cost.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KnnArgs {
    /// The embeddings that vote (.safetensors)
    bank: PathBuf,
    /// The embeddings that are classified (.safetensors)
    queries: PathBuf,
    /// How many neighbors vote
    #[arg(short, long = "neighbors", alias = "neighbours", default_value_t = 200, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    k: u32,
    /// The temperature of the vote
    #[arg(long, default_value_t = 0.5, value_name = "T")]
    temperature: f32,
    /// How the bank is kept: i8 is what a device with little memory does
    #[arg(long, value_enum, default_value_t = Kept::F32, value_name = "TYPE")]
    store: Kept,
    /// The threads; 0 takes one for each core
    #[arg(long, default_value_t = 0, value_name = "T", value_parser = clap::value_parser!(u16).range(..=1024))]
    threads: u16,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  runtime embed encoder.int8.lat cifar10-images/train --out bank.safetensors
  runtime embed encoder.int8.lat cifar10-images/test --out queries.safetensors
  runtime knn bank.safetensors queries.safetensors";

/// Ranks that count as right for the second figure.
const TOP: usize = 5;

/// How often one class was right.
#[derive(Clone, Copy, Default)]
struct Score {
    queries: usize,
    first: usize,
    among_first: usize,
}

impl Score {
    fn add(&mut self, other: &Score) {
        self.queries += other.queries;
        self.first += other.first;
        self.among_first += other.among_first;
    }

    /// In percent: right at first, and among the first [`TOP`].
    fn percent(&self) -> [f64; 2] {
        [self.first, self.among_first].map(|right| 100.0 * right as f64 / self.queries.max(1) as f64)
    }
}

pub(crate) fn run(args: &KnnArgs) -> anyhow::Result<()> {
    let (bank, queries) = (Embeddings::read(&args.bank)?, Embeddings::read(&args.queries)?);
    if bank.dimension != queries.dimension {
        bail!(
            "{} holds embeddings of {} values, {} of {}: they are of different models",
            args.bank.display(),
            bank.dimension,
            args.queries.display(),
            queries.dimension
        );
    }
    let labels = bank.labels_of(&queries);
    if let Some(at) = labels.iter().position(Option::is_none) {
        let (class, bank) = (&queries.classes[at], args.bank.display());
        bail!("{} has images of class \"{class}\", of which {bank} has none", args.queries.display());
    }
    let labels: Vec<u32> = labels.into_iter().flatten().collect();
    let mut memory = bank.gallery_memory(args.store.into())?;
    let gallery = bank
        .in_gallery(&mut memory, args.store.into())
        .with_context(|| format!("cannot search {}", args.bank.display()))?;
    let scores = evaluate(args, gallery.view(), &queries, &labels)?;
    let mut all = Score::default();
    scores.iter().for_each(|score| all.add(score));
    let [first, among_first] = all.percent();
    if args.json {
        let classes = queries.classes.iter().zip(&scores).map(|(class, score)| {
            let [first, among_first] = score.percent();
            json!({ "class": class, "queries": score.queries, "top1": first, "top5": among_first })
        });
        let result = json!({
            "bank": args.bank.display().to_string(), "queries": args.queries.display().to_string(),
            "model": queries.model, "embeddings": [bank.len(), queries.len()], "k": args.k,
            "temperature": args.temperature, "top1": first, "top5": among_first, "classes": classes.collect::<Vec<_>>(),
        });
        return print(&format!("{result}\n"));
    }
    let row = |name: &str, score: &Score| {
        let [first, among_first] = score.percent();
        vec![name.to_string(), score.queries.to_string(), format!("{first:.2}"), format!("{among_first:.2}")]
    };
    let mut rows = vec![["class", "queries", "top-1 %", "top-5 %"].map(String::from).to_vec()];
    rows.extend(queries.classes.iter().zip(&scores).map(|(class, score)| row(class, score)));
    rows.push(row("all", &all));
    let align = [Align::Left, Align::Right, Align::Right, Align::Right];
    print(&format!(
        "{} queries among {}, {} neighbors, temperature {}\n{}",
        queries.len(),
        bank.len(),
        args.k,
        args.temperature,
        table(&align, &rows)
    ))
}

/// The score of each class of the queries; `labels` are the bank's for them.
fn evaluate(
    args: &KnnArgs,
    bank: GalleryView<'_>,
    queries: &Embeddings,
    labels: &[u32],
) -> anyhow::Result<Vec<Score>> {
    let threads = match args.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads.into(),
    };
    let k = (args.k as usize).min(bank.len());
    let all: Vec<(&[f32], u32)> =
        queries.values.chunks_exact(queries.dimension).zip(queries.labels.iter().copied()).collect();
    let temperature = args.temperature;
    let part = |part: &[(&[f32], u32)]| -> Result<Vec<Score>, GalleryError> {
        let mut scores = vec![Score::default(); labels.len()];
        let (mut neighbors, mut votes) = (vec![Neighbor::default(); k], [Vote::default(); TOP]);
        for &(query, class) in part {
            let votes = bank.classify(query, temperature, &mut neighbors, &mut votes)?;
            let right = |vote: &Vote| labels.get(class as usize) == Some(&vote.label);
            if let Some(score) = scores.get_mut(class as usize) {
                score.add(&Score {
                    queries: 1,
                    first: votes.first().is_some_and(right).into(),
                    among_first: votes.iter().any(right).into(),
                });
            }
        }
        Ok(scores)
    };
    let shares = all.chunks(all.len().div_ceil(threads).max(1));
    let done = std::thread::scope(|scope| {
        let workers: Vec<_> = shares.map(|share| scope.spawn(move || part(share))).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined
            .map(|scores| scores.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<Vec<_>, _>>()
    });
    let mut scores = vec![Score::default(); labels.len()];
    for part in done.with_context(|| format!("cannot classify {}", args.queries.display()))? {
        scores.iter_mut().zip(&part).for_each(|(score, part)| score.add(part));
    }
    Ok(scores)
}
