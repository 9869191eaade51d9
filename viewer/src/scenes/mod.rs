//! The scenes: what is shown of one kind of model each. A new one is a folder here, its actions in `action/`, and a
//! line below.

pub mod explore;
pub mod walk;

use crate::model::ModelFile;
use crate::shell::{Shell, Viewer};

/// The scene for a model that another scene gave back.
pub fn open(shell: Shell, file: ModelFile) -> Viewer {
    match file {
        ModelFile::Generator(file) => walk::open(shell, file).of_any_scene(),
        ModelFile::Encoder(file) => explore::open(shell, file).of_any_scene(),
    }
}

#[cfg(test)]
mod tests {
    use minifb::Key;

    use super::*;
    use crate::action::{ExploreAction, ShellAction, WalkAction};
    use crate::input::{KeyEvent, Trigger};
    use crate::model::{Catalog, test_encoder, test_file};
    use crate::shell::Effect;

    fn shell() -> Shell {
        Shell::new(Catalog::default(), test_file().engines[0], 3, None)
    }

    #[test]
    fn keys_have_one_meaning_in_each_scene() {
        let walk = open(shell(), ModelFile::Generator(test_file()));
        let explore = open(shell(), ModelFile::Encoder(test_encoder()));
        let shared = |trigger, action: ShellAction| (trigger, Some(action.into()), Some(action.into()));
        for (trigger, in_walk, in_explore) in [
            (
                Trigger::Key(Key::Space),
                Some(WalkAction::TogglePlay.into()),
                Some(ExploreAction::TogglePin.into()),
            ),
            (Trigger::Control(Key::S), Some(WalkAction::SaveWalk.into()), None),
            (
                Trigger::Key(Key::Up),
                Some(WalkAction::Faster(1).into()),
                Some(ExploreAction::Pan(0, -1).into()),
            ),
            (Trigger::Char('é'), None, None),
            shared(Trigger::Key(Key::S), ShellAction::SavePicture),
            shared(Trigger::Shift(Key::M), ShellAction::NextModel(-1)),
            shared(Trigger::Char('?'), ShellAction::ToggleHelp),
        ] {
            let action = |viewer: &Viewer| viewer.bound(trigger).map(|(action, _)| action);
            assert_eq!((action(&walk), action(&explore)), (in_walk, in_explore), "{trigger:?}");
        }
        for viewer in [walk, explore] {
            let triggers: Vec<Trigger> = viewer.bindings().map(|binding| binding.trigger).collect();
            for (index, trigger) in triggers.iter().enumerate() {
                assert!(!triggers[..index].contains(trigger), "{trigger:?} is bound twice");
            }
        }
    }

    #[test]
    fn a_model_of_another_kind_gets_its_scene_and_the_shell_stays() {
        let mut viewer = open(shell(), ModelFile::Generator(test_file()));
        viewer.apply(ShellAction::TogglePanels);
        viewer.key_event(KeyEvent::Down(Key::Right), 0.0);
        let version = viewer.shell.version;
        let file = viewer.set_model(ModelFile::Encoder(test_encoder())).expect("it is no generator");
        let mut viewer = viewer.change_scene(file, open);
        assert_eq!(viewer.scene.model().path, test_encoder().path);
        assert!(!viewer.shell.panels && viewer.shell.version > version);
        assert_eq!((viewer.shell.threads, viewer.shell.engine), (3, test_encoder().engines[0]));
        assert!(viewer.shell.catalog.paths.contains(&test_encoder().path));
        assert!(viewer.set_model(ModelFile::Encoder(test_encoder())).is_none());
        assert!(viewer.set_model(ModelFile::Generator(test_file())).is_some());
    }

    #[test]
    fn a_walk_is_as_it_was_after_an_encoder() {
        let saved = |viewer: &mut Viewer| {
            viewer.apply(WalkAction::SaveWalk);
            let effects = viewer.shell.take_effects().into_iter();
            let mut walks = effects.filter_map(|effect| match effect {
                Effect::SaveWalk(walk) => Some(walk.to_text()),
                _ => None,
            });
            walks.next().expect("a walk is saved")
        };
        let mut viewer = open(shell(), ModelFile::Generator(test_file()));
        viewer.apply(WalkAction::NewWalk);
        viewer.apply(WalkAction::Truncate(-3));
        let before = saved(&mut viewer);
        for _ in 0..2 {
            let encoder = viewer.set_model(ModelFile::Encoder(test_encoder())).expect("it is no generator");
            viewer = viewer.change_scene(encoder, open);
            let generator = viewer.set_model(ModelFile::Generator(test_file())).expect("it is no encoder");
            viewer = viewer.change_scene(generator, open);
            assert_eq!(saved(&mut viewer), before);
        }
        for _ in 0..2 {
            viewer.apply(WalkAction::Undo);
        }
        assert_ne!(saved(&mut viewer), before, "its edits can still be undone");
    }
}
