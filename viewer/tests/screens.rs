//! What is drawn, against stored pictures.
//!
//! After a change that is meant, look at the new pictures and store them:
//! `LATENT_BLESS=1 cargo test -p latent-viewer --test screens`.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use latent_runtime::image_encoding::ImageEncoding;
use latent_runtime::latent::Distribution;
use latent_runtime::onnx::ImageShape;
use latent_runtime::open::{BackendKind, Label};
use latent_runtime::pixels::ValueRange;
use latent_viewer::action::{Action, ExploreAction, Mode, ShellAction, SliderSet, View, WalkAction};
use latent_viewer::draw::{Canvas, Fonts};
use latent_viewer::embedding::{ImageSource, Progress, Sample};
use latent_viewer::input::PointerEvent;
use latent_viewer::model::{Catalog, EncoderFile, GeneratorFile, Images};
use latent_viewer::picture::Picture;
use latent_viewer::record::RecordFormat;
use latent_viewer::scenes::explore::ExploreScene;
use latent_viewer::scenes::walk::WalkScene;
use latent_viewer::shell::inference::{Frame, RunResult};
use latent_viewer::shell::{Effect, Outcome, Scene, Shell, Viewer};
use latent_viewer::ui::{Item, ItemKind};
use latent_viewer::walk::{Interpolation, LatentSpace, Walk};

/// How far a channel may be from the stored one: processors round antialiased edges differently.
const TOLERANCE: u8 = 3;

const IMAGE: ImageShape = ImageShape { channels: 1, height: 16, width: 16 };

fn stated(range: ValueRange) -> ImageEncoding {
    ImageEncoding::stated(range)
}

fn file(precision: &'static str) -> GeneratorFile {
    GeneratorFile {
        path: format!("models/rings.{precision}.onnx").into(),
        name: format!("rings.{precision}"),
        bytes: 26_762_800,
        precision,
        space: LatentSpace { size: 4, distribution: Distribution::REFERENCE },
        distribution_is_known: true,
        image: IMAGE,
        encoding: stated(ValueRange::SIGNED),
        label: None,
        architecture: Some("dcgan".into()),
        dataset: Some("mnist".into()),
        choice: Default::default(),
        engines: vec![BackendKind::Ort],
    }
}

/// A generator of rings: the latent values are the center, the radius and the brightness; the class is the width of a dark
/// bar across. int8 is a little off.
fn images(latents: &[f32], class: usize, precision: &str) -> Images {
    let mut values = Vec::new();
    for z in latents.chunks_exact(4) {
        for (y, x) in (0..16).flat_map(|y| (0..16).map(move |x| (y as f32, x as f32))) {
            let distance = (x - 7.5 - 4.0 * z[0]).hypot(y - 7.5 - 4.0 * z[1]);
            let ring = 1.0 - (distance - 4.0 - 1.5 * z[2]).abs() / 1.6;
            let ring = if (x - 7.5).abs() < class as f32 / 4.0 { 0.0 } else { ring };
            let value = 2.0 * ring.clamp(0.0, 1.0) * (0.85 + 0.15 * z[3]) - 1.0;
            values.push(if precision == "int8" { (value * 24.0).round() / 24.0 } else { value });
        }
    }
    let pictures =
        values.chunks_exact(256).map(|v| Picture::from_values(v, (1, 16, 16), &stated(ValueRange::SIGNED)));
    Images { pictures: pictures.collect::<Result<_, _>>().unwrap(), values, seconds: 0.000_612 }
}

fn answer(app: &mut Viewer<WalkScene>) {
    loop {
        let effects = app.shell.take_effects();
        if effects.is_empty() {
            return;
        }
        for effect in effects {
            match effect {
                Effect::Submit(request) => {
                    let results = request
                        .configs
                        .iter()
                        .map(|config| RunResult {
                            engine: "test".into(),
                            images: Ok(images(&request.latents, request.class, config.file.precision)),
                        })
                        .collect();
                    app.receive(Outcome::Frame(Frame { request, results }));
                }
                Effect::Enqueue(job) => {
                    let images = images(&job.latents, job.class, job.config.file.precision);
                    app.receive(Outcome::Job(job.id, Ok(images)));
                }
                Effect::ReadVariants(_) => app.receive(Outcome::Variants(vec![file("int8")])),
                _ => {}
            }
        }
    }
}

fn app() -> Viewer<WalkScene> {
    app_of(file("fp32"))
}

/// A generator that takes one of so many classes.
fn of_classes(classes: usize) -> GeneratorFile {
    let label = Label { name: "label".into(), classes: Some(classes), one_hot: false };
    GeneratorFile { label: Some(label), ..file("fp32") }
}

fn app_of(file: GeneratorFile) -> Viewer<WalkScene> {
    let catalog = Catalog::of_files([file.path.clone(), "models/rings.int8.onnx".into()]);
    let walk = Walk::random(file.space, 7, 6, Interpolation::Slerp);
    let mut shell = Shell::new(catalog, BackendKind::Ort, 0, None);
    let scene = WalkScene::new(&mut shell, file, walk, 7);
    Viewer::new(shell, scene)
}

/// Lets the walk run for a while and draws it.
fn draw_walk(app: &mut Viewer<WalkScene>, size: (usize, usize), scale: f32) -> Picture {
    draw(app, size, scale, 90, 64.0, |app, tick| {
        if tick > 0 {
            let now = app.shell.now;
            app.shell.frames.push(now, 1.0 / 64.0);
        }
        answer(app);
    })
}

/// Lets `ticks` pass, so many a second, and draws what there is then.
fn draw<S: Scene>(
    viewer: &mut Viewer<S>,
    (width, height): (usize, usize),
    scale: f32,
    ticks: i32,
    rate: f64,
    after: impl Fn(&mut Viewer<S>, i32),
) -> Picture {
    let mut fonts = Fonts::new();
    let mut canvas = Canvas::new(width, height);
    for tick in 0..ticks {
        viewer.lay_out(&fonts, width, height, scale);
        viewer.tick(f64::from(tick) / rate);
        after(viewer, tick);
    }
    viewer.lay_out(&fonts, width, height, scale);
    viewer.paint(&mut canvas, &mut fonts, scale);
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

/// An encoder that has looked at 240 pictures of discs and rings in three colors.
fn explorer() -> Viewer<ExploreScene> {
    const SIDE: usize = 16;
    let image = ImageShape { channels: 3, height: SIDE, width: SIDE };
    let file = EncoderFile {
        path: "models/shapes.fp32.onnx".into(),
        name: "shapes.fp32".into(),
        bytes: 5_300_000,
        precision: "fp32",
        image,
        features: 3,
        encoding: stated(ValueRange::UNIT),
        architecture: Some("resnet".into()),
        dataset: Some("shapes".into()),
        choice: Default::default(),
        engines: vec![BackendKind::Ort],
    };
    let catalog = Catalog::of_files([file.path.clone(), "models/rings.int8.onnx".into()]);
    let images = ImageSource { folder: "pictures/shapes".into(), most: 1000 };
    let mut shell = Shell::new(catalog, BackendKind::Ort, 0, Some(images));
    let scene = ExploreScene::new(&mut shell, file);
    let mut explorer = Viewer::new(shell, scene);
    let labels = ["blue", "green", "red"];
    let mut samples = Vec::new();
    let mut places = Vec::new();
    for index in 0..240usize {
        let (label, turn) = (index % 3, index as f32 * 0.618);
        let radius = 4.0 + 2.5 * (turn * 1.7).sin();
        let is_ring = index % 2 == 0;
        let mut picture = Picture::black(SIDE, SIDE, 3);
        for (at, pixel) in picture.pixels.chunks_exact_mut(3).enumerate() {
            let (x, y) = ((at % SIDE) as f32 - 7.5, (at / SIDE) as f32 - 7.5);
            let distance = x.hypot(y) - radius;
            let inside = if is_ring { 1.0 - (distance.abs() - 1.0) } else { 0.5 - distance };
            pixel[2 - label] = (40.0 + 215.0 * inside.clamp(0.0, 1.0)) as u8;
        }
        let angle = label as f32 * 2.1 + 0.35 * turn.sin() + if is_ring { 0.25 } else { -0.25 };
        let reach = 0.75 + 0.25 * (turn * 2.3).cos();
        places.push([reach * angle.cos(), reach * angle.sin()]);
        samples.push(Sample {
            path: format!("pictures/shapes/{}/{index}.png", labels[label]).into(),
            name: format!("{}/{index}.png", labels[label]),
            label: Some(label),
            picture,
            features: {
                let size = (radius - 4.0) / 5.0;
                let rest = (1.0 - size * size).sqrt();
                vec![size, rest * angle.cos(), rest * angle.sin()]
            },
        });
    }
    let labels = labels.map(String::from).to_vec();
    explorer.receive(Outcome::Embedding(Progress::Listed {
        labels,
        total: 240,
        left_out: 0,
        engine: "test".into(),
    }));
    explorer.receive(Outcome::Embedding(Progress::Embedded {
        samples,
        places: Vec::new(),
        seconds: 0.001_2,
    }));
    explorer.receive(Outcome::Embedding(Progress::Mapped { places, share: 0.64 }));
    explorer.receive(Outcome::Embedding(Progress::Finished { seconds: 0.42, unreadable: None }));
    explorer.apply(ExploreAction::Ask(40));
    explorer
}

/// Lets the encoder's map come to rest and draws it.
fn draw_explorer(explorer: &mut Viewer<ExploreScene>, size: (usize, usize)) -> Picture {
    draw(explorer, size, 1.0, 100, 32.0, |_, _| {})
}

/// Compares a picture with the stored one, or stores it; says what is wrong.
fn compare(name: &str, drawn: &Picture) -> Option<String> {
    if std::env::var_os("LATENT_BLESS").is_some() {
        fs::write(golden(name), drawn.to_png().unwrap()).unwrap();
        return None;
    }
    let Some(stored) = read(&golden(name)) else { return Some(format!("{name}: no stored picture")) };
    let differ = stored.pixels.iter().zip(&drawn.pixels).filter(|(a, b)| a.abs_diff(**b) > TOLERANCE).count();
    if differ == 0 && stored.pixels.len() == drawn.pixels.len() {
        return None;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
    fs::write(&path, drawn.to_png().unwrap()).unwrap();
    Some(format!("{name}: {differ} values differ; see {}", path.display()))
}

#[test]
fn screens_of_encoders_are_as_stored() {
    let mut failures = Vec::new();
    let mut check = |name: &str, prepare: &dyn Fn(&mut Viewer<ExploreScene>)| {
        let mut explorer = explorer();
        prepare(&mut explorer);
        failures.extend(compare(name, &draw_explorer(&mut explorer, (900, 700))));
    };
    check("encoder-map", &|_| {});
    check("encoder-neighbors", &|explorer| explorer.apply(ExploreAction::SetView(View::Neighbors)));
    check("encoder-help", &|explorer| explorer.apply(ShellAction::ToggleHelp));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn screens_are_as_stored() {
    let mut failures = Vec::new();
    let mut check = |name: &str, size, scale: f32, prepare: &dyn Fn(&mut Viewer<WalkScene>)| {
        let mut app = app();
        prepare(&mut app);
        failures.extend(compare(name, &draw_walk(&mut app, size, scale)));
    };
    check("image", (800, 760), 1.0, &|app| app.apply(WalkAction::Sliders(SliderSet::Latent)));
    check("grid", (800, 560), 1.0, &|app| {
        app.apply(WalkAction::SetMode(Mode::Grid));
        app.apply(ShellAction::ToggleRecording(RecordFormat::Gif));
    });
    check("strip", (800, 560), 1.0, &|app| {
        app.scene.player.set_speed(8.0);
        app.apply(WalkAction::SetMode(Mode::Strip));
    });
    check("map", (800, 560), 1.0, &|app| app.apply(WalkAction::SetMode(Mode::Map)));
    check("compare", (800, 560), 1.0, &|app| app.apply(WalkAction::SetMode(Mode::Compare)));
    check("list", (800, 560), 1.0, &|app| app.apply(ShellAction::ToggleList));
    check("list-small", (480, 360), 1.0, &|app| app.apply(ShellAction::ToggleList));
    // More sliders than there is room for, below the bar and above the timeline.
    check("scrolled", (800, 600), 1.0, &|app| {
        *app = app_of(of_classes(10));
        app.apply(WalkAction::Sliders(SliderSet::Latent));
        app.apply(ShellAction::ToggleEngine);
        app.apply(ShellAction::Page(9));
    });
    check("engine", (800, 760), 1.0, &|app| app.apply(ShellAction::ToggleEngine));
    check("sliders", (1280, 800), 1.5, &|app| app.apply(WalkAction::Sliders(SliderSet::Latent)));
    check("help", (800, 560), 1.0, &|app| app.apply(ShellAction::ToggleHelp));
    check("large", (800, 560), 1.75, &|app| {
        app.shell.now = 1.0;
        app.shell.say("saved walk-001.txt", false);
        app.pointer_event(PointerEvent::Move(40.0, 520.0));
    });
    check("small", (640, 480), 1.0, &|app| app.apply(WalkAction::SetMode(Mode::Grid)));
    check("tooltip", (800, 560), 1.0, &|app| {
        app.lay_out(&Fonts::new(), 800, 560, 1.0);
        let delete = |item: &&Item| {
            matches!(item.kind, ItemKind::Icon { action: Action::Walk(WalkAction::DeleteKey), .. })
        };
        let rect = app.items.iter().find(delete).unwrap().rect;
        app.pointer_event(PointerEvent::Move(rect.x + 5.0, rect.y + 5.0));
    });
    check("alone", (800, 560), 1.0, &|app| app.apply(ShellAction::TogglePanels));
    check("class", (800, 760), 1.0, &|app| {
        *app = app_of(of_classes(10));
        app.apply(WalkAction::SetClass(7));
    });
    check("classes", (800, 760), 1.0, &|app| {
        *app = app_of(of_classes(100));
        app.apply(WalkAction::SetClass(42));
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
