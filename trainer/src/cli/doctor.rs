//! `trainer doctor`.

use std::path::PathBuf;

use clap::Args;

use crate::doctor;

/// What `--help` shows below the options.
pub(super) const EXAMPLES: &str = "\
Examples:
  trainer doctor
      what was found, and what to do about what was not
  trainer doctor --json
      the same for a program; the exit code is 0 if training can run, else 1";

/// Options of `trainer doctor`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Print JSON on stdout
    #[arg(long)]
    json: bool,
    /// Folder of data sets [default: LATENT_DATA, else data/ here or in the workspace]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Runs `trainer doctor`: prints what was found on stdout.
///
/// # Errors
/// If training cannot run, so that the exit code is 1.
pub fn run(args: DoctorArgs) -> anyhow::Result<()> {
    let checkup = doctor::look(args.data_dir.as_deref());
    let text = if args.json { serde_json::to_string_pretty(&checkup)? } else { checkup.to_string() };
    latent_files::output!("{text}")?;
    let stops: Vec<&str> = checkup
        .problems
        .iter()
        .filter(|problem| problem.stops_training)
        .map(|problem| problem.message.as_str())
        .collect();
    anyhow::ensure!(checkup.can_train, "training cannot run: {}", stops.join("; "));
    Ok(())
}
