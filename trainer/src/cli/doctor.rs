//! `trainer doctor`.

/// Options of `trainer doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {}

/// Runs `trainer doctor`.
pub fn run(_args: DoctorArgs) -> anyhow::Result<()> {
    anyhow::bail!("being written")
}
