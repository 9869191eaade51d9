//! `trainer sample`.

/// Options of `trainer sample`.
#[derive(Debug, clap::Args)]
pub struct SampleArgs {}

/// Draws as asked.
pub fn run(_args: SampleArgs) -> anyhow::Result<()> {
    anyhow::bail!("being written")
}
