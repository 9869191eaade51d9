//! Walks as files: GIF, animated PNG, a folder of PNGs.

mod apng;
mod gif;
mod output;
mod pngs;

pub use output::free_name;

use std::io;
use std::path::{Path, PathBuf};

use latent_files::atomic::{self, Existing, NewFile};

use crate::picture::Picture;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// An animated GIF that repeats for ever.
    Gif,
    /// An animated PNG that repeats for ever.
    Apng,
    /// A folder of numbered PNG files.
    Folder,
}

impl RecordFormat {
    /// The kind that a name asks for: `.gif`; `.png` and `.apng`; anything without an extension is a folder. `None` for
    /// other extensions.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).as_deref() {
            Some("gif") => Some(Self::Gif),
            Some("png" | "apng") => Some(Self::Apng),
            None => Some(Self::Folder),
            Some(_) => None,
        }
    }

    /// The extension of its files, without the dot; empty for a folder.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Gif => "gif",
            Self::Apng => "png",
            Self::Folder => "",
        }
    }
}

/// The least width of a saved picture, unless one asks for another.
const LEAST_WIDTH: usize = 224;

/// The whole number by which pictures of this width are enlarged to be large enough to look at.
pub fn enlargement(width: usize) -> usize {
    LEAST_WIDTH.div_ceil(width.max(1))
}

/// Why a recording could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The name says no kind of recording.
    #[error(
        "cannot tell what {} should be: name it .gif, .png or .apng, or without an extension for a folder of PNGs",
        path.display()
    )]
    UnknownFormat { path: PathBuf },
    /// There is a folder of that name, or something else where a folder is to be.
    #[error("{} is there already; remove it, or choose another name", path.display())]
    Exists { path: PathBuf },
    /// There is a file of that name, or the system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("cannot write {}: {problem}", path.display())]
    Encoding { path: PathBuf, problem: String },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordOptions {
    /// Pictures per second, positive.
    pub fps: f64,
    /// Whether a file of that name is overwritten.
    pub force: bool,
}

/// Writes pictures as they come, all of the same size; the file or folder appears by [`Recording::finish`], whole.
pub struct Recording {
    path: PathBuf,
    encoder: Encoder,
    frames: usize,
}

enum Encoder {
    Gif(gif::GifWriter),
    Apng(apng::ApngWriter),
    Folder(pngs::FolderWriter),
}

impl Recording {
    /// Begins a recording of `frames` pictures like `first` (which is not written yet).
    ///
    /// # Errors
    /// If the name says no format, or something of that name is there.
    pub fn begin(
        path: &Path,
        first: &Picture,
        frames: usize,
        options: &RecordOptions,
    ) -> Result<Self, RecordError> {
        let format = check(path, options.force)?;
        let file = || NewFile::begin(path, Existing::forced(options.force));
        let encoder = match format {
            RecordFormat::Gif => Encoder::Gif(gif::GifWriter::begin(file()?, path, first, options.fps)?),
            RecordFormat::Apng => {
                Encoder::Apng(apng::ApngWriter::begin(file()?, path, first, frames, options.fps)?)
            }
            RecordFormat::Folder => Encoder::Folder(pngs::FolderWriter::begin(path, frames)?),
        };
        Ok(Self { path: path.to_owned(), encoder, frames: 0 })
    }

    /// Adds a picture.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&mut self, picture: &Picture) -> Result<(), RecordError> {
        match &mut self.encoder {
            Encoder::Gif(writer) => writer.add(&self.path, picture)?,
            Encoder::Apng(writer) => writer.add(&self.path, picture)?,
            Encoder::Folder(writer) => writer.add(&self.path, picture)?,
        }
        self.frames += 1;
        Ok(())
    }

    /// The pictures so far.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Puts the recording in its place. Returns its size in bytes.
    ///
    /// # Errors
    /// If it cannot be written, or something of that name has appeared meanwhile.
    pub fn finish(self) -> Result<u64, RecordError> {
        match self.encoder {
            Encoder::Gif(writer) => writer.finish(&self.path),
            Encoder::Apng(writer) => writer.finish(&self.path),
            Encoder::Folder(writer) => writer.finish(),
        }
    }
}

/// Checks, before any work is done, that a recording can be written under this name.
pub fn check(path: &Path, force: bool) -> Result<RecordFormat, RecordError> {
    let format =
        RecordFormat::of(path).ok_or_else(|| RecordError::UnknownFormat { path: path.to_owned() })?;
    if format == RecordFormat::Folder && path.symlink_metadata().is_ok() {
        return Err(RecordError::Exists { path: path.to_owned() });
    }
    if format != RecordFormat::Folder {
        atomic::check(path, Existing::forced(force))?;
    }
    Ok(format)
}

/// What an encoder says, as an error of the recording.
pub(crate) fn encoding(path: &Path) -> impl Fn(&dyn std::fmt::Display) -> RecordError + use<'_> {
    move |error| RecordError::Encoding { path: path.to_owned(), problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    const OPTIONS: RecordOptions = RecordOptions { fps: 30.0, force: false };

    fn clip(channels: usize) -> Vec<Picture> {
        (0..4u8)
            .map(|frame| {
                let pixels = (0..6 * channels as u8).map(|i| i * 10 + frame).collect();
                Picture { width: 3, height: 2, channels, pixels }
            })
            .collect()
    }

    fn record(path: &Path, clip: &[Picture], options: &RecordOptions) -> Result<u64, RecordError> {
        let mut recording = Recording::begin(path, &clip[0], clip.len(), options)?;
        for picture in clip {
            recording.add(picture)?;
        }
        assert_eq!(recording.frames(), clip.len());
        recording.finish()
    }

    fn gif_frames(path: &Path) -> (Vec<Vec<u8>>, Vec<u16>, ::gif::Repeat) {
        let mut options = ::gif::DecodeOptions::new();
        options.set_color_output(::gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(File::open(path).unwrap()).unwrap();
        let (mut frames, mut delays) = (Vec::new(), Vec::new());
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            frames.push(frame.buffer.chunks(4).flat_map(|rgba| [rgba[0], rgba[1], rgba[2]]).collect());
            delays.push(frame.delay);
        }
        (frames, delays, decoder.repeat())
    }

    #[test]
    fn a_gif_is_exact_repeats_and_keeps_time() {
        let folder = tempfile::tempdir().unwrap();
        for channels in [1, 3] {
            let clip = clip(channels);
            let path = folder.path().join(format!("walk{channels}.gif"));
            assert_eq!(record(&path, &clip, &OPTIONS).unwrap(), path.metadata().unwrap().len());
            let (frames, delays, repeat) = gif_frames(&path);
            let expected: Vec<Vec<u8>> =
                clip.iter().map(|p| (0..6).flat_map(|i| p.rgb(i % 3, i / 3)).collect()).collect();
            assert_eq!(frames, expected);
            assert!(matches!(repeat, ::gif::Repeat::Infinite));
            // 30 pictures a second are 10 hundredths for three.
            assert_eq!(delays, [3, 4, 3, 3]);
        }
    }

    #[test]
    fn an_apng_is_exact_and_repeats() {
        let folder = tempfile::tempdir().unwrap();
        for channels in [1, 3] {
            let clip = clip(channels);
            let path = folder.path().join(format!("walk{channels}.png"));
            record(&path, &clip, &OPTIONS).unwrap();
            let decoder = png::Decoder::new(io::BufReader::new(File::open(&path).unwrap()));
            let mut reader = decoder.read_info().unwrap();
            let control = reader.info().animation_control.unwrap();
            assert_eq!((control.num_frames, control.num_plays), (4, 0));
            for picture in &clip {
                let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
                reader.next_frame(&mut pixels).unwrap();
                assert_eq!(pixels, picture.pixels);
                let frame = reader.info().frame_control.unwrap();
                assert_eq!(f64::from(frame.delay_den) / f64::from(frame.delay_num), 30.0);
            }
        }
    }

    #[test]
    fn a_folder_holds_numbered_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("walk");
        let clip = clip(1);
        record(&path, &clip, &OPTIONS).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["0001.png", "0002.png", "0003.png", "0004.png"]);
        assert_eq!(fs::read(path.join("0002.png")).unwrap(), clip[1].to_png().unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn nothing_is_overwritten_unasked_and_nothing_half_done_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("walk.gif");
        fs::write(&path, "mine").unwrap();
        let error = record(&path, &clip(1), &OPTIONS).unwrap_err().to_string();
        assert!(error.contains("is there already"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let mut dropped =
            Recording::begin(&path, &clip(1)[0], 4, &RecordOptions { force: true, ..OPTIONS }).unwrap();
        dropped.add(&clip(1)[0]).unwrap();
        drop(dropped);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        record(&path, &clip(1), &RecordOptions { force: true, ..OPTIONS }).unwrap();
        assert_eq!(&fs::read(&path).unwrap()[..6], b"GIF89a");
    }

    #[test]
    fn bad_targets_and_pictures_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut odd = clip(1);
        odd[2] = Picture::black(2, 2, 1);
        for (name, clip, expected) in [
            ("walk.mp4", clip(1), "name it .gif, .png or .apng"),
            ("odd.gif", odd.clone(), "picture 3 is 2x2, but the first is 3x2"),
            ("odd.png", odd, "picture 3 is 2x2, but the first is 3x2"),
            ("wide.gif", vec![Picture::black(70_000, 1, 1)], "at most 65535"),
        ] {
            let error = record(&folder.path().join(name), &clip, &OPTIONS).unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
