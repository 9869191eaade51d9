use latent_runtime::open::{BackendKind, Label};

use super::*;
use crate::action::{SliderSet, SliderTarget};
use crate::directions::Method;
use crate::draw::Fonts;
use crate::error::BackgroundError;
use crate::error::tests::no_library;
use crate::model::{Catalog, Images, test_file};
use crate::shell::RECORDING_FPS;
use crate::shell::inference::Frame;
use crate::ui::ItemKind;
use crate::walk::{Edits, KeyFrame, WalkFile};

fn app() -> Viewer<WalkScene> {
    app_of(test_file())
}

fn app_of(file: GeneratorFile) -> Viewer<WalkScene> {
    let catalog = Catalog::of_files(["models/other.onnx".into(), file.path.clone()]);
    let walk = Walk::random(file.space, 7, 4, Interpolation::Slerp);
    let mut shell = Shell::new(catalog, BackendKind::Ort, 0, None);
    let scene = WalkScene::new(&mut shell, file, walk, 7);
    let mut app = Viewer::new(shell, scene);
    app.tick(0.0);
    app
}

/// Images whose pixels say which latent they are of.
fn images(latents: &[f32]) -> Images {
    let pictures = latents
        .chunks_exact(4)
        .map(|latent| Picture {
            pixels: vec![(latent[0] * 100.0 + 128.0) as u8; 16],
            ..Picture::black(4, 4, 1)
        })
        .collect();
    let values = latents.chunks_exact(4).flat_map(|latent| [latent[0]; 16]).collect();
    Images { pictures, values, seconds: 0.001 }
}

/// Answers what the app asked for; returns the other effects.
fn answer(app: &mut Viewer<WalkScene>) -> Vec<Effect> {
    let mut others = Vec::new();
    loop {
        let effects = app.shell.take_effects();
        if effects.is_empty() {
            return others;
        }
        // Answers have effects of their own.
        for effect in effects {
            match effect {
                Effect::Submit(request) => {
                    let images = images(&request.latents);
                    let result = RunResult { engine: "test".into(), images: Ok(images) };
                    let results = vec![result; request.configs.len()];
                    app.receive(Outcome::Frame(Frame { request, results }));
                }
                Effect::Enqueue(job) => app.receive(Outcome::Job(job.id, Ok(images(&job.latents)))),
                effect => others.push(effect),
            }
        }
    }
}

fn step(app: &mut Viewer<WalkScene>, seconds: f64) -> Vec<Effect> {
    app.tick(app.shell.now + seconds);
    answer(app)
}

fn items(app: &mut Viewer<WalkScene>) -> Vec<Item> {
    app.lay_out(&Fonts::new(), 1280, 800, 1.0);
    app.items.clone()
}

fn directions(
    method: Method,
    file: &GeneratorFile,
    found: Result<Vec<Vec<f32>>, BackgroundError>,
) -> Outcome {
    Outcome::Directions { method, path: file.path.clone(), found }
}

fn center(item: &Item) -> (f32, f32) {
    (item.rect.x + item.rect.w / 2.0, item.rect.y + item.rect.h / 2.0)
}

fn click(app: &mut Viewer<WalkScene>, find: impl Fn(&ItemKind) -> bool) {
    let items = items(app);
    let (x, y) = center(items.iter().find(|item| find(&item.kind)).expect("it is on the screen"));
    for event in [PointerEvent::Move(x, y), PointerEvent::Press, PointerEvent::Release] {
        app.pointer_event(event);
    }
}

fn button(name: &'static str) -> impl Fn(&ItemKind) -> bool {
    move |kind| matches!(kind, ItemKind::Button { label, .. } if label == name)
}

#[test]
fn a_walk_asks_for_each_picture_once_and_a_paused_one_for_none() {
    let mut app = app();
    answer(&mut app);
    assert!(app.scene.thumbnails.iter().all(Option::is_some));
    for _ in 0..3 {
        app.tick(app.shell.now + 1.0 / 60.0);
        let submits =
            app.shell.take_effects().iter().filter(|effect| matches!(effect, Effect::Submit(_))).count();
        assert_eq!(submits, 1);
    }
    app.apply(WalkAction::TogglePlay);
    step(&mut app, 0.02);
    // Until the figures of the last second are gone.
    (0..90).for_each(|_| drop(step(&mut app, 0.02)));
    let version = app.shell.version;
    for _ in 0..200 {
        assert!(step(&mut app, 0.05).is_empty());
    }
    assert_eq!(app.shell.version, version, "nothing is drawn while nothing changes");
    assert!(!app.is_moving());
}

#[test]
fn what_was_asked_before_a_switch_is_not_shown() {
    let mut app = app();
    let stale = app.shell.take_effects();
    app.apply(WalkAction::SetMode(Mode::Grid));
    items(&mut app);
    app.tick(0.1);
    for effect in stale {
        if let Effect::Submit(request) = effect {
            app.receive(Outcome::Frame(Frame { results: Vec::new(), request }));
        }
    }
    assert!(app.scene.shown.is_none());
    answer(&mut app);
    let (rows, columns) = app.scene.grid_shape(&app.shell);
    let shown = app.scene.shown.as_ref().unwrap();
    assert_eq!(shown.request.latents.len(), rows * columns * 4);
    assert!(rows > 1 && columns == 8, "{rows} rows");
    assert_eq!(app.scene.picture().unwrap().width, 8 * 4);
}

#[test]
fn key_frames_are_edited_where_the_walk_is() {
    let mut app = app();
    app.scene.player.playing = false;
    app.scene.seek(&mut app.shell, 0.3);
    step(&mut app, 0.1);
    let here = app.scene.current_latent();
    app.apply(WalkAction::AddKey);
    assert_eq!((app.scene.walk.len(), app.scene.player.position()), (5, 2.0));
    assert_eq!(app.scene.walk.key_latent(2), Some(&here[..]));
    app.apply(WalkAction::MoveKey(true));
    assert_eq!(app.scene.walk.key_latent(3), Some(&here[..]));
    assert_eq!(app.scene.player.position(), 3.0);
    app.apply(WalkAction::DeleteKey);
    assert_eq!(app.scene.walk.len(), 4);
    app.apply(WalkAction::AddRandomKey);
    assert!(matches!(app.scene.walk.keys().last(), Some(KeyFrame::Seed(_))));
    assert_eq!(app.scene.thumbnails.len(), app.scene.walk.len());
    (0..9).for_each(|_| app.apply(WalkAction::DeleteKey));
    assert_eq!(app.scene.walk.len(), 1);
    assert!(app.shell.message.is_some());
    step(&mut app, 0.1);
}

/// As far apart as the pictures' rounding hides.
fn assert_near(a: &[f32], b: &[f32]) {
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(a.len() == b.len() && apart < 1e-5, "{a:?} {b:?}");
}

#[test]
fn a_key_frame_of_what_is_shown_is_edited_once() {
    for truncation in [1.0, 0.5, 0.0] {
        let mut app = app();
        app.scene.player.playing = false;
        app.scene.seek(&mut app.shell, 0.3);
        app.scene.set_slider(&mut app.shell, SliderTarget::Truncation, truncation);
        app.scene.set_slider(&mut app.shell, SliderTarget::Latent(1), 0.9);
        step(&mut app, 0.1);
        let here = app.scene.current_latent();
        app.apply(WalkAction::AddKey);
        assert!(app.scene.sliders.are_at_rest());
        assert_near(&app.scene.current_latent(), &here);
        app.apply(WalkAction::AddKey);
        assert_near(&app.scene.current_latent(), &here);
    }
}

#[test]
fn thumbnails_show_what_is_done_to_their_latents() {
    let mut app = app();
    let first = |app: &Viewer<WalkScene>| {
        app.scene.thumbnails.iter().flatten().map(|picture| picture.pixels[0]).collect::<Vec<_>>()
    };
    step(&mut app, 0.1);
    answer(&mut app);
    let plain = first(&app);
    assert!(plain.len() == 4 && plain.iter().any(|&pixel| pixel != 128), "{plain:?}");
    app.scene.set_edits(&mut app.shell, &Edits { truncation: 0.0, ..Edits::default() });
    step(&mut app, 0.1);
    answer(&mut app);
    assert_eq!(first(&app), [128; 4]);
}

#[test]
fn a_walk_saved_is_the_walk_loaded() {
    let mut app = app();
    app.scene.set_slider(&mut app.shell, SliderTarget::Truncation, 0.7);
    app.scene.set_slider(&mut app.shell, SliderTarget::Latent(2), 0.1);
    app.apply(WalkAction::NextInterpolation);
    app.apply(WalkAction::ToggleClosed);
    app.apply(WalkAction::Faster(2));
    app.apply(WalkAction::SaveWalk);
    let effects = answer(&mut app);
    let Some(Effect::SaveWalk(file)) = effects.into_iter().find(|e| matches!(e, Effect::SaveWalk(_))) else {
        panic!("nothing was saved");
    };
    let (walk, speed) = (app.scene.walk.clone(), app.scene.player.speed());
    let shown = app.scene.current_latent();
    app.apply(WalkAction::NewWalk);
    app.apply(WalkAction::ResetSliders);
    app.apply(WalkAction::Faster(-5));
    assert_ne!(app.scene.walk, walk);
    app.scene.set_walk(&mut app.shell, &WalkFile::parse(&file.to_text(), std::path::Path::new("w")).unwrap());
    assert_eq!((app.scene.walk.clone(), app.scene.player.speed()), (walk, speed));
    app.scene.player.seek(&app.scene.walk, 0.0);
    let start = app.scene.current_latent();
    assert_eq!((app.scene.truncation, start), (0.7, shown));
}

type Edit<'a> = &'a dyn Fn(&mut Viewer<WalkScene>);

#[test]
fn every_edit_is_undone_and_done_again() {
    let drag = |app: &mut Viewer<WalkScene>| {
        let items = items(app);
        let truncation =
            |item: &&Item| matches!(item.kind, ItemKind::Slider { target: SliderTarget::Truncation, .. });
        let track = items.iter().find(truncation).unwrap().track();
        app.pointer_event(PointerEvent::Move(track.x + track.w, track.y + 1.0));
        app.pointer_event(PointerEvent::Press);
        for part in [0.8, 0.6, 0.4] {
            app.pointer_event(PointerEvent::Move(track.x + track.w * part, track.y + 1.0));
            step(app, 0.02);
        }
        app.pointer_event(PointerEvent::Release);
    };
    let other_model = |app: &mut Viewer<WalkScene>| {
        let mut other = test_file();
        (other.path, other.space.size) = ("models/other.onnx".into(), 8);
        assert!(app.set_model(ModelFile::Generator(other)).is_none());
    };
    let hold = |app: &mut Viewer<WalkScene>| (0..5).for_each(|_| app.apply(WalkAction::Truncate(-1)));
    let edits: [Edit<'_>; 9] = [
        &|app| app.apply(WalkAction::DeleteKey),
        &|app| app.apply(WalkAction::AddKey),
        &|app| app.apply(WalkAction::MoveKey(true)),
        &|app| app.apply(WalkAction::NewWalk),
        &|app| app.apply(WalkAction::NextInterpolation),
        &|app| app.apply(WalkAction::ToggleClosed),
        &drag,
        &hold,
        &other_model,
    ];
    let mut app = app();
    app.scene.player.playing = false;
    let seen = |app: &Viewer<WalkScene>| {
        let scene = &app.scene;
        (
            scene.config.file.path.clone(),
            scene.walk.clone(),
            scene.truncation,
            scene.current_latent(),
            scene.seed,
        )
    };
    let mut states = vec![seen(&app)];
    for edit in edits {
        edit(&mut app);
        step(&mut app, 1.0);
        assert_ne!(states.last(), Some(&seen(&app)));
        states.push(seen(&app));
    }
    // What is no edit is not undone.
    app.apply(WalkAction::SetMode(Mode::Grid));
    for state in states.iter().rev().skip(1) {
        app.apply(WalkAction::Undo);
        step(&mut app, 0.1);
        assert_eq!(&seen(&app), state);
    }
    app.apply(WalkAction::Undo);
    assert_eq!(seen(&app), states[0]);
    for state in &states[1..] {
        app.apply(WalkAction::Redo);
        assert_eq!(&seen(&app), state);
    }
    // Another edit leaves nothing to do again.
    app.apply(WalkAction::Undo);
    app.apply(WalkAction::NewWalk);
    let after = seen(&app);
    app.apply(WalkAction::Redo);
    assert_eq!(seen(&app), after);
}

#[test]
fn sliders_come_back_with_their_directions() {
    let mut app = app();
    app.apply(WalkAction::Sliders(SliderSet::Sefa));
    app.receive(directions(Method::Sefa, &test_file(), Ok(vec![vec![1.0, 0.0, 0.0, 0.0]])));
    let before = app.scene.moment(&app.shell);
    app.scene.set_slider(&mut app.shell, SliderTarget::Direction(0), 1.0);
    app.scene.remember(&app.shell, "a slider", before, false);
    let edited = app.scene.current_latent();
    app.apply(WalkAction::ResetSliders);
    assert_ne!(app.scene.current_latent(), edited);
    app.apply(WalkAction::Undo);
    assert_eq!(app.scene.current_latent(), edited);
    assert_eq!(app.scene.slider(SliderTarget::Direction(0)), (1.0, true));
    app.apply(WalkAction::Undo);
    assert!(app.scene.sliders.are_at_rest() && app.scene.sliders.count(4) == 1);
}

#[test]
fn leaving_saves_what_was_recorded() {
    for quit in [false, true] {
        let mut app = app();
        step(&mut app, 0.1);
        app.apply(ShellAction::ToggleRecording(RecordFormat::Gif));
        (0..9).for_each(|_| drop(step(&mut app, 1.0 / 30.0)));
        app.apply(if quit { ShellAction::Quit } else { ShellAction::Back });
        let effects = answer(&mut app);
        let saved = effects.iter().position(|effect| matches!(effect, Effect::SaveClip(..)));
        let left = effects.iter().position(|effect| matches!(effect, Effect::Quit));
        assert!(
            saved.is_some() && left.is_some() == quit && left.is_none_or(|left| Some(left) > saved),
            "{effects:?}"
        );
        assert!(app.shell.recorder.is_none());
    }
}

#[test]
fn recordings_are_of_what_is_shown_at_their_own_rate() {
    let mut app = app();
    step(&mut app, 0.1);
    app.apply(ShellAction::ToggleRecording(RecordFormat::Gif));
    (0..60).for_each(|_| drop(step(&mut app, 1.0 / 60.0)));
    let frames = app.shell.recorder.as_ref().unwrap().clip.len();
    assert!((29..=31).contains(&frames), "{frames} pictures in a second");
    app.apply(ShellAction::ToggleRecording(RecordFormat::Gif));
    let effects = answer(&mut app);
    assert!(
        matches!(&effects[..], [Effect::SaveClip(clip, fps, RecordFormat::Gif)] if clip.len() == frames && *fps == RECORDING_FPS)
    );
    // Another size ends a recording.
    app.apply(ShellAction::ToggleRecording(RecordFormat::Gif));
    step(&mut app, 0.1);
    app.apply(WalkAction::SetMode(Mode::Grid));
    items(&mut app);
    let effects = step(&mut app, 0.1);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::SaveClip(..))));
    assert!(app.shell.recorder.is_none());
}

#[test]
fn models_engines_and_precisions_are_switched() {
    let mut app = app();
    step(&mut app, 0.1);
    app.apply(ShellAction::NextModel(1));
    let effects = answer(&mut app);
    assert!(matches!(&effects[..], [Effect::Open(path)] if path.ends_with("other.onnx")));
    let mut other = test_file();
    other.path = "models/other.onnx".into();
    other.space.size = 8;
    assert!(app.set_model(ModelFile::Generator(other)).is_none());
    assert_eq!(app.scene.walk.space().size, 8);
    assert!(app.scene.shown.is_none());
    app.apply(ShellAction::Threads(2));
    app.tick(1.0);
    let effects = app.shell.take_effects();
    let submitted = effects.iter().find_map(|effect| match effect {
        Effect::Submit(request) => Some(request),
        _ => None,
    });
    let submitted = submitted.unwrap();
    assert_eq!((submitted.configs[0].threads, submitted.latents.len()), (2, 8));
    app.apply(ShellAction::NextEngine);
    app.apply(ShellAction::NextPrecision);
    assert!(app.shell.take_effects().is_empty(), "there is one of each");
}

#[test]
fn the_comparison_has_the_reference_first() {
    let mut app = app();
    app.shell.catalog.add(std::path::Path::new("models/test.int8.onnx"));
    app.apply(WalkAction::SetMode(Mode::Compare));
    let effects = answer(&mut app);
    assert!(matches!(&effects[..], [Effect::ReadVariants(paths)] if paths.len() == 1));
    let mut int8 = test_file();
    (int8.path, int8.precision) = ("models/test.int8.onnx".into(), "int8");
    let mut other_size = test_file();
    other_size.space.size = 5;
    app.receive(Outcome::Variants(vec![int8, other_size]));
    step(&mut app, 0.1);
    let shown = app.scene.shown.as_ref().unwrap();
    let precisions: Vec<&str> = shown.request.configs.iter().map(|config| config.file.precision).collect();
    assert_eq!(precisions, ["fp32", "int8"]);
    assert_eq!((shown.results.len(), app.scene.own_config(), app.shell.latencies.len()), (2, 0, 2));
}

#[test]
fn sliders_are_dragged_and_put_back() {
    let mut app = app();
    app.scene.player.playing = false;
    app.apply(WalkAction::Sliders(SliderSet::Latent));
    step(&mut app, 0.1);
    let slider = |target| move |item: &&Item| matches!(item.kind, ItemKind::Slider { target: own, .. } if own == target);
    let items = items(&mut app);
    let target = SliderTarget::Latent(2);
    let item = items.iter().find(slider(target)).unwrap();
    let (track, (_, y)) = (item.track(), center(item));
    for (event, expected) in [
        (PointerEvent::Move(track.x + track.w * 0.75, y), false),
        (PointerEvent::Press, true),
        (PointerEvent::Move(track.x + track.w * 5.0, y + 300.0), true),
        (PointerEvent::Release, true),
    ] {
        app.pointer_event(event);
        assert_eq!(app.scene.slider(target).1, expected, "{event:?}");
    }
    step(&mut app, 0.1);
    assert_eq!(app.scene.shown.as_ref().unwrap().request.latents[2], 1.0);
    app.pointer_event(PointerEvent::Move(track.x, y));
    app.pointer_event(PointerEvent::RightPress);
    assert!(!app.scene.slider(target).1);
    app.apply(WalkAction::Truncate(-20));
    step(&mut app, 0.1);
    assert_eq!(app.scene.shown.as_ref().unwrap().request.latents, [0.0; 4]);
}

#[test]
fn the_panel_scrolls_to_every_slider() {
    let mut file = test_file();
    file.space.size = 96;
    for (width, height, scale, first) in
        [(1280, 720, 1.0, 10), (800, 600, 1.0, 5), (1280, 800, 1.5, 2), (1920, 1080, 1.0, 20)]
    {
        let mut app = app_of(file.clone());
        app.apply(WalkAction::Sliders(SliderSet::Latent));
        let fonts = Fonts::new();
        let latents = |app: &mut Viewer<WalkScene>| -> Vec<usize> {
            app.lay_out(&fonts, width, height, scale);
            let panel = app.shell.viewport.y..height as f32;
            let inside =
                |item: &&Item| panel.contains(&item.rect.y) && item.rect.y + item.rect.h <= panel.end;
            let index = |item: &Item| match item.kind {
                ItemKind::Slider { target: SliderTarget::Latent(index), .. } => Some(index),
                _ => None,
            };
            app.items.iter().filter(inside).filter_map(index).collect()
        };
        let mut seen = latents(&mut app);
        assert!(seen.len() >= first, "{width}x{height}: {seen:?}");
        app.pointer_event(PointerEvent::Move(width as f32 - 20.0, 300.0));
        let speed = app.scene.player.speed();
        for _ in 0..80 {
            app.pointer_event(PointerEvent::Wheel(-1.0));
            seen.extend(latents(&mut app));
        }
        assert!((0..96).all(|index| seen.contains(&index)), "{width}x{height}: {seen:?}");
        assert_eq!(app.scene.player.speed(), speed);
        // Beyond the end there is nothing, and the way back begins at once.
        let end = app.shell.scroll;
        app.pointer_event(PointerEvent::Wheel(1.0));
        latents(&mut app);
        assert!(app.shell.scroll < end);
    }
}

#[test]
fn every_model_of_the_list_can_be_reached() {
    let mut app = app();
    (0..40)
        .for_each(|index| app.shell.catalog.add(std::path::Path::new(&format!("models/m{index:02}.onnx"))));
    for (width, height) in [(480, 360), (800, 600), (1280, 720)] {
        app.apply(ShellAction::ToggleList);
        let mut seen = std::collections::HashSet::new();
        for page in (-9..0).chain(std::iter::repeat_n(1, 12)) {
            app.apply(ShellAction::Page(page));
            app.lay_out(&Fonts::new(), width, height, 1.0);
            seen.extend(app.items.iter().filter_map(|item| match item.action() {
                Some(Action::Shell(ShellAction::OpenModel(index))) => Some(index),
                _ => None,
            }));
        }
        assert_eq!(seen.len(), app.shell.catalog.paths.len(), "{width}x{height}");
        app.apply(ShellAction::Back);
        assert!(!app.shell.list && app.shell.scroll == 0.0);
    }
}

#[test]
fn directions_are_looked_for_once_they_are_wanted() {
    let mut app = app();
    step(&mut app, 0.1);
    app.apply(WalkAction::Sliders(SliderSet::Sefa));
    assert!(matches!(&answer(&mut app)[..], [Effect::Sefa(_)]));
    let file = test_file();
    app.receive(directions(Method::Sefa, &file, Err(no_library())));
    assert!(app.shell.message.as_ref().unwrap().is_error);
    app.apply(WalkAction::Sliders(SliderSet::Pca));
    let effects = answer(&mut app);
    let [Effect::Pca { latents, images, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((latents.len(), images.len()), (384 * 4, 384 * 16));
    app.receive(directions(Method::Pca, &file, Ok(vec![vec![1.0, 0.0, 0.0, 0.0]])));
    items(&mut app);
    assert_eq!(app.scene.sliders.targets(4).collect::<Vec<_>>(), [SliderTarget::Direction(0)]);
    // Those of another model are of no use.
    let other = GeneratorFile { path: "x".into(), ..file };
    app.receive(directions(Method::Pca, &other, Ok(vec![vec![0.0; 4]; 9])));
    assert_eq!(app.scene.sliders.count(4), 1);
}

#[test]
fn buttons_do_what_they_say() {
    let mut app = app();
    items(&mut app);
    click(&mut app, button("lerp"));
    assert_eq!(app.scene.walk.interpolation, Interpolation::Lerp);
    click(&mut app, button("loop"));
    assert!(!app.scene.walk.closed);
    click(&mut app, button("Map"));
    assert_eq!(app.scene.mode, Mode::Map);
    click(&mut app, |kind| {
        matches!(kind, ItemKind::Icon { action: Action::Walk(WalkAction::TogglePlay), .. })
    });
    assert_eq!((app.scene.mode, app.scene.player.playing), (Mode::Image, true));
    click(&mut app, |kind| {
        matches!(kind, ItemKind::Icon { action: Action::Walk(WalkAction::TogglePlay), .. })
    });
    assert!(!app.scene.player.playing);
    click(&mut app, button("Map"));
    app.apply(ShellAction::ToggleHelp);
    click(&mut app, button("Grid"));
    assert_eq!(
        (app.shell.help, app.scene.mode),
        (false, Mode::Map),
        "a click closes the help and does no more"
    );
}

#[test]
fn the_timeline_is_dragged() {
    let mut app = app();
    let items = items(&mut app);
    let item = items.iter().find(|item| item.kind == ItemKind::Timeline).unwrap();
    let (track, (_, y)) = (item.track(), center(item));
    for (fraction, expected) in [(0.5, 2.0), (0.25, 1.0), (-3.0, 0.0)] {
        app.pointer_event(PointerEvent::Move(track.x + track.w * fraction, y));
        if fraction == 0.5 {
            app.pointer_event(PointerEvent::Press);
        }
        assert!((app.scene.player.position() - expected).abs() < 0.01, "{}", app.scene.player.position());
    }
    app.pointer_event(PointerEvent::Move(track.x + track.w * 2.0, y));
    assert!(app.scene.player.position() > 3.99, "the end of a loop is not its beginning");
    assert!(!app.scene.player.playing);
}

#[test]
fn the_map_is_dragged_and_gives_key_frames() {
    let mut app = app();
    app.apply(WalkAction::SetMode(Mode::Map));
    items(&mut app);
    (0..300).for_each(|_| drop(step(&mut app, 0.01)));
    let view = app.shell.viewport;
    let visible = app.scene.map.visible(view, app.scene.config.file.image);
    assert!(visible.iter().all(|(tile, ..)| app.scene.map.picture(tile).is_some()), "all tiles come");
    let (x, y) = (view.x + view.w / 2.0, view.y + view.h / 2.0);
    app.pointer_event(PointerEvent::Move(x, y));
    assert_eq!(app.scene.map.point(), (0.0, 0.0));
    app.pointer_event(PointerEvent::RightPress);
    assert!(app.scene.walk.keys().any(|key| *key == KeyFrame::Seed(0)), "an integer point is a seed");
    app.pointer_event(PointerEvent::Press);
    assert!(app.is_moving() && !app.is_playing(), "between two pictures of a drag there is any time");
    app.pointer_event(PointerEvent::Move(x - 112.0, y));
    app.pointer_event(PointerEvent::Release);
    assert!((app.scene.map.center.0 - 0.5).abs() < 1e-9, "{:?}", app.scene.map.center);
    app.pointer_event(PointerEvent::Wheel(1.0));
    assert_eq!(app.scene.map.per_seed, 8);
    app.pointer_event(PointerEvent::Leave);
    assert_eq!(app.scene.map.point(), app.scene.map.center);
}

#[test]
fn pictures_stay_until_there_are_better_ones() {
    let mut app = app();
    app.apply(WalkAction::SetMode(Mode::Map));
    items(&mut app);
    (0..300).for_each(|_| drop(step(&mut app, 0.01)));
    let visible = app.scene.map.visible(app.shell.viewport, app.scene.config.file.image);
    let mut asked: Vec<u64> = Vec::new();
    let truncate = Action::from(WalkAction::Truncate(-1));
    for change in [truncate, truncate, ShellAction::Threads(1).into()] {
        app.apply(change);
        app.tick(app.shell.now + 0.01);
        assert!(visible.iter().all(|(tile, ..)| app.scene.map.picture(tile).is_some()), "{change:?}");
        assert!(app.scene.shown.is_some() && app.scene.thumbnails.iter().all(Option::is_some), "{change:?}");
        let mut forgotten = Vec::new();
        let mut new = Vec::new();
        for effect in app.shell.take_effects() {
            match effect {
                Effect::ForgetJobs(ids) => forgotten.extend(ids),
                Effect::Enqueue(job) => new.push(job.id),
                _ => {}
            }
        }
        asked.retain(|id| !forgotten.contains(id));
        assert!(asked.is_empty(), "{change:?} leaves {asked:?} in the queue");
        asked = new;
    }
    assert!(!asked.is_empty());
    // A model of other images leaves nothing.
    let mut other = test_file();
    other.path = "models/other.onnx".into();
    assert!(app.set_model(ModelFile::Generator(other)).is_none());
    assert!(app.scene.shown.is_none() && app.scene.thumbnails.iter().all(Option::is_none));
    assert!(visible.iter().all(|(tile, ..)| app.scene.map.picture(tile).is_none()));
}

#[test]
fn a_walk_that_is_moved_is_seen() {
    for action in [WalkAction::TogglePlay, WalkAction::Step(1), WalkAction::StepKey(true)] {
        let mut app = app();
        app.apply(WalkAction::SetMode(Mode::Map));
        app.apply(action);
        assert_eq!(
            (app.scene.mode, app.scene.player.playing),
            (Mode::Image, action == WalkAction::TogglePlay),
            "{action:?}"
        );
    }
    let mut app = app();
    app.apply(WalkAction::SetMode(Mode::Map));
    app.scene.seek(&mut app.shell, 0.5);
    assert_eq!((app.scene.mode, app.scene.player.position()), (Mode::Image, 2.0));
}

#[test]
fn directions_are_still_found_when_the_threads_change_meanwhile() {
    let mut app = app();
    step(&mut app, 0.1);
    app.apply(WalkAction::Sliders(SliderSet::Pca));
    app.apply(ShellAction::Threads(1));
    let found = answer(&mut app).iter().filter(|effect| matches!(effect, Effect::Pca { .. })).count();
    assert_eq!(found, 1);
}

#[test]
fn the_strip_grows_with_the_walk() {
    let mut app = app();
    app.scene.player.set_speed(1.0);
    (0..100).for_each(|_| drop(step(&mut app, 0.02)));
    assert!((16..=18).contains(&app.scene.strip.len()), "{}", app.scene.strip.len());
}

#[test]
fn escape_goes_back_step_by_step() {
    let mut app = app();
    answer(&mut app);
    app.apply(ShellAction::TogglePanels);
    app.apply(ShellAction::ToggleHelp);
    for expected in [(false, false, 0), (false, true, 0), (false, true, 1)] {
        app.apply(ShellAction::Back);
        let quits = answer(&mut app).iter().filter(|effect| matches!(effect, Effect::Quit)).count();
        assert_eq!((app.shell.help, app.shell.panels, quits), expected);
    }
}

#[test]
fn errors_stop_the_walk_and_are_shown() {
    let mut app = app();
    let Some(Effect::Submit(request)) =
        app.shell.take_effects().into_iter().find(|effect| matches!(effect, Effect::Submit(_)))
    else {
        panic!("nothing was asked for");
    };
    let results = vec![RunResult { engine: String::new(), images: Err(Arc::new(no_library())) }];
    app.receive(Outcome::Frame(Frame { request, results }));
    assert_eq!(app.scene.shown_error().map(ToString::to_string), Some("no such library".to_owned()));
    assert!(!app.is_moving());
    app.apply(ShellAction::SavePicture);
    assert!(app.shell.message.as_ref().unwrap().is_error);
}

#[test]
fn every_size_of_window_can_be_laid_out() {
    let mut app = app();
    answer(&mut app);
    for mode in Mode::ALL {
        app.apply(WalkAction::SetMode(mode));
        for (width, height) in [(1, 1), (64, 64), (300, 900), (900, 300), (760, 480), (3840, 2160)] {
            for scale in [0.5, 1.0, 4.0] {
                app.lay_out(&Fonts::new(), width, height, scale);
                step(&mut app, 0.02);
                if width < 1000 {
                    let mut canvas = crate::draw::Canvas::new(width, height);
                    app.paint(&mut canvas, &mut Fonts::new(), scale);
                }
            }
        }
    }
}

#[test]
fn every_button_with_a_sign_says_what_it_does() {
    let mut app = app();
    app.apply(WalkAction::Sliders(SliderSet::Latent));
    let mut seen = 0;
    for _ in 0..2 {
        for item in items(&mut app) {
            if let ItemKind::Icon { action, on, .. } = item.kind {
                let (what, key) = action.hint(on).unwrap_or_else(|| panic!("{action:?} says nothing"));
                assert!(!what.is_empty() && !key.is_empty());
                seen += 1;
            }
        }
        app.apply(ShellAction::ToggleRecording(RecordFormat::Gif));
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn small_windows_have_a_line_of_figures() {
    let mut app = app();
    (0..30).for_each(|_| drop(step(&mut app, 0.02)));
    for (width, height, expected) in
        [(640, 480, true), (300, 260, true), (200, 200, false), (1280, 800, false)]
    {
        app.lay_out(&Fonts::new(), width, height, 1.0);
        let is_line = |item: &&Item| matches!(&item.kind, ItemKind::Text { text, .. } if text == "1.00 ms  ·  p99 1.00 ms");
        let line = app.items.iter().find(is_line);
        assert_eq!(line.is_some(), expected, "{width}x{height}");
        // Nothing is laid over the images.
        let bottom = app.shell.viewport.y + app.shell.viewport.h;
        assert!(line.is_none_or(|line| line.rect.y > bottom), "{width}x{height}");
    }
}

#[test]
fn precisions_of_several_formats_have_a_row_for_each() {
    let mut app = app();
    let own = app.scene.config.file.path.clone();
    let stem = own.with_extension("").with_extension("");
    for name in ["int8.lat", "f32.lat", "int8.onnx"] {
        app.shell.catalog.add(&stem.with_extension(name));
    }
    let mut rows: Vec<(f32, Vec<String>)> = Vec::new();
    for item in items(&mut app) {
        let ItemKind::Button { label, action: Action::Shell(ShellAction::OpenVariant(_)), .. } = item.kind
        else {
            continue;
        };
        match rows.last_mut().filter(|(y, _)| *y == item.rect.y) {
            Some((_, labels)) => labels.push(label),
            None => rows.push((item.rect.y, vec![label])),
        }
    }
    let labels: Vec<Vec<String>> = rows.into_iter().map(|(_, labels)| labels).collect();
    assert_eq!(labels, [["int8", "fp32"], ["int8", "fp32"]]);
}

#[test]
fn a_class_is_drawn_of_models_that_take_one() {
    let label = Label { name: "label".into(), classes: Some(10), one_hot: false };
    let mut app = app_of(GeneratorFile { label: Some(label), ..test_file() });
    answer(&mut app);
    click(&mut app, button("7"));
    // The picture, the thumbnails: all are asked for anew.
    app.tick(app.shell.now + 0.02);
    let effects = app.shell.take_effects();
    let classes: Vec<usize> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Submit(request) => Some(request.class),
            Effect::Enqueue(job) => Some(job.class),
            _ => None,
        })
        .collect();
    assert!(classes.len() >= 2 && classes.iter().all(|&class| class == 7), "{classes:?}");
    app.apply(WalkAction::SetClass(10));
    assert_eq!(app.shell.class, 7, "there is no such class");
    // Another model has no row of buttons.
    let mut other = self::app();
    assert!(!items(&mut other).iter().any(|item| button("7")(&item.kind)));
    other.apply(WalkAction::SetClass(3));
    assert_eq!(other.shell.class, 0);
}
