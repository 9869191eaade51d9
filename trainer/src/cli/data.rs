//! `trainer data`.

/// Options of `trainer data`.
#[derive(Debug, clap::Args)]
pub struct DataArgs {}

/// Runs `trainer data`.
pub fn run(_args: DataArgs) -> anyhow::Result<()> {
    anyhow::bail!("being written")
}
