//! What one does with a walk.

use super::{JobPurpose, WalkScene};
use crate::action::{Mode, SliderTarget, WalkAction};
use crate::shell::{Effect, Shell};
use crate::walk::{Edits, Interpolation, KeyFrame, Player, STEPS_PER_SEGMENT, Walk, WalkFile};

/// The factor between two speeds.
const NOTCH: f64 = 1.25;

impl WalkScene {
    /// Takes another walk.
    pub fn set_walk(&mut self, shell: &mut Shell, file: &WalkFile) {
        let (space, keys) = (*self.walk.space(), file.keys.clone());
        match Walk::new(space, keys, file.interpolation, file.closed).filter(|_| file.edits.fit(&space)) {
            Some(walk) => {
                self.walk = walk;
                self.set_edits(shell, &file.edits);
                match file.class {
                    Some(class) if class < self.config.file.classes() => self.set_class(shell, class),
                    Some(class) => {
                        shell.say(format!("the walk is of class {class}, which this model has not"), true)
                    }
                    None => {}
                }
                if let Some(speed) = file.speed {
                    self.player.set_speed(speed);
                }
                self.walk_changed(shell);
            }
            None => shell.say("the walk has key frames of another latent size than this model", true),
        }
    }

    /// Puts truncation and sliders where a saved walk had them.
    pub fn set_edits(&mut self, shell: &mut Shell, edits: &Edits) {
        self.truncation = edits.truncation;
        self.sliders.load(edits);
        self.images_changed(shell);
    }

    /// A walk that is moved is to be seen, which on the map it is not.
    fn leave_map(&mut self, shell: &mut Shell) {
        if self.mode == Mode::Map {
            self.set_mode(shell, Mode::Image);
        }
    }

    /// Another seed, for the next random thing.
    fn next_seed(&mut self) -> u64 {
        let mut rng = latent_runtime::rng::Rng::from_seed(self.drawn);
        self.drawn = u64::from(rng.below(1_000_000));
        self.drawn
    }

    /// Draws another class.
    pub(super) fn set_class(&mut self, shell: &mut Shell, class: usize) {
        if class >= self.config.file.classes() || class == self.class(shell) {
            return;
        }
        shell.class = class;
        self.strip.clear();
        self.samples = None;
        self.forget_jobs(shell, |_| true);
        self.renew_walk(shell);
        self.images_changed(shell);
        self.find_directions(shell);
    }

    pub(super) fn do_action(&mut self, shell: &mut Shell, action: WalkAction) {
        let before = self.moment(shell);
        self.act(shell, action);
        if !matches!(action, WalkAction::Undo | WalkAction::Redo) {
            self.remember(shell, action.edit(), before, matches!(action, WalkAction::Truncate(_)));
        }
    }

    fn act(&mut self, shell: &mut Shell, action: WalkAction) {
        match action {
            WalkAction::TogglePlay => {
                // On the map nothing plays.
                self.player.playing = self.mode == Mode::Map || !self.player.playing;
                self.leave_map(shell);
            }
            WalkAction::Step(steps) => {
                self.leave_map(shell);
                self.player.step(&self.walk, steps);
            }
            WalkAction::StepKey(forward) => {
                self.leave_map(shell);
                self.player.step_key(&self.walk, forward);
            }
            WalkAction::Reverse => self.player.reverse(),
            WalkAction::Faster(notches) => self.player.set_speed(self.player.speed() * NOTCH.powi(notches)),
            WalkAction::Interpolate(interpolation) => self.interpolate(shell, interpolation),
            WalkAction::NextInterpolation => self.interpolate(shell, self.walk.interpolation.next()),
            WalkAction::ToggleClosed => {
                self.walk.closed = !self.walk.closed;
                self.grid.clear();
                self.player.seek(&self.walk, self.player.position());
            }
            WalkAction::AddKey => self.add_key(shell),
            WalkAction::AddRandomKey => {
                let seed = self.next_seed();
                let _ = self.insert_key(shell, KeyFrame::Seed(seed));
            }
            WalkAction::DeleteKey => {
                let index = self.walk.nearest_key(self.player.position());
                if self.walk.remove(index) {
                    self.walk_changed(shell);
                } else {
                    shell.say("a walk keeps at least one key frame", false);
                }
            }
            WalkAction::MoveKey(later) => self.move_key(shell, later),
            WalkAction::NewWalk => {
                let seed = self.next_seed();
                self.seed = seed;
                let closed = self.walk.closed;
                self.walk = Walk::random(*self.walk.space(), seed, self.walk.len(), self.walk.interpolation);
                self.walk.closed = closed;
                self.strip.clear();
                self.player.seek(&self.walk, 0.0);
                self.walk_changed(shell);
            }
            WalkAction::SetMode(mode) => self.set_mode(shell, mode),
            WalkAction::NextMode => {
                let index = Mode::ALL.iter().position(|&mode| mode == self.mode).unwrap_or(0);
                self.set_mode(shell, Mode::ALL[(index + 1) % Mode::ALL.len()]);
            }
            WalkAction::Sliders(set) => {
                self.sliders.set = set;
                self.find_directions(shell);
            }
            WalkAction::NextSliders => self.act(shell, WalkAction::Sliders(self.sliders.set.next())),
            WalkAction::ResetSliders => {
                self.sliders.reset();
                self.truncation = 1.0;
                self.images_changed(shell);
            }
            WalkAction::Truncate(notches) => {
                // In twentieths, without the error of adding them up.
                let twentieths = (self.truncation * 20.0).round() as i32 + notches;
                self.truncation = twentieths.clamp(0, 20) as f32 / 20.0;
                self.images_changed(shell);
            }
            WalkAction::SetClass(class) => self.set_class(shell, class),
            WalkAction::Zoom(steps) => self.zoom(shell, steps),
            WalkAction::SaveWalk => {
                let keys = self.walk.keys().cloned().collect();
                let (interpolation, closed) = (self.walk.interpolation, self.walk.closed);
                let speed = Some(self.player.speed());
                let class = (self.config.file.classes() > 0).then(|| self.class(shell));
                let edits = self.edits();
                let walk = WalkFile { interpolation, closed, speed, keys, edits, class };
                shell.effect(Effect::SaveWalk(walk));
            }
            WalkAction::LoadWalk => shell.effect(Effect::LoadWalk),
            WalkAction::Undo => self.undo(shell, false),
            WalkAction::Redo => self.undo(shell, true),
        }
    }

    fn interpolate(&mut self, shell: &mut Shell, interpolation: Interpolation) {
        self.walk.interpolation = interpolation;
        self.grid.clear();
        self.images_changed(shell);
    }

    fn add_key(&mut self, shell: &mut Shell) {
        let is_edited = self.truncation != 1.0 || !self.sliders.are_at_rest();
        if self.mode == Mode::Map && !is_edited {
            let key = self.map.key_frame(self.walk.space(), self.walk.interpolation);
            let _ = self.insert_key(shell, key);
            return;
        }
        // What sliders do goes into the key frame, and they go back, else it would be done twice; truncation stays, and is
        // undone in the key frame, unless it leaves nothing.
        let (mut latent, psi) = (self.current_latent(), self.truncation);
        if psi > 0.0 {
            self.walk.space().truncate(&mut latent, 1.0 / psi);
        }
        if self.insert_key(shell, KeyFrame::Values(latent)) && is_edited {
            self.sliders.reset();
            self.truncation = if psi > 0.0 { psi } else { 1.0 };
            self.images_changed(shell);
        }
    }

    /// Inserts a key frame after the position, and goes there; returns whether there was room for it.
    fn insert_key(&mut self, shell: &mut Shell, key: KeyFrame) -> bool {
        let index = (self.player.position().floor() as usize + 1).min(self.walk.len());
        if self.walk.insert(index, key) {
            self.player.seek(&self.walk, index as f64);
            self.walk_changed(shell);
            shell.say(format!("key frame {} of {}", index + 1, self.walk.len()), false);
            true
        } else {
            shell.say("the walk has as many key frames as it can", true);
            false
        }
    }

    fn move_key(&mut self, shell: &mut Shell, later: bool) {
        let from = self.walk.nearest_key(self.player.position());
        let to = if later { from + 1 } else { from.wrapping_sub(1) };
        if self.walk.reorder(from, to) {
            self.player.seek(&self.walk, to as f64);
            self.walk_changed(shell);
        }
    }

    fn set_mode(&mut self, shell: &mut Shell, mode: Mode) {
        self.mode = mode;
        shell.latencies.clear();
        if mode == Mode::Compare && self.compared.is_empty() {
            self.read_variants(shell);
        }
    }

    fn zoom(&mut self, shell: &mut Shell, steps: i32) {
        match self.mode {
            Mode::Grid => {
                self.columns = (self.columns as i64 + i64::from(steps)).clamp(1, 32) as usize;
                self.grid.clear();
            }
            Mode::Map => {
                self.map.zoom(steps);
                self.forget_jobs(shell, |purpose| matches!(purpose, JobPurpose::Tiles(_)));
            }
            Mode::Compare => {
                self.amplification = (self.amplification * 2f32.powi(steps)).clamp(1.0, 256.0);
            }
            Mode::Image | Mode::Strip => {}
        }
    }

    /// Puts a slider to a fraction of its range.
    pub fn set_slider(&mut self, shell: &mut Shell, target: SliderTarget, fraction: f32) {
        let fraction = fraction.clamp(0.0, 1.0);
        match target {
            SliderTarget::Truncation => self.truncation = fraction,
            SliderTarget::Speed => self.player.set_speed(2f64.powf(f64::from(fraction) * 10.0 - 6.0)),
            SliderTarget::Direction(_) | SliderTarget::Latent(_) => {
                self.sliders.set(target, fraction, self.walk.space());
            }
        }
        if target == SliderTarget::Speed { shell.changed() } else { self.images_changed(shell) }
    }

    /// Puts a slider back.
    pub fn reset_slider(&mut self, shell: &mut Shell, target: SliderTarget) {
        match target {
            SliderTarget::Truncation => self.truncation = 1.0,
            SliderTarget::Speed => self.player.set_speed(Player::default().speed()),
            SliderTarget::Direction(_) | SliderTarget::Latent(_) => self.sliders.release(target),
        }
        self.images_changed(shell);
    }

    /// Where a slider is, as a fraction of its range; and whether it was moved.
    pub fn slider(&self, target: SliderTarget) -> (f32, bool) {
        match target {
            SliderTarget::Truncation => (self.truncation, self.truncation != 1.0),
            SliderTarget::Speed => (((self.player.speed().log2() + 6.0) / 10.0) as f32, false),
            _ => {
                let latent = self.shown.as_ref().map_or(&[][..], |shown| &shown.request.latents);
                self.sliders.fraction(target, self.walk.space(), latent)
            }
        }
    }

    /// Goes to a fraction of the walk.
    pub fn seek(&mut self, shell: &mut Shell, fraction: f64) {
        self.leave_map(shell);
        let length = self.walk.segments() as f64;
        // The end of a closed walk is its beginning, but a pointer at the right edge should not jump to the left.
        let end = length - if self.walk.closed { 1.0 / f64::from(STEPS_PER_SEGMENT) / 64.0 } else { 0.0 };
        self.player.seek(&self.walk, (fraction.clamp(0.0, 1.0) * length).min(end.max(0.0)));
        shell.changed();
    }
}
