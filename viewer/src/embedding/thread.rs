//! Reading and embedding a folder of images on a thread of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use latent_files::pictures::{PictureError, PictureFile};
use latent_runtime::open::BackendKind;

use super::neighbors::dot;
use super::{Plane, Sample};
use crate::error::BackgroundError;
use crate::image_folder::{self, Listing};
use crate::model::{Encoder, EncoderFile, ModelError};
use crate::picture::Picture;

/// The images that are embedded at once.
const BATCH: usize = 16;
/// The samples from which the first map is made; each further one is made from half as many again.
const FIRST_MAP: usize = 32;
/// The largest side of a picture that is kept.
const LARGEST_KEPT: usize = 96;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Task {
    pub file: Arc<EncoderFile>,
    pub engine: BackendKind,
    /// The threads that one run may use; 0 leaves it to the back end.
    pub threads: usize,
    pub source: ImageSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSource {
    pub folder: PathBuf,
    pub most: usize,
}

/// How far it is.
#[derive(Debug)]
pub enum Progress {
    /// The folder was read, the encoder opened.
    Listed {
        /// The folders in it.
        labels: Vec<String>,
        /// The images that will be embedded.
        total: usize,
        /// The images that will not.
        left_out: usize,
        /// What runs the encoder, in words.
        engine: String,
    },
    /// Some more images were embedded.
    Embedded {
        /// The images.
        samples: Vec<Sample>,
        /// Where they lie on the map, if there is one yet.
        places: Vec<[f32; 2]>,
        /// The seconds that the back end took for each of them.
        seconds: f64,
    },
    /// There is a better map.
    Mapped {
        /// Where all samples so far lie on it.
        places: Vec<[f32; 2]>,
        /// The share of the variance that it shows.
        share: f32,
    },
    /// All images were embedded.
    Finished {
        /// The seconds since the beginning.
        seconds: f64,
        /// The files that could not be read, and what was wrong with the first.
        unreadable: Option<(usize, PictureError)>,
    },
    /// It cannot go on.
    Failed(BackgroundError),
}

/// What embeds pictures: one vector after the other, and the seconds that it took.
pub(super) type Embed = dyn FnMut(&[&Picture]) -> Result<(Vec<f32>, f64), ModelError>;

/// The thread. It ends when this is dropped.
pub struct Embedder {
    progress: Receiver<Progress>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Embedder {
    /// Starts it.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(task: Task) -> std::io::Result<Self> {
        let (sender, progress) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let work = move || {
            let open = || {
                let mut encoder = Encoder::open(&task.file, task.engine, task.threads)?;
                let engine = encoder.describe().to_owned();
                let embed: Box<Embed> = Box::new(move |pictures| encoder.run(pictures));
                Ok((embed, engine))
            };
            if let Err(error) = embed_folder(&task, open, &sender, &told) {
                // Nobody listens when another task was begun.
                let _ = sender.send(Progress::Failed(error));
            }
        };
        let thread = std::thread::Builder::new().name("embedding".into()).spawn(work)?;
        Ok(Self { progress, stop, thread: Some(thread) })
    }

    /// What happened since the last call.
    pub fn take(&self) -> Vec<Progress> {
        self.progress.try_iter().collect()
    }
}

impl Drop for Embedder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It can only have panicked; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// Does the task, until it is done, somebody says stop, or nobody listens.
pub(super) fn embed_folder(
    task: &Task,
    open: impl FnOnce() -> Result<(Box<Embed>, String), ModelError>,
    sender: &Sender<Progress>,
    stop: &AtomicBool,
) -> Result<(), BackgroundError> {
    let start = Instant::now();
    let (mut embed, engine) = open()?;
    let Listing { files, labels, left_out } = image_folder::list(&task.source.folder, task.source.most)?;
    let goes_on = |progress: Progress| sender.send(progress).is_ok() && !stop.load(Ordering::Relaxed);
    if !goes_on(Progress::Listed { labels, total: files.len(), left_out, engine }) {
        return Ok(());
    }
    let mut features: Vec<Vec<f32>> = Vec::new();
    let mut plane: Option<Plane> = None;
    let mut next_map = FIRST_MAP;
    let mut unreadable: Option<(usize, PictureError)> = None;
    for files in files.chunks(BATCH) {
        let mut read: Vec<(&PictureFile, Picture)> = Vec::with_capacity(files.len());
        for file in files {
            match image_folder::read(&file.path, task.file.image) {
                Ok(picture) => read.push((file, picture)),
                Err(error) => unreadable.get_or_insert((0, error)).0 += 1,
            }
        }
        if read.is_empty() {
            continue;
        }
        let pictures: Vec<&Picture> = read.iter().map(|(_, picture)| picture).collect();
        let (values, seconds) = embed(&pictures)?;
        let seconds = seconds / pictures.len() as f64;
        let samples: Vec<Sample> = read
            .into_iter()
            .zip(values.chunks_exact(task.file.features))
            .map(|((file, picture), values)| Sample {
                path: file.path.clone(),
                name: file.name.clone(),
                label: file.class,
                picture: picture.reduced(LARGEST_KEPT, LARGEST_KEPT),
                features: unit(values),
            })
            .collect();
        if let Some(sample) = samples.iter().find(|sample| sample.features.iter().any(|x| !x.is_finite())) {
            let (encoder, image) = (task.file.path.clone(), sample.path.clone());
            return Err(BackgroundError::NotFinite { encoder, image });
        }
        features.extend(samples.iter().map(|sample| sample.features.clone()));
        let place = |plane: &Plane| samples.iter().map(|sample| plane.place(&sample.features)).collect();
        let places = plane.as_ref().map(place).unwrap_or_default();
        if !goes_on(Progress::Embedded { samples, places, seconds }) {
            return Ok(());
        }
        if features.len() >= next_map {
            next_map = features.len() + features.len() / 2;
            if !send_map(&features, &mut plane, &goes_on) {
                return Ok(());
            }
        }
    }
    if features.is_empty()
        && let Some((_, first)) = unreadable
    {
        return Err(BackgroundError::NoImage { folder: task.source.folder.clone(), first });
    }
    send_map(&features, &mut plane, &goes_on);
    goes_on(Progress::Finished { seconds: start.elapsed().as_secs_f64(), unreadable });
    Ok(())
}

/// Makes a map of all samples so far.
fn send_map(features: &[Vec<f32>], plane: &mut Option<Plane>, goes_on: &impl Fn(Progress) -> bool) -> bool {
    let rows: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
    let Some(found) = Plane::fit(&rows, plane.as_ref()) else { return true };
    let places = rows.iter().map(|row| found.place(row)).collect();
    let share = found.share;
    *plane = Some(found);
    goes_on(Progress::Mapped { places, share })
}

/// The vector with length 1; one without a direction stays as it is.
fn unit(values: &[f32]) -> Vec<f32> {
    let length = dot(values, values).sqrt();
    let factor = if length > 0.0 { 1.0 / length } else { 1.0 };
    values.iter().map(|x| x * factor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::test_encoder;
    use std::fs;
    use std::path::Path;

    /// The mean of each channel, times 2.
    fn means(pictures: &[&Picture]) -> Result<(Vec<f32>, f64), ModelError> {
        let mean = |picture: &Picture, channel| {
            let values = picture.pixels.iter().skip(channel).step_by(3);
            2.0 * values.map(|&x| f32::from(x) / 255.0).sum::<f32>() / 16.0
        };
        let values = pictures.iter().flat_map(|picture| (0..3).map(move |channel| mean(picture, channel)));
        Ok((values.collect(), 0.016))
    }

    fn images(folder: &Path, count: usize) {
        for label in ["blue", "red"] {
            fs::create_dir_all(folder.join(label)).unwrap();
        }
        for index in 0..count {
            let (label, pixel) =
                if index % 2 == 0 { ("red", [250, index as u8, 9]) } else { ("blue", [9, index as u8, 250]) };
            let picture = Picture { width: 4, height: 4, channels: 3, pixels: pixel.repeat(16) };
            fs::write(folder.join(label).join(format!("{index}.png")), picture.to_png().unwrap()).unwrap();
        }
    }

    fn run(
        folder: &Path,
        embed: impl FnMut(&[&Picture]) -> Result<(Vec<f32>, f64), ModelError> + 'static,
    ) -> (Result<(), BackgroundError>, Vec<Progress>) {
        let task = Task {
            file: Arc::new(test_encoder()),
            engine: BackendKind::Ort,
            threads: 0,
            source: ImageSource { folder: folder.to_owned(), most: 1000 },
        };
        let (sender, progress) = channel();
        let open = || Ok((Box::new(embed) as Box<Embed>, "test".to_owned()));
        let result = embed_folder(&task, open, &sender, &AtomicBool::new(false));
        drop(sender);
        (result, progress.iter().collect())
    }

    #[test]
    fn a_folder_is_embedded_with_progress_and_mapped() {
        let folder = tempfile::tempdir().unwrap();
        images(folder.path(), 100);
        fs::write(folder.path().join("red/broken.png"), "?").unwrap();
        let (result, progress) = run(folder.path(), means);
        result.unwrap();
        assert!(matches!(&progress[0], Progress::Listed { labels, total: 101, left_out: 0, engine }
            if labels == &["blue", "red"] && engine == "test"));
        let (mut samples, mut places, mut maps) = (Vec::new(), Vec::new(), 0);
        for progress in &progress[1..] {
            match progress {
                Progress::Embedded { samples: more, places: theirs, seconds } => {
                    assert!((seconds * more.len() as f64 - 0.016).abs() < 1e-9);
                    samples.extend(more.clone());
                    assert_eq!(theirs.len(), if maps > 0 { more.len() } else { 0 });
                    places.extend(theirs.clone());
                }
                Progress::Mapped { places: all, share } => {
                    assert!(*share > 0.9 && all.len() == samples.len());
                    places.clone_from(all);
                    maps += 1;
                }
                Progress::Finished { unreadable, .. } => {
                    let (count, error) = unreadable.as_ref().unwrap();
                    assert!(*count == 1 && error.to_string().contains("broken.png"), "{error}");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(maps >= 3, "{maps} maps");
        assert!(matches!(progress.last(), Some(Progress::Finished { .. })));
        assert_eq!((samples.len(), places.len()), (100, 100));
        for (sample, place) in samples.iter().zip(&places) {
            assert!((dot(&sample.features, &sample.features) - 1.0).abs() < 1e-5);
            let side = samples.iter().position(|other| other.label == Some(0)).map(|i| places[i][0] < 0.0);
            assert_eq!(Some(place[0] < 0.0) == side, sample.label == Some(0), "classes lie on two sides");
        }
    }

    #[test]
    fn what_goes_wrong_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let message =
            |(result, _): (Result<(), BackgroundError>, Vec<Progress>)| result.unwrap_err().to_string();
        assert!(message(run(folder.path(), means)).contains("no pictures"));
        fs::write(folder.path().join("a.png"), "?").unwrap();
        assert!(message(run(folder.path(), means)).contains("no image of"));
        images(folder.path(), 3);
        let full = |_: &[&Picture]| Err(ModelError::Open { message: "no memory".into() });
        assert_eq!(message(run(folder.path(), full)), "no memory");
        let not_finite = |pictures: &[&Picture]| Ok((vec![f32::NAN; pictures.len() * 3], 0.0));
        assert!(message(run(folder.path(), not_finite)).contains("not finite"));
    }

    #[test]
    fn dropping_ends_the_thread() {
        let folder = tempfile::tempdir().unwrap();
        images(folder.path(), 4);
        // The model is not there.
        let task = Task {
            file: Arc::new(test_encoder()),
            engine: BackendKind::Ort,
            threads: 0,
            source: ImageSource { folder: folder.path().to_owned(), most: 9 },
        };
        drop(Embedder::start(task).unwrap());
    }
}
