//! `trainer vanilla | lsgan | dcgan`.

/// Options of a GAN training run.
#[derive(Debug, clap::Args)]
pub struct GanArgs {}

/// Which of the three reference recipes gives the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Fully connected networks, cross-entropy loss, 10 epochs.
    Vanilla,
    /// Fully connected networks, least-squares loss, 10 epochs.
    Lsgan,
    /// Convolutional networks, cross-entropy loss, 5 epochs.
    Dcgan,
}

/// Trains as asked.
pub fn run(_preset: Preset, _args: GanArgs) -> anyhow::Result<()> {
    anyhow::bail!("being written")
}
