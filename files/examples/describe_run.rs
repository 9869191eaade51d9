//! Says what a run folder of the trainer holds: what was trained, how far it is, its figures and its checkpoints.
//!
//! `cargo run -p latent-files --example describe_run -- RUN`

use std::error::Error;
use std::path::Path;

use latent_files::run::checkpoint::{self, CHECKPOINTS};
use latent_files::run::{ClassifierRun, Description, GanRun, RunKind, SimclrRun, kind, read};
use latent_files::text::grouped;

fn describe(run: &impl Description) {
    let training = run.training();
    let progress = training.progress;
    println!("{} with the loss {}, seed {}", training.command, training.loss, training.seed);
    println!("iteration {} of {}", grouped(progress.iteration), grouped(progress.iterations));
    training.figures.iter().for_each(|(name, figure)| println!("{name}: {figure}"));
}

fn main() -> Result<(), Box<dyn Error>> {
    let run = std::env::args().nth(1).ok_or("give a run folder")?;
    let run = Path::new(&run);
    match kind(run)? {
        RunKind::Gan => {
            let gan: GanRun = read(run)?;
            println!("a generator of {} values of noise", gan.latent.size);
            describe(&gan);
        }
        RunKind::Simclr => {
            let simclr: SimclrRun = read(run)?;
            println!("the encoder {} of {} features", simclr.encoder, simclr.features);
            describe(&simclr);
        }
        RunKind::Classifier => {
            let classifier: ClassifierRun = read(run)?;
            println!("a classifier into {} classes", classifier.classes.count);
            describe(&classifier);
        }
    }
    for (iteration, folder) in checkpoint::list(&run.join(CHECKPOINTS))? {
        println!("checkpoint {iteration}: {}", folder.display());
    }
    Ok(())
}
