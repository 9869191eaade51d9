//! `runtime embed`: images to embeddings.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use latent_files::atomic::{self, Existing};
use latent_runtime::gallery::Storage;
use serde_json::json;

use super::embeddings::{Embeddings, Form};
use super::encoder::{self, Encoder, EngineArgs};
use super::metadata::range_json;
use super::print;

/// Turn images into embeddings.
///
/// Images are PNG and JPEG files, or folders of them. The label of DIR/a/b/c.png in a folder DIR is a (in DIR/train/a/c.png
/// too); of an image right in DIR, it is DIR. Hidden files are left alone. Images of another size than the model's are cropped
/// to its proportions and resized.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EmbedArgs {
    /// The encoder: a packed model (.lat) or an ONNX file
    model: PathBuf,
    /// PNG and JPEG files, and folders of them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Write the embeddings here instead of printing them: .safetensors (with names and labels, for search and knn), .csv, or
    /// .gallery (for a device that links the library)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How a .gallery keeps them: i8 takes a quarter of the memory
    #[arg(long, value_enum, default_value_t = Kept::F32, value_name = "TYPE")]
    store: Kept,
    #[command(flatten)]
    engine: EngineArgs,
    /// Leave out images that cannot be read, with a warning
    #[arg(long)]
    skip_unreadable: bool,
    /// Overwrite a file
    #[arg(long)]
    force: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  runtime embed encoder.int8.lat photo.jpg
      print one embedding as CSV
  runtime embed encoder.int8.lat cats/ dogs/ --out pets.safetensors
      keep those of two folders
  runtime embed encoder.fp32.onnx --backend tract train/ --out bank.csv
  runtime embed simclr.onnx --output h train/ --out bank.safetensors
      one of several outputs
  runtime embed encoder.int8.lat faces/ --store i8 --out faces.gallery
      for a device";

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Kept {
    F32,
    I8,
}

impl From<Kept> for Storage {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::F32 => Self::F32,
            Kept::I8 => Self::I8,
        }
    }
}

pub(crate) fn run(args: &EmbedArgs) -> anyhow::Result<()> {
    // Everything that can be refused without work is refused first.
    if let Some(out) = &args.out {
        Form::of(out)?;
        atomic::check(out, Existing::forced(args.force))?;
        atomic::check_apart(out, args.images.iter().chain([&args.model]))?;
    }
    let files = encoder::find(&args.images)?;
    let mut encoder = Encoder::open(&args.model, &args.engine)?;
    let embedded = encoder.embed(&files, args.skip_unreadable)?;
    if embedded.files.is_empty() {
        bail!("none of the {} images could be read", files.len());
    }
    let images: Vec<(String, String)> = embedded
        .files
        .into_iter()
        .map(|file| (file.path.to_string_lossy().into_owned(), file.label))
        .collect();
    let dimension = encoder.dimension();
    let embeddings = Embeddings::new(encoder.name(), dimension, embedded.values, &images);
    let (shape, seconds, engine) = (encoder.shape, embedded.seconds, encoder.backend.describe());
    if let Some(out) = &args.out {
        atomic::write_file(out, &embeddings.encode(out, args.store.into())?, Existing::forced(args.force))?;
    }
    if args.json {
        let mut result = json!({
            "model": args.model.display().to_string(), "backend": encoder.kind.name(), "engine": engine,
            "images": embeddings.len(), "skipped": files.len() - embeddings.len(), "image": shape.to_string(),
            "range": range_json(&encoder.encoding),
            "values": dimension, "classes": embeddings.classes, "seconds": seconds,
            "written": args.out.as_ref().map(|out| out.display().to_string()),
        });
        if args.out.is_none() {
            let each = embeddings
                .iter()
                .map(|(values, name, label)| json!({ "image": name, "label": label, "values": values }));
            result["embeddings"] = each.collect();
        }
        return print(&format!("{result}\n"));
    }
    let Some(out) = &args.out else { return print(&embeddings.csv()) };
    print(&format!(
        "{} images of {shape}, {} classes, to embeddings of {dimension} values in {seconds:.2} s, {:.0} images/s ({engine}) -> {}\n",
        embeddings.len(),
        embeddings.classes.len(),
        embeddings.len() as f64 / seconds.max(1e-9),
        out.display()
    ))
}
