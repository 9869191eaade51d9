//! Undo and redo.

use std::sync::Arc;

use super::WalkScene;
use super::sliders::Sliders;
use crate::model::GeneratorFile;
use crate::shell::Shell;
use crate::walk::Walk;

/// The most edits that can be taken back.
const MAX_EDITS: usize = 200;
/// Edits of one kind that follow one another within so many seconds, as those of a held key do, are one.
const ONE_GESTURE: f64 = 0.7;

/// What an edit can change, and where the walk was.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    file: Arc<GeneratorFile>,
    walk: Walk,
    sliders: Sliders,
    truncation: f32,
    class: usize,
    seed: u64,
    position: f64,
}

impl Moment {
    /// Whether an edit lies between the two; a walk that only went on is the same.
    fn differs(&self, other: &Self) -> bool {
        self.file.path != other.file.path
            || (self.truncation, self.class) != (other.truncation, other.class)
            || self.walk != other.walk
            || !self.sliders.are_where(&other.sliders)
    }
}

#[derive(Debug)]
struct Edit {
    /// In words.
    what: &'static str,
    /// On the other side of it.
    moment: Moment,
    /// When, in seconds.
    at: f64,
}

/// Edits that were made, and edits that were taken back, the newest last.
#[derive(Debug, Default)]
pub(super) struct History {
    done: Vec<Edit>,
    undone: Vec<Edit>,
}

impl WalkScene {
    pub(super) fn moment(&self, shell: &Shell) -> Moment {
        Moment {
            file: Arc::clone(&self.config.file),
            walk: self.walk.clone(),
            sliders: self.sliders.clone(),
            truncation: self.truncation,
            class: shell.class,
            seed: self.seed,
            position: self.player.position(),
        }
    }

    /// Takes note of an edit that began at this moment, if it has changed something.
    pub(super) fn remember(&mut self, shell: &Shell, what: &'static str, moment: Moment, repeats: bool) {
        if !moment.differs(&self.moment(shell)) {
            return;
        }
        let History { done, undone } = &mut self.history;
        match done.last_mut() {
            Some(last)
                if repeats && last.what == what && undone.is_empty() && shell.now - last.at < ONE_GESTURE =>
            {
                last.at = shell.now;
            }
            _ => done.push(Edit { what, moment, at: shell.now }),
        }
        undone.clear();
        if done.len() > MAX_EDITS {
            done.remove(0);
        }
    }

    /// Takes the last edit back, or does it again.
    pub(super) fn undo(&mut self, shell: &mut Shell, redo: bool) {
        let from = if redo { &mut self.history.undone } else { &mut self.history.done };
        let Some(Edit { what, moment, at }) = from.pop() else {
            return shell.say(if redo { "nothing was undone" } else { "there is nothing to undo" }, false);
        };
        let here = Edit { what, moment: self.moment(shell), at };
        self.restore(shell, moment);
        if redo { &mut self.history.done } else { &mut self.history.undone }.push(here);
        shell.say(format!("{}: {what}", if redo { "done again" } else { "undone" }), false);
    }

    fn restore(&mut self, shell: &mut Shell, moment: Moment) {
        let Moment { file, walk, sliders, truncation, class, seed, position } = moment;
        if file.path != self.config.file.path {
            self.show_model(shell, (*file).clone());
        }
        (self.walk, self.truncation, self.seed) = (walk, truncation, seed);
        self.sliders.restore(sliders);
        self.player.seek(&self.walk, position);
        self.strip.clear();
        self.set_class(shell, class);
        self.walk_changed(shell);
        self.images_changed(shell);
        self.find_directions(shell);
    }
}
