//! The program in a real window, on a display in memory (Xvfb), with keys and mouse pressed by xdotool.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use latent_runtime::format::{
    Activation, Builder, Element, LayerSpec, ModelInfo, ModelKind, PlainBias, PlainWeights, Precision,
};
use latent_runtime::latent::Distribution;
use latent_runtime::pixels::ValueRange;
use latent_test_support::{Missing, skipped};
use latent_viewer::action::{Mode, WalkAction};
use latent_viewer::draw::Fonts;
use latent_viewer::model::{Catalog, GeneratorFile, ModelOptions};
use latent_viewer::picture::Picture;
use latent_viewer::scenes::walk::WalkScene;
use latent_viewer::shell::{Shell, Viewer};
use latent_viewer::ui::ItemKind;
use latent_viewer::walk::{Interpolation, Walk};

/// The display's and the window's size.
const SIZE: (usize, usize) = (1000, 700);
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is there.
fn wait<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn answers(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// A display in memory. It ends when this is dropped.
struct Display {
    server: Child,
    name: String,
    folder: tempfile::TempDir,
}

impl Display {
    /// Starts one; `None`, and says why, where that cannot be done.
    fn start() -> Option<Self> {
        for (program, argument) in [("Xvfb", "-help"), ("xdotool", "--version")] {
            if !answers(program, argument) {
                let why = format!("{program} is not here (Debian: apt-get install xvfb xdotool libxcursor1)");
                skipped(Missing::Display, why);
                return None;
            }
        }
        // Servers that look for a free number at the same time may find the same one: each asks for one of its own.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        for _ in 0..20 {
            let number = 1000 + (std::process::id() * 8 + STARTED.fetch_add(1, Ordering::Relaxed)) % 30_000;
            let display = Self::start_as(number);
            if display.is_some() {
                return display;
            }
        }
        panic!("Xvfb does not start");
    }

    /// Starts the display of this number; `None` if it is taken.
    fn start_as(number: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Command::new("Xvfb")
            .arg(format!(":{number}"))
            // Without `-noreset` it starts anew whenever its last client leaves, such as an xdotool that looks for the window,
            // and refuses a viewer that comes in that moment.
            .args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-screen", "0"])
            .arg(format!("{}x{}x24", SIZE.0, SIZE.1))
            .arg("-fbdir")
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It says its number when it is ready, and nothing if it ends.
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let display = Self { server, name: format!(":{number}"), folder };
        (line.trim() == number.to_string()).then_some(display)
    }

    fn xdotool(&self, args: &[&str]) -> String {
        let output = Command::new("xdotool").args(args).env("DISPLAY", &self.name).output().unwrap();
        assert!(output.status.success(), "xdotool {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Whether there is a window whose title has this in it.
    fn has_window(&self, title: &str) -> bool {
        let mut search = Command::new("xdotool");
        search.args(["search", "--onlyvisible", "--name", title]).env("DISPLAY", &self.name);
        search.output().unwrap().status.success()
    }

    fn key(&self, key: &str) {
        self.xdotool(&["key", key]);
    }

    /// Moves the pointer and presses a button.
    fn click(&self, (x, y): (f32, f32), button: &str) {
        self.xdotool(&["mousemove", &format!("{x:.0}"), &format!("{y:.0}")]);
        // The window looks at the pointer with every picture.
        std::thread::sleep(Duration::from_millis(100));
        self.xdotool(&["mousedown", button]);
        std::thread::sleep(Duration::from_millis(100));
        self.xdotool(&["mouseup", button]);
    }

    /// What the display shows: the file that Xvfb keeps it in has the format of xwd.
    fn picture(&self) -> Picture {
        let bytes = fs::read(self.folder.path().join("Xvfb_screen0")).unwrap();
        let word = |index: usize| {
            let at = index * 4;
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
        };
        let (header, width, height, line, colors) = (word(0), word(4), word(5), word(12), word(19));
        let mut picture = Picture::black(width, height, 3);
        let start = header + colors * 12;
        for (y, row) in picture.pixels.chunks_exact_mut(width * 3).enumerate() {
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                let at = start + y * line + x * 4;
                pixel.copy_from_slice(&[bytes[at + 2], bytes[at + 1], bytes[at]]);
            }
        }
        picture
    }

    /// Starts the program and waits for its window; the pointer is brought into it.
    fn viewer(&self, folder: &Path, title: &str, args: &[&str]) -> Child {
        let child = Command::new(env!("CARGO_BIN_EXE_viewer"))
            .args(args)
            .args(["--out-dir", "out", "--frame-times", "--size", &format!("{}x{}", SIZE.0, SIZE.1)])
            .current_dir(folder)
            .env("DISPLAY", &self.name)
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("WAYLAND_SOCKET")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut child = child;
        wait("the window", || {
            if let Some(status) = child.try_wait().unwrap() {
                let mut error = String::new();
                child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
                panic!("the viewer ended: {status}: {error}");
            }
            self.has_window(title).then_some(())
        });
        self.xdotool(&["mousemove", "300", "300"]);
        // There is no window manager; the keyboard belongs to the window under the pointer.
        wait("the first picture", || (self.picture().rgb(4, 4) == [0x14, 0x17, 0x1d]).then_some(()));
        child
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The text of a child that has ended well.
fn end(mut child: Child) -> String {
    let status = wait("the program's end", || child.try_wait().unwrap());
    let (mut text, mut error) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(status.success(), "{status}: {error}");
    text
}

/// One layer that takes `input` and gives `output`.
fn model(kind: ModelKind, input: &[usize], output: &[usize]) -> Vec<u8> {
    let (inputs, outputs): (usize, usize) = (input.iter().product(), output.iter().product());
    let mut builder = Builder::new(ModelInfo {
        kind,
        precision: Precision::F32,
        latent_size: if kind == ModelKind::Generator { inputs } else { 0 },
        distribution: (kind == ModelKind::Generator).then_some(Distribution::REFERENCE),
        range: Some(if kind == ModelKind::Generator { ValueRange::SIGNED } else { ValueRange::UNIT }),
        metadata: vec![],
    });
    let weights: Vec<f32> = (0..inputs * outputs).map(|i| (i as f32 * 0.73).sin()).collect();
    let spec = LayerSpec {
        activation: Activation::Tanh,
        ..LayerSpec::new(PlainWeights::F32(&weights), PlainBias::None)
    };
    let x = builder.input("x", input, Element::F32).unwrap();
    let y = builder.fully_connected("layer", x, spec).unwrap();
    builder.output(y, "y", output).unwrap();
    builder.finish().unwrap()
}

/// Where a button is in a window that shows this generator.
fn button(path: &Path, mode: Mode, name: &str) -> (f32, f32) {
    let file = GeneratorFile::read(path, &ModelOptions::default()).unwrap();
    let walk = Walk::random(file.space, 0, 8, Interpolation::Slerp);
    let engine = file.engines[0];
    let mut shell = Shell::new(Catalog::of_files([path.to_owned()]), engine, 0, None);
    let scene = WalkScene::new(&mut shell, file, walk, 0);
    let mut viewer = Viewer::new(shell, scene);
    viewer.apply(WalkAction::SetMode(mode));
    viewer.lay_out(&Fonts::new(), SIZE.0, SIZE.1, 1.0);
    let found = viewer
        .items
        .iter()
        .find(|item| matches!(&item.kind, ItemKind::Button { label, .. } if label == name));
    let rect = found.unwrap().rect;
    (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0)
}

fn key_frames(path: &Path) -> usize {
    let text = wait(&path.display().to_string(), || fs::read_to_string(path).ok());
    text.lines().filter(|line| line.starts_with("key ")).count()
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    (folder, out)
}

#[test]
fn a_walk_is_played_with_keys_and_mouse() {
    let Some(display) = Display::start() else { return };
    let (folder, out) = folder();
    let model_file = folder.path().join("ripples.f32.lat");
    fs::write(&model_file, model(ModelKind::Generator, &[4], &[1, 12, 12])).unwrap();
    let viewer = display.viewer(folder.path(), "ripples.f32", &["ripples.f32.lat", "--threads", "1"]);

    // The walk moves by itself: the pictures change.
    let view =
        |picture: &Picture| -> Vec<[u8; 3]> { (60..620).step_by(8).map(|y| picture.rgb(350, y)).collect() };
    let first = view(&display.picture());
    wait("another picture", || (view(&display.picture()) != first).then_some(()));

    display.key("s");
    wait("a PNG", || fs::metadata(out.join("latent-001.png")).ok());
    display.key("ctrl+s");
    assert_eq!(key_frames(&out.join("walk-001.txt")), 8);
    display.key("g");
    std::thread::sleep(Duration::from_millis(500));
    display.key("g");
    wait("a GIF", || fs::metadata(out.join("latent-001.gif")).ok().filter(|file| file.len() > 200));

    // Paused, it is still.
    display.key("space");
    std::thread::sleep(Duration::from_millis(300));
    let still = view(&display.picture());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(view(&display.picture()), still);

    // A held key repeats, until the pointer leaves the window and the keyboard with it.
    display.xdotool(&["keydown", "Right"]);
    wait("another picture", || (view(&display.picture()) != still).then_some(()));
    let window = display.xdotool(&["search", "--onlyvisible", "--name", "ripples.f32"]);
    display.xdotool(&["windowsize", "--sync", window.trim(), "800", "600"]);
    display.xdotool(&["mousemove", "950", "650"]);
    display.xdotool(&["keyup", "Right"]);
    std::thread::sleep(Duration::from_millis(300));
    let still = view(&display.picture());
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(view(&display.picture()), still, "the key is held no more");
    display.xdotool(&["windowsize", "--sync", window.trim(), "1000", "700"]);
    display.xdotool(&["mousemove", "300", "300"]);
    wait("the window in its old size", || {
        (display.picture().rgb(996, 4) == [0x14, 0x17, 0x1d]).then_some(())
    });

    // On the map, a right click adds a key frame.
    display.click(button(&model_file, Mode::Image, "Map"), "1");
    display.click((330.0, 300.0), "3");
    display.key("ctrl+s");
    assert_eq!(key_frames(&out.join("walk-002.txt")), 9);

    display.key("q");
    let times = end(viewer);
    assert!(times.contains("pictures; from one to the next p50"), "{times}");
}

#[test]
fn models_are_switched_and_a_broken_one_is_passed_over() {
    let Some(display) = Display::start() else { return };
    let (folder, _) = folder();
    fs::write(folder.path().join("ripples.f32.lat"), model(ModelKind::Generator, &[4], &[1, 12, 12]))
        .unwrap();
    fs::write(folder.path().join("waves.f32.lat"), model(ModelKind::Generator, &[6], &[3, 8, 8])).unwrap();
    fs::write(folder.path().join("torn.f32.lat"), "no model").unwrap();
    let viewer = display.viewer(folder.path(), "ripples.f32", &["ripples.f32.lat"]);
    // In the order of their names; after `torn` the title stays, and the next is `waves`.
    display.key("m");
    let red = |picture: &Picture| {
        let places = (400..560).flat_map(|y| (10..690).map(move |x| (x, y)));
        places.filter(|&(x, y)| picture.rgb(x, y) == [0xff, 0x6b, 0x6b]).count()
    };
    wait("the message", || (red(&display.picture()) > 20).then_some(()));
    assert!(display.has_window("ripples.f32"));
    for next in ["waves.f32", "ripples.f32"] {
        display.key("m");
        wait(next, || display.has_window(next).then_some(()));
    }
    display.key("q");
    end(viewer);
}

#[test]
fn an_encoder_shows_its_map_and_neighbors() {
    let Some(display) = Display::start() else { return };
    let (folder, out) = folder();
    fs::write(folder.path().join("e.f32.lat"), model(ModelKind::Encoder, &[3, 8, 8], &[6])).unwrap();
    for index in 0..60u8 {
        let label = folder.path().join("pictures").join(if index % 2 == 0 { "even" } else { "odd" });
        fs::create_dir_all(&label).unwrap();
        let pixels = (0..192).map(|i| (i as u8).wrapping_mul(index) ^ (index % 2 * 90)).collect();
        let picture = Picture { width: 8, height: 8, channels: 3, pixels };
        fs::write(label.join(format!("{index}.png")), picture.to_png().unwrap()).unwrap();
    }
    let viewer = display.viewer(folder.path(), "e.f32", &["e.f32.lat", "--images", "pictures"]);
    // The frame of the image asked about is on the map once there is one.
    let accent = |picture: &Picture| {
        let places = (60..560).flat_map(|y| (10..690).map(move |x| (x, y)));
        places.filter(|&(x, y)| picture.rgb(x, y) == [0x6c, 0xb6, 0xff]).count()
    };
    wait("the map", || (accent(&display.picture()) > 60).then_some(()));
    display.key("r");
    display.key("2");
    wait("the neighbors", || (accent(&display.picture()) == 0).then_some(()));
    display.key("s");
    let saved = out.join("latent-001.png");
    wait("a PNG", || fs::metadata(&saved).ok());
    let reader = png::Decoder::new(BufReader::new(fs::File::open(&saved).unwrap())).read_info().unwrap();
    // Five by five images of 8 pixels, a pixel between them, enlarged six times.
    assert_eq!(reader.info().size(), ((5 * 8 + 4) * 6, (5 * 8 + 4) * 6));
    display.key("q");
    end(viewer);
}

#[test]
fn a_display_that_is_not_there_is_told() {
    let (folder, _) = folder();
    fs::write(folder.path().join("g.f32.lat"), model(ModelKind::Generator, &[4], &[1, 8, 8])).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_viewer"))
        .arg("g.f32.lat")
        .current_dir(folder.path())
        .env("DISPLAY", ":4093")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("WAYLAND_SOCKET")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("cannot open a window") && error.contains("--record walk.gif"), "{error}");
}
