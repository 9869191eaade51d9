//! What is drawn, against stored pictures.
//!
//! After a change that is meant, look at the new pictures and store them:
//! `LATENT_BLESS=1 cargo test -p latent-viewer --test screens`.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use latent_runtime::latent::Distribution;
use latent_runtime::onnx::ImageShape;
use latent_runtime::open::BackendKind;
use latent_runtime::pixels::ValueRange;
use latent_viewer::app::{Action, App, Effect, Mode, PointerEvent, SliderSet};
use latent_viewer::draw::{Canvas, Fonts};
use latent_viewer::inference::{Frame, LaneResult};
use latent_viewer::model::{Catalogue, GeneratorFile, Images};
use latent_viewer::picture::Picture;
use latent_viewer::ui;
use latent_viewer::walk::{Interpolation, LatentSpace, Walk};

/// How far a channel may be from the stored one: processors round antialiased edges differently.
const TOLERANCE: u8 = 3;

const IMAGE: ImageShape = ImageShape { channels: 1, height: 16, width: 16 };

fn file(precision: &'static str) -> GeneratorFile {
    GeneratorFile {
        path: format!("models/rings.{precision}.onnx").into(),
        name: format!("rings.{precision}"),
        bytes: 26_762_800,
        precision,
        space: LatentSpace { size: 4, distribution: Distribution::REFERENCE },
        distribution_is_known: true,
        image: IMAGE,
        range: ValueRange::SIGNED,
        architecture: Some("dcgan".into()),
        dataset: Some("mnist".into()),
        engines: vec![BackendKind::Ort],
    }
}

/// A generator of rings: the latent values are the centre, the radius and the brightness. int8 is a little off.
fn images(latents: &[f32], precision: &str) -> Images {
    let mut values = Vec::new();
    for z in latents.chunks_exact(4) {
        for (y, x) in (0..16).flat_map(|y| (0..16).map(move |x| (y as f32, x as f32))) {
            let distance = (x - 7.5 - 4.0 * z[0]).hypot(y - 7.5 - 4.0 * z[1]);
            let ring = 1.0 - (distance - 4.0 - 1.5 * z[2]).abs() / 1.6;
            let value = 2.0 * ring.clamp(0.0, 1.0) * (0.85 + 0.15 * z[3]) - 1.0;
            values.push(if precision == "int8" { (value * 24.0).round() / 24.0 } else { value });
        }
    }
    let pictures = values.chunks_exact(256).map(|v| Picture::from_values(v, IMAGE, ValueRange::SIGNED));
    Images { pictures: pictures.collect::<Result<_, _>>().unwrap(), values, seconds: 0.000_612 }
}

fn answer(app: &mut App) {
    loop {
        let effects = app.take_effects();
        if effects.is_empty() {
            return;
        }
        for effect in effects {
            match effect {
                Effect::Submit(request) => {
                    let results = request
                        .lanes
                        .iter()
                        .map(|lane| LaneResult {
                            engine: "test".into(),
                            images: Ok(images(&request.latents, lane.file.precision)),
                        })
                        .collect();
                    app.receive(Frame { request, results });
                }
                Effect::Enqueue(job) => {
                    let images = images(&job.latents, job.lane.file.precision);
                    app.receive_job(job.id, Ok(images));
                }
                Effect::ReadVariants(_) => app.set_variants(vec![file("int8")]),
                _ => {}
            }
        }
    }
}

fn app() -> App {
    let file = file("fp32");
    let catalogue = Catalogue { paths: vec![file.path.clone(), "models/rings.int8.onnx".into()] };
    let walk = Walk::random(file.space, 7, 6, Interpolation::Slerp);
    App::new(catalogue, file, BackendKind::Ort, walk, 7)
}

/// Lets the app run for a while and draws it.
fn draw(app: &mut App, (width, height): (usize, usize), scale: f32) -> Picture {
    let mut fonts = Fonts::new();
    let mut canvas = Canvas::new(width, height);
    for tick in 0..90 {
        ui::lay_out(app, &fonts, width, height, scale);
        app.tick(f64::from(tick) / 64.0);
        if tick > 0 {
            app.frames.push(app.now, 1.0 / 64.0);
        }
        answer(app);
    }
    let items = ui::lay_out(app, &fonts, width, height, scale);
    ui::paint(app, &items, &mut canvas, &mut fonts, scale);
    canvas.to_picture()
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.png"))
}

fn read(path: &Path) -> Option<Picture> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).ok()?)).read_info().ok()?;
    let mut pixels = vec![0; reader.output_buffer_size()?];
    let info = reader.next_frame(&mut pixels).ok()?;
    Some(Picture { width: info.width as usize, height: info.height as usize, channels: 3, pixels })
}

#[test]
fn screens_are_as_stored() {
    let mut failures = Vec::new();
    let mut check = |name: &str, size, scale: f32, prepare: &dyn Fn(&mut App)| {
        let mut app = app();
        prepare(&mut app);
        let drawn = draw(&mut app, size, scale);
        if std::env::var_os("LATENT_BLESS").is_some() {
            fs::write(golden(name), drawn.to_png().unwrap()).unwrap();
            return;
        }
        let Some(stored) = read(&golden(name)) else {
            failures.push(format!("{name}: no stored picture"));
            return;
        };
        let differ =
            stored.pixels.iter().zip(&drawn.pixels).filter(|(a, b)| a.abs_diff(**b) > TOLERANCE).count();
        if differ > 0 || stored.pixels.len() != drawn.pixels.len() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
            fs::write(&path, drawn.to_png().unwrap()).unwrap();
            failures.push(format!("{name}: {differ} values differ; see {}", path.display()));
        }
    };
    check("image", (800, 760), 1.0, &|app| app.apply(Action::Sliders(SliderSet::Latent)));
    check("grid", (800, 560), 1.0, &|app| {
        app.apply(Action::SetMode(Mode::Grid));
        app.apply(Action::ToggleRecording);
    });
    check("strip", (800, 560), 1.0, &|app| {
        app.player.set_speed(8.0);
        app.apply(Action::SetMode(Mode::Strip));
    });
    check("map", (800, 560), 1.0, &|app| app.apply(Action::SetMode(Mode::Map)));
    check("compare", (800, 560), 1.0, &|app| app.apply(Action::SetMode(Mode::Compare)));
    check("help", (800, 560), 1.0, &|app| app.apply(Action::ToggleHelp));
    check("large", (800, 560), 1.75, &|app| {
        app.now = 1.0;
        app.say("saved walk-001.txt", false);
        app.pointer_event(PointerEvent::Move(40.0, 520.0), &[]);
    });
    check("alone", (800, 560), 1.0, &|app| app.apply(Action::TogglePanels));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
