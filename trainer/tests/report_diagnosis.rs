//! The diagnosis on losses of real runs.
//!
//! `curves/` holds what an independent PyTorch loop (the reference's networks, losses, Adam and MNIST, seed 0) gave:
//! iteration, both losses to four digits, and every tenth iteration the diversity of 64 samples from fixed noise in eval mode
//! (real digits have 0.71). The healthy recipes as they are; failing ones with a learning rate of 0 for one of the networks
//! ("frozen"), of 1e-7 for the discriminator, and of 0.02 for the generator.

use std::path::Path;

use latent_trainer::diagnosis::FindingKind::{
    self, DiscriminatorNeverLearned, DiscriminatorWins, ModeCollapse,
};
use latent_trainer::diagnosis::{Finding, Monitor, Observation};
use latent_trainer::gan::losses::LossKind;
use latent_trainer::report::metrics::Metrics;

const DATA_DIVERSITY: f32 = 0.71;

fn observations(name: &str) -> Vec<Observation> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/curves").join(name).with_extension("csv");
    let metrics = Metrics::read(path).expect("a curve reads");
    let column = |name| metrics.column(name).expect("a curve has its columns");
    let (d, g, diversity) = (column("d_loss"), column("g_loss"), column("diversity"));
    (0..metrics.iterations.len())
        .map(|row| Observation {
            iteration: metrics.iterations[row],
            d_loss: d[row].expect("each row has losses"),
            g_loss: g[row].expect("each row has losses"),
            diversity: diversity[row].map(|value| value as f32),
        })
        .collect()
}

fn diagnose(name: &str, loss: LossKind) -> (Vec<Finding>, Monitor) {
    let mut monitor = Monitor::new(loss).with_data_diversity(DATA_DIVERSITY);
    let findings = observations(name).into_iter().filter_map(|seen| monitor.observe(seen)).collect();
    (findings, monitor)
}

#[test]
fn real_runs_are_judged_as_they_are() {
    let cases: [(&str, LossKind, &[FindingKind]); 11] = [
        ("vanilla", LossKind::Bce, &[]),
        ("lsgan", LossKind::Ls, &[]),
        ("dcgan", LossKind::Bce, &[]),
        ("hinge", LossKind::Hinge, &[]),
        ("wgan-gp", LossKind::WganGp, &[]),
        ("bce-discriminator-frozen", LossKind::Bce, &[DiscriminatorNeverLearned, ModeCollapse]),
        ("bce-discriminator-rate-1e-7", LossKind::Bce, &[DiscriminatorNeverLearned, ModeCollapse]),
        ("ls-discriminator-frozen", LossKind::Ls, &[DiscriminatorNeverLearned]),
        ("bce-generator-frozen", LossKind::Bce, &[DiscriminatorWins]),
        ("ls-generator-frozen", LossKind::Ls, &[DiscriminatorWins]),
        ("bce-generator-rate-2e-2", LossKind::Bce, &[DiscriminatorWins, ModeCollapse]),
    ];
    for (name, loss, expected) in cases {
        let (findings, monitor) = diagnose(name, loss);
        let kinds: Vec<FindingKind> = findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, expected, "{name}: {findings:?}");
        let verdict = monitor.report(None, None).verdict;
        // These two end before their images have two thirds of the data's diversity.
        let good = if ["hinge", "wgan-gp"].contains(&name) { "not yet healthy: " } else { "healthy: " };
        assert_eq!(verdict.starts_with(good), expected.is_empty(), "{name}: {verdict}");
    }
}

#[test]
fn a_fault_is_found_within_200_iterations_where_the_losses_show_it() {
    for name in
        ["bce-discriminator-frozen", "ls-discriminator-frozen", "bce-generator-frozen", "ls-generator-frozen"]
    {
        let loss = if name.starts_with("ls") { LossKind::Ls } else { LossKind::Bce };
        let (findings, _) = diagnose(name, loss);
        assert!(findings[0].iteration <= 200, "{name}: {:?}", findings[0]);
    }
}

#[test]
fn without_the_data_s_diversity_the_losses_are_still_judged() {
    let mut monitor = Monitor::new(LossKind::Bce);
    let found: Vec<Finding> = observations("bce-discriminator-frozen")
        .into_iter()
        .filter_map(|seen| monitor.observe(seen))
        .collect();
    assert_eq!(found.len(), 1);
    let message = &found[0].message;
    for part in
        ["never learned", "since iteration 1 ", "1.386", "fell from 0.67", "means nothing", "learning rate"]
    {
        assert!(message.contains(part), "no {part:?} in {message:?}");
    }
}
