//! Which losses mean what: levels and thresholds per kind of loss.
//!
//! The measure of everything is the *guessing level*: the loss of a discriminator that gives every image the same score
//! and, among those, does best. It is also where a perfectly matched game ends (Goodfellow et al. 2014, section 4.1; Mao et
//! al. 2017, section 3.2.2): 2 ln 2 and ln 2 for cross-entropy, 1/4 and 1/8 for least squares, 2 and 0 for hinge.
//!
//! Runs of the three reference recipes on MNIST, from which the thresholds keep their distance, look as follows
//! (mean [min, max] of single iterations, in executed notebooks of the assignment):
//!
//! | iteration | vanilla D | vanilla G | LS D | LS G | DC D | DC G |
//! |---|---|---|---|---|---|---|
//! | 250 | 1.29 [.94,1.90] | 1.07 [.59,2.22] | .17 [.08,.25] | .38 [.18,.94] | 1.32 [1.21,1.68] | .71 [.17,1.16] |
//! | 1000 | 1.22 [1.00,1.46] | .99 [.76,1.25] | .19 [.14,.52] | .26 [.13,.36] | 1.25 [1.17,1.45] | .97 [.83,1.20] |
//! | 1750 | | | | | 1.13 [1.03,1.35] | .93 [.78,1.15] |
//! | 2500 | 1.32 [1.25,1.40] | .89 [.74,1.15] | .22 [.19,.25] | .18 [.14,.21] | | |
//! | 3750 | 1.34 [1.29,1.41] | .84 [.73,.89] | .23 [.21,.25] | .16 [.13,.19] | | |
//!
//! A discriminator that learned anything puts the generator above its guessing level: in the table G is above it from
//! iteration 1000 on, at the latest. One that did not lets the generator go below. With D frozen at its start, vanilla
//! gives D 2.5, G 0.17 within 20 iterations and for good; with G frozen, D 0.0005, G 7.8 after 80.

/// A value of a loss, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    pub(crate) value: f64,
    pub(crate) name: &'static str,
}

/// Guessing levels of a pair of losses, and what counts as winning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Levels {
    /// Loss of the best discriminator that cannot tell real from generated.
    pub(crate) d: Level,
    /// The generator's loss against it; `None` where any value is possible.
    pub(crate) g: Option<Level>,
    /// At or below this the discriminator loss has been below the guessing level: something was learned.
    pub(crate) d_learned: f64,
    /// Discriminator loss at or below, and generator loss at or above, which the discriminator has won; `None` where a
    /// discriminator as good as can be is what one wants (a Wasserstein critic).
    pub(crate) won: Option<(f64, f64)>,
}

impl Levels {
    /// Whether the discriminator is a Wasserstein critic, whose loss is no measure of right answers.
    pub(crate) fn critic(&self) -> bool {
        self.won.is_none()
    }
}
