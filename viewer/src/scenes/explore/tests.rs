use latent_runtime::open::BackendKind;

use super::*;
use crate::draw::{Canvas, Fonts};
use crate::embedding::ImageSource;
use crate::error::tests::no_library;
use crate::model::{Catalog, test_encoder};
use crate::ui::ItemKind;

/// Two groups of images, left and right.
fn samples(count: usize) -> (Vec<Sample>, Vec<[f32; 2]>) {
    (0..count)
        .map(|index| {
            let (side, turn) = ((index % 2) as f32 * 2.0 - 1.0, index as f32 * 0.37);
            let features = vec![side * 0.8, 0.6 * turn.sin(), 0.6 * turn.cos()];
            let sample = Sample {
                path: format!("pictures/{}/{index}.png", index % 2).into(),
                name: format!("{}/{index}.png", index % 2),
                label: Some(index % 2),
                picture: Picture::black(4, 4, 3),
                features,
            };
            (sample, [side * 0.7, 0.25 * turn.sin()])
        })
        .unzip()
}

fn viewer(catalog: Catalog, file: EncoderFile, images: Option<ImageSource>) -> Viewer<ExploreScene> {
    let mut shell = Shell::new(catalog, BackendKind::Ort, 0, images);
    let scene = ExploreScene::new(&mut shell, file);
    Viewer::new(shell, scene)
}

fn explorer() -> Viewer<ExploreScene> {
    let file = test_encoder();
    let catalog = Catalog::of_files([file.path.clone(), "models/other.onnx".into()]);
    viewer(catalog, file, Some(ImageSource { folder: "pictures".into(), most: 100 }))
}

/// Embeds images, with a map.
fn embed(explorer: &mut Viewer<ExploreScene>, count: usize) {
    let (samples, places) = samples(count);
    let labels = vec!["cat".into(), "dog".into()];
    explorer.receive(Outcome::Embedding(Progress::Listed {
        labels,
        total: count,
        left_out: 0,
        engine: "test".into(),
    }));
    explorer.receive(Outcome::Embedding(Progress::Embedded { samples, places: Vec::new(), seconds: 0.001 }));
    explorer.receive(Outcome::Embedding(Progress::Mapped { places, share: 0.5 }));
    explorer.receive(Outcome::Embedding(Progress::Finished { seconds: 1.0, unreadable: None }));
    settle(explorer);
}

fn settle(explorer: &mut Viewer<ExploreScene>) -> Vec<Effect> {
    (0..100).for_each(|_| explorer.tick(explorer.shell.now + 0.05));
    explorer.shell.take_effects()
}

fn items(explorer: &mut Viewer<ExploreScene>) -> Vec<Item> {
    explorer.lay_out(&Fonts::new(), 1280, 800, 1.0);
    explorer.items.clone()
}

fn move_to(explorer: &mut Viewer<ExploreScene>, (x, y): (f32, f32)) {
    items(explorer);
    explorer.pointer_event(PointerEvent::Move(x, y));
}

fn place(explorer: &Viewer<ExploreScene>, index: usize) -> (f32, f32) {
    explorer.scene.plot.on_screen(explorer.shell.viewport, index).unwrap()
}

#[test]
fn images_are_asked_for_once_and_come_with_progress() {
    let mut explorer = explorer();
    let effects = explorer.shell.take_effects();
    assert!(matches!(&effects[..], [Effect::Embed(task)] if task.source.most == 100));
    assert!(explorer.scene.is_busy());
    embed(&mut explorer, 40);
    assert_eq!(
        (explorer.scene.state.clone(), explorer.scene.is_busy()),
        (EmbeddingState::Finished(1.0), false)
    );
    assert_eq!(explorer.scene.query, Some(0), "there is something to look at");
    assert_eq!(explorer.scene.agreement(), Some((NEAREST, NEAREST)));
    assert_eq!(explorer.scene.neighbors.len(), 39);
    let version = explorer.shell.version;
    assert!(settle(&mut explorer).is_empty() && !explorer.is_moving());
    assert_eq!(explorer.shell.version, version, "nothing is drawn while nothing changes");
    explorer.receive(Outcome::Embedding(Progress::Failed(no_library())));
    assert!(!explorer.scene.is_busy());
    items(&mut explorer);
}

#[test]
fn the_pointer_asks_and_a_click_stays() {
    let mut explorer = explorer();
    embed(&mut explorer, 40);
    items(&mut explorer);
    let shown: Vec<usize> = explorer.scene.plot.shown().to_vec();
    let (first, second) = (shown[3], shown[4]);
    let at = place(&explorer, first);
    move_to(&mut explorer, at);
    assert_eq!((explorer.scene.query, explorer.scene.pinned), (Some(first), false));
    settle(&mut explorer);
    assert_eq!(explorer.scene.neighbors[0], nearest(&explorer.scene.samples, first, 1)[0]);
    explorer.pointer_event(PointerEvent::Press);
    explorer.pointer_event(PointerEvent::Release);
    assert!(explorer.scene.pinned);
    let at = place(&explorer, second);
    move_to(&mut explorer, at);
    assert_eq!(explorer.scene.query, Some(first), "it stays");
    explorer.apply(ExploreAction::TogglePin);
    assert_eq!(explorer.scene.query, Some(second), "and is let go");
    explorer.apply(ExploreAction::AskRandom);
    assert!(explorer.scene.pinned);
    // A click beside all images.
    move_to(&mut explorer, (20.0, 70.0));
    explorer.pointer_event(PointerEvent::Press);
    explorer.pointer_event(PointerEvent::Release);
    assert!(!explorer.scene.pinned);
}

#[test]
fn neighbors_are_clicked_and_the_map_goes_there() {
    let mut explorer = explorer();
    embed(&mut explorer, 40);
    explorer.apply(ExploreAction::Zoom(12));
    let on_screen = items(&mut explorer);
    let neighbor =
        |item: &&Item| matches!(&item.kind, ItemKind::Sample { caption, .. } if !caption.is_empty());
    let item = on_screen.iter().rfind(neighbor).unwrap();
    let ItemKind::Sample { index, .. } = item.kind else { panic!() };
    let at = (item.rect.x + 9.0, item.rect.y + 9.0);
    for event in [PointerEvent::Move(at.0, at.1), PointerEvent::Press, PointerEvent::Release] {
        explorer.pointer_event(event);
    }
    settle(&mut explorer);
    assert_eq!((explorer.scene.query, explorer.scene.pinned), (Some(index), true));
    let (x, y) = place(&explorer, index);
    assert!(explorer.shell.viewport.contains(x, y), "{x}, {y}");
    explorer.apply(ExploreAction::NextView);
    let on_screen = items(&mut explorer);
    assert!(on_screen.iter().filter(neighbor).count() > 20);
    assert_eq!(explorer.scene.view, View::Neighbors);
}

#[test]
fn the_map_is_dragged_and_zoomed() {
    let mut explorer = explorer();
    embed(&mut explorer, 40);
    move_to(&mut explorer, (300.0, 300.0));
    let before = place(&explorer, 7);
    explorer.pointer_event(PointerEvent::Press);
    for at in [(310.0, 300.0), (350.0, 280.0)] {
        explorer.pointer_event(PointerEvent::Move(at.0, at.1));
    }
    explorer.pointer_event(PointerEvent::Release);
    let after = place(&explorer, 7);
    assert!((after.0 - before.0 - 50.0).abs() < 0.1 && (after.1 - before.1 + 20.0).abs() < 0.1);
    assert!(!explorer.scene.pinned, "that was no click");
    explorer.pointer_event(PointerEvent::Wheel(3.0));
    assert!(explorer.scene.plot.zoom > 1.9);
    explorer.apply(ExploreAction::Pan(1, -1));
    explorer.apply(ExploreAction::ResetMap);
    assert_eq!((explorer.scene.plot.zoom, explorer.scene.plot.center), (1.0, (0.0, 0.0)));
}

#[test]
fn another_encoder_starts_anew_and_returns_to_the_image() {
    let mut explorer = explorer();
    embed(&mut explorer, 40);
    explorer.apply(ExploreAction::Ask(9));
    explorer.shell.take_effects();
    explorer.apply(ShellAction::NextModel(1));
    assert!(
        matches!(&explorer.shell.take_effects()[..], [Effect::Open(path)] if path.ends_with("other.onnx"))
    );
    let other = EncoderFile { path: "models/other.onnx".into(), ..test_encoder() };
    assert!(explorer.set_model(ModelFile::Encoder(other)).is_none());
    assert!(matches!(&explorer.shell.take_effects()[..], [Effect::Embed(_)]));
    assert!(explorer.scene.samples.is_empty() && explorer.scene.query.is_none());
    embed(&mut explorer, 40);
    assert_eq!(explorer.scene.query, Some(9));
    explorer.apply(ShellAction::Threads(2));
    assert!(matches!(&explorer.shell.take_effects()[..], [Effect::Embed(task)] if task.threads == 2));
}

#[test]
fn the_picture_saved_is_the_image_with_its_neighbors() {
    let mut explorer = explorer();
    assert!(explorer.scene.picture().is_none());
    explorer.apply(ShellAction::SavePicture);
    assert!(explorer.shell.message.as_ref().unwrap().is_error);
    embed(&mut explorer, 40);
    let picture = explorer.scene.picture().unwrap();
    assert_eq!((picture.width, picture.height), (5 * 4 + 4, 5 * 4 + 4));
}

#[test]
fn escape_goes_back_step_by_step() {
    let mut explorer = explorer();
    embed(&mut explorer, 9);
    explorer.apply(ExploreAction::Ask(3));
    for action in [ShellAction::TogglePanels, ShellAction::ToggleList, ShellAction::ToggleHelp] {
        explorer.apply(action);
    }
    for expected in [
        (false, true, true, false),
        (false, false, true, false),
        (false, false, false, false),
        (false, false, false, true),
    ] {
        explorer.apply(ShellAction::Back);
        assert_eq!(
            (explorer.shell.help, explorer.shell.list, explorer.scene.pinned, explorer.shell.panels),
            expected
        );
    }
    explorer.shell.take_effects();
    explorer.apply(ShellAction::Back);
    assert!(matches!(&explorer.shell.take_effects()[..], [Effect::Quit]));
}

#[test]
fn every_size_of_window_can_be_laid_out() {
    for count in [0, 3, 40] {
        let mut explorer = explorer();
        if count > 0 {
            embed(&mut explorer, count);
        }
        for view in View::ALL {
            explorer.apply(ExploreAction::SetView(view));
            for (width, height) in [(1, 1), (64, 64), (300, 900), (900, 300), (760, 480), (3840, 2160)] {
                for scale in [0.5, 1.0, 4.0] {
                    let fonts = &mut Fonts::new();
                    explorer.lay_out(fonts, width, height, scale);
                    if width < 1000 {
                        let mut canvas = Canvas::new(width, height);
                        explorer.paint(&mut canvas, fonts, scale);
                    }
                }
            }
        }
    }
}

#[test]
fn without_images_it_says_how_to_give_some() {
    let mut explorer = viewer(Catalog::default(), test_encoder(), None);
    assert!(!explorer.shell.take_effects().iter().any(|effect| matches!(effect, Effect::Embed(_))));
    assert_eq!(explorer.scene.state, EmbeddingState::NoImages);
    settle(&mut explorer);
    items(&mut explorer);
}
