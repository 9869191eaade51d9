//! Where a walk is, and how it moves with time.

use super::Walk;

/// The pictures from one key frame to the next when stepping.
pub const STEPS_PER_SEGMENT: u32 = 24;

/// The slowest and the fastest speed, in key frames per second.
const SPEEDS: (f64, f64) = (1.0 / 64.0, 16.0);

/// A position on a walk and its motion.
#[derive(Clone, Debug, PartialEq)]
pub struct Player {
    position: f64,
    speed: f64,
    forward: bool,
    /// Whether it moves with time.
    pub playing: bool,
}

impl Default for Player {
    /// At the beginning, playing forward, half a key frame per second.
    fn default() -> Self {
        Self { position: 0.0, speed: 0.5, forward: true, playing: true }
    }
}

impl Player {
    pub fn position(&self) -> f64 {
        self.position
    }

    /// Key frames per second, always positive.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Whether it goes from the first key frame to the last.
    pub fn is_forward(&self) -> bool {
        self.forward
    }

    /// Sets the speed, within bounds.
    pub fn set_speed(&mut self, speed: f64) {
        if speed.is_finite() {
            self.speed = speed.clamp(SPEEDS.0, SPEEDS.1);
        }
    }

    /// Turns round.
    pub fn reverse(&mut self) {
        self.forward = !self.forward;
    }

    pub fn seek(&mut self, walk: &Walk, position: f64) {
        self.position = walk.wrap(position);
    }

    /// Lets `seconds` pass. An open walk turns round at its ends.
    pub fn advance(&mut self, walk: &Walk, seconds: f64) {
        let length = walk.segments() as f64;
        if !self.playing || length == 0.0 || !(seconds > 0.0 && seconds.is_finite()) {
            return;
        }
        let way = self.speed * seconds;
        let target = if self.forward { self.position + way } else { self.position - way };
        if walk.closed {
            self.position = walk.wrap(target);
        } else {
            // Unfold: forward along 0..length and backward along length..2 length is a loop.
            let unfolded = if self.forward { target } else { 2.0 * length - target };
            let unfolded = unfolded.rem_euclid(2.0 * length);
            self.forward = unfolded < length;
            self.position = if self.forward { unfolded } else { 2.0 * length - unfolded };
        }
    }

    /// Stops, and moves by whole steps of 1/[`STEPS_PER_SEGMENT`] of the way between key frames.
    pub fn step(&mut self, walk: &Walk, steps: i32) {
        self.playing = false;
        let unit = f64::from(STEPS_PER_SEGMENT);
        self.position = walk.wrap(((self.position * unit).round() + f64::from(steps)) / unit);
    }

    /// Stops, and goes to the next key frame, or the one before.
    pub fn step_key(&mut self, walk: &Walk, forward: bool) {
        self.playing = false;
        // What is this close to a key frame is on it.
        let (near, position) = (1e-6, self.position);
        let target = if forward { (position + near).floor() + 1.0 } else { (position - near).ceil() - 1.0 };
        self.position = walk.wrap(target);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Interpolation, LatentSpace};
    use super::*;
    use latent_runtime::latent::Distribution;

    fn walk(keys: usize, closed: bool) -> Walk {
        let space = LatentSpace { size: 2, distribution: Distribution::REFERENCE };
        Walk { closed, ..Walk::random(space, 1, keys, Interpolation::Lerp) }
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn a_closed_walk_goes_round_both_ways() {
        let walk = walk(4, true);
        let mut player = Player::default();
        player.set_speed(1.0);
        player.advance(&walk, 4.5);
        assert!(near(player.position(), 0.5) && player.is_forward());
        player.reverse();
        player.advance(&walk, 1.0);
        assert!(near(player.position(), 3.5) && !player.is_forward());
    }

    #[test]
    fn an_open_walk_turns_round_at_its_ends() {
        let walk = walk(4, false);
        let mut player = Player::default();
        player.set_speed(1.0);
        for (seconds, position, forward) in
            [(2.5, 2.5, true), (1.0, 2.5, false), (2.0, 0.5, false), (1.0, 0.5, true), (60.0, 0.5, true)]
        {
            player.advance(&walk, seconds);
            assert!(near(player.position(), position), "{} instead of {position}", player.position());
            assert_eq!(player.is_forward(), forward);
        }
    }

    #[test]
    fn nothing_moves_when_paused_or_alone() {
        let mut player = Player { playing: false, ..Player::default() };
        player.advance(&walk(4, true), 1.0);
        assert_eq!(player.position(), 0.0);
        player.playing = true;
        for (walk, seconds) in [(walk(1, true), 1.0), (walk(4, true), f64::NAN), (walk(4, true), -1.0)] {
            player.advance(&walk, seconds);
            assert_eq!(player.position(), 0.0);
        }
    }

    #[test]
    fn steps_are_even_and_stop_the_player() {
        let walk = walk(3, true);
        let mut player = Player { position: 0.51, ..Player::default() };
        player.step(&walk, 1);
        assert!(near(player.position(), 13.0 / 24.0) && !player.playing);
        player.step(&walk, -14);
        assert!(near(player.position(), 3.0 - 1.0 / 24.0));
    }

    #[test]
    fn key_frame_steps_land_on_key_frames() {
        let walk = walk(3, true);
        let mut player = Player { position: 0.4, ..Player::default() };
        for (forward, expected) in
            [(true, 1.0), (true, 2.0), (true, 0.0), (false, 2.0), (false, 1.0), (false, 0.0), (false, 2.0)]
        {
            player.step_key(&walk, forward);
            assert!(near(player.position(), expected), "{} instead of {expected}", player.position());
        }
        player.seek(&walk, 0.4);
        player.step_key(&walk, false);
        assert_eq!(player.position(), 0.0);
    }

    #[test]
    fn speed_stays_in_bounds() {
        let mut player = Player::default();
        for (asked, expected) in [(3.0, 3.0), (1e9, 16.0), (f64::NAN, 16.0), (-1.0, 1.0 / 64.0)] {
            player.set_speed(asked);
            assert_eq!(player.speed(), expected);
        }
    }
}
