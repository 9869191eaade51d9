use super::*;
use crate::app::PointerEvent;
use crate::embedding::Sample;
use crate::model::test_encoder;
use crate::ui::{self, Item, Kind};

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

fn explorer() -> Explorer {
    let file = test_encoder();
    let catalog = Catalog::of_files([file.path.clone(), "models/other.onnx".into()]);
    let images = Images { folder: "pictures".into(), most: 100 };
    Explorer::new(catalog, file, BackendKind::Ort, 0, Some(images))
}

/// Embeds images, with a map.
fn embed(explorer: &mut Explorer, count: usize) {
    let (samples, places) = samples(count);
    let labels = vec!["cat".into(), "dog".into()];
    explorer.receive(Progress::Listed { labels, total: count, left_out: 0, engine: "test".into() });
    explorer.receive(Progress::Embedded { samples, places: Vec::new(), seconds: 0.001 });
    explorer.receive(Progress::Mapped { places, share: 0.5 });
    explorer.receive(Progress::Finished { seconds: 1.0, unreadable: None });
    settle(explorer);
}

fn settle(explorer: &mut Explorer) -> Vec<Effect> {
    (0..100).for_each(|_| explorer.tick(explorer.now + 0.05));
    explorer.take_effects()
}

fn items(explorer: &mut Explorer) -> Vec<Item> {
    ui::lay_out_explorer(explorer, &crate::draw::Fonts::new(), 1280, 800, 1.0)
}

fn move_to(explorer: &mut Explorer, (x, y): (f32, f32)) -> Vec<Item> {
    let items = items(explorer);
    explorer.pointer_event(PointerEvent::Move(x, y), &items);
    items
}

fn place(explorer: &Explorer, index: usize) -> (f32, f32) {
    explorer.map.on_screen(explorer.viewport, index).unwrap()
}

#[test]
fn images_are_asked_for_once_and_come_with_progress() {
    let mut explorer = explorer();
    let effects = explorer.take_effects();
    assert!(matches!(&effects[..], [Effect::Embed(task)] if task.most == 100));
    assert!(explorer.is_busy());
    embed(&mut explorer, 40);
    assert_eq!((explorer.state.clone(), explorer.is_busy()), (State::Finished(1.0), false));
    assert_eq!(explorer.query, Some(0), "there is something to look at");
    assert_eq!(explorer.agreement(), Some((NEAREST, NEAREST)));
    assert_eq!(explorer.neighbors.len(), 39);
    let version = explorer.version;
    assert!(settle(&mut explorer).is_empty() && !explorer.is_moving());
    assert_eq!(explorer.version, version, "nothing is drawn while nothing changes");
    explorer.receive(Progress::Failed("no such library".into()));
    assert!(!explorer.is_busy());
    items(&mut explorer);
}

#[test]
fn the_pointer_asks_and_a_click_stays() {
    let mut explorer = explorer();
    embed(&mut explorer, 40);
    items(&mut explorer);
    let shown: Vec<usize> = explorer.map.shown().to_vec();
    let (first, second) = (shown[3], shown[4]);
    let at = place(&explorer, first);
    let on_screen = move_to(&mut explorer, at);
    assert_eq!((explorer.query, explorer.pinned), (Some(first), false));
    settle(&mut explorer);
    assert_eq!(explorer.neighbors[0], nearest(&explorer.samples, first, 1)[0]);
    explorer.pointer_event(PointerEvent::Press, &on_screen);
    explorer.pointer_event(PointerEvent::Release, &on_screen);
    assert!(explorer.pinned);
    let at = place(&explorer, second);
    move_to(&mut explorer, at);
    assert_eq!(explorer.query, Some(first), "it stays");
    explorer.apply(Action::TogglePin);
    assert_eq!(explorer.query, Some(second), "and is let go");
    explorer.apply(Action::AskRandom);
    assert!(explorer.pinned);
    // A click beside all images.
    let on_screen = move_to(&mut explorer, (20.0, 70.0));
    explorer.pointer_event(PointerEvent::Press, &on_screen);
    explorer.pointer_event(PointerEvent::Release, &on_screen);
    assert!(!explorer.pinned);
}

#[test]
fn neighbors_are_clicked_and_the_map_goes_there() {
    let mut explorer = explorer();
    embed(&mut explorer, 40);
    explorer.apply(Action::Zoom(12));
    let on_screen = items(&mut explorer);
    let neighbor = |item: &&Item| matches!(&item.kind, Kind::Sample { caption, .. } if !caption.is_empty());
    let item = on_screen.iter().rfind(neighbor).unwrap();
    let Kind::Sample { index, .. } = item.kind else { panic!() };
    let at = (item.rect.x + 9.0, item.rect.y + 9.0);
    for event in [PointerEvent::Move(at.0, at.1), PointerEvent::Press, PointerEvent::Release] {
        explorer.pointer_event(event, &on_screen);
    }
    settle(&mut explorer);
    assert_eq!((explorer.query, explorer.pinned), (Some(index), true));
    let (x, y) = place(&explorer, index);
    assert!(explorer.viewport.contains(x, y), "{x}, {y}");
    explorer.apply(Action::NextView);
    let on_screen = items(&mut explorer);
    assert!(on_screen.iter().filter(neighbor).count() > 20);
    assert_eq!(explorer.view, View::Neighbors);
}

#[test]
fn the_map_is_dragged_and_zoomed() {
    let mut explorer = explorer();
    embed(&mut explorer, 40);
    let on_screen = move_to(&mut explorer, (300.0, 300.0));
    let before = place(&explorer, 7);
    explorer.pointer_event(PointerEvent::Press, &on_screen);
    for at in [(310.0, 300.0), (350.0, 280.0)] {
        explorer.pointer_event(PointerEvent::Move(at.0, at.1), &on_screen);
    }
    explorer.pointer_event(PointerEvent::Release, &on_screen);
    let after = place(&explorer, 7);
    assert!((after.0 - before.0 - 50.0).abs() < 0.1 && (after.1 - before.1 + 20.0).abs() < 0.1);
    assert!(!explorer.pinned, "that was no click");
    explorer.pointer_event(PointerEvent::Wheel(3.0), &on_screen);
    assert!(explorer.map.zoom > 1.9);
    explorer.apply(Action::Pan(1, -1));
    explorer.apply(Action::ResetMap);
    assert_eq!((explorer.map.zoom, explorer.map.center), (1.0, (0.0, 0.0)));
}

#[test]
fn another_encoder_starts_anew_and_returns_to_the_image() {
    let mut explorer = explorer();
    embed(&mut explorer, 40);
    explorer.apply(Action::Ask(9));
    explorer.take_effects();
    explorer.apply(Action::NextModel(1));
    assert!(matches!(&explorer.take_effects()[..], [Effect::Open(path)] if path.ends_with("other.onnx")));
    let other = EncoderFile { path: "models/other.onnx".into(), ..test_encoder() };
    explorer.set_model(other);
    assert!(matches!(&explorer.take_effects()[..], [Effect::Embed(_)]));
    assert!(explorer.samples.is_empty() && explorer.query.is_none());
    embed(&mut explorer, 40);
    assert_eq!(explorer.query, Some(9));
    explorer.apply(Action::Threads(2));
    assert!(matches!(&explorer.take_effects()[..], [Effect::Embed(task)] if task.threads == 2));
}

#[test]
fn the_picture_saved_is_the_image_with_its_neighbors() {
    let mut explorer = explorer();
    assert!(explorer.picture().is_none());
    explorer.apply(Action::SavePicture);
    assert!(explorer.message.as_ref().unwrap().is_error);
    embed(&mut explorer, 40);
    let picture = explorer.picture().unwrap();
    assert_eq!((picture.width, picture.height), (5 * 4 + 4, 5 * 4 + 4));
}

#[test]
fn escape_goes_back_step_by_step() {
    let mut explorer = explorer();
    embed(&mut explorer, 9);
    for action in [Action::TogglePanels, Action::Ask(3), Action::ToggleList, Action::ToggleHelp] {
        explorer.apply(action);
    }
    for expected in [
        (false, true, true, false),
        (false, false, true, false),
        (false, false, false, false),
        (false, false, false, true),
    ] {
        explorer.apply(Action::Back);
        assert_eq!((explorer.help, explorer.list, explorer.pinned, explorer.panels), expected);
    }
    explorer.take_effects();
    explorer.apply(Action::Back);
    assert!(matches!(&explorer.take_effects()[..], [Effect::Quit]));
}

#[test]
fn every_size_of_window_can_be_laid_out() {
    for count in [0, 3, 40] {
        let mut explorer = explorer();
        if count > 0 {
            embed(&mut explorer, count);
        }
        for view in View::ALL {
            explorer.apply(Action::SetView(view));
            for (width, height) in [(1, 1), (64, 64), (300, 900), (900, 300), (760, 480), (3840, 2160)] {
                for scale in [0.5, 1.0, 4.0] {
                    let fonts = &mut crate::draw::Fonts::new();
                    let items = ui::lay_out_explorer(&mut explorer, fonts, width, height, scale);
                    if width < 1000 {
                        let mut canvas = crate::draw::Canvas::new(width, height);
                        ui::paint_explorer(&explorer, &items, &mut canvas, fonts, scale);
                    }
                }
            }
        }
    }
}

#[test]
fn without_images_it_says_how_to_give_some() {
    let mut explorer = Explorer::new(Catalog::default(), test_encoder(), BackendKind::Ort, 0, None);
    assert!(!explorer.take_effects().iter().any(|effect| matches!(effect, Effect::Embed(_))));
    assert_eq!(explorer.state, State::NoImages);
    settle(&mut explorer);
    items(&mut explorer);
}
