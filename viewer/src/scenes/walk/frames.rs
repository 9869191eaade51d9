//! The images of a walk: asking for them, and taking them.

use super::{JobPurpose, ShownFrame, WalkScene, seed_plane};
use crate::action::Mode;
use crate::error::BackgroundError;
use crate::model::Images;
use crate::picture::Picture;
use crate::shell::inference::{Frame, Job, Request};
use crate::shell::{Effect, Shell};
use crate::stats::Durations;
use crate::walk::{Edits, Walk};
use std::sync::Arc;

/// The images of one job: few enough that requests do not wait.
pub(super) const JOB_IMAGES: usize = 8;
/// The samples for PCA.
pub(super) const SAMPLES: usize = 384;
/// The most walks of a grid.
const MAX_GRID: usize = 1024;
/// The pictures of the strip from one key frame to the next.
const STRIP_PER_SEGMENT: f64 = 8.0;
/// The most pictures of the strip.
const MAX_STRIP: usize = 4096;
/// Key frames beyond these have no thumbnail.
const MAX_THUMBNAILS: usize = 256;

impl WalkScene {
    /// The pixels between the images of a grid.
    pub const GRID_GAP: f32 = 4.0;

    /// The latent vector under the walk's position or the map's point, as it is shown.
    pub fn current_latent(&self) -> Vec<f32> {
        let mut latent = match self.mode {
            Mode::Map => self.map.latent(self.walk.space(), self.walk.interpolation),
            _ => {
                let mut latent = vec![0.0; self.walk.space().size];
                self.walk.latent_at(self.player.position(), &mut latent);
                latent
            }
        };
        self.edits().apply(self.walk.space(), &mut latent);
        latent
    }

    /// The class of what is drawn: the chosen one, if the model has so many.
    pub(super) fn class(&self, shell: &Shell) -> usize {
        shell.class.min(self.config.file.classes().saturating_sub(1))
    }

    /// What truncation and sliders do to latent vectors.
    pub(super) fn edits(&self) -> Edits {
        self.sliders.edits(self.truncation, self.walk.space())
    }

    pub(super) fn request(&mut self, shell: &mut Shell) -> Request {
        let latents = match self.mode {
            Mode::Grid => {
                self.make_grid(shell);
                let size = self.walk.space().size;
                let mut latents = vec![0.0; self.grid.len() * size];
                let edits = self.edits();
                for (walk, latent) in self.grid.iter().zip(latents.chunks_exact_mut(size)) {
                    walk.latent_at(self.player.position(), latent);
                    edits.apply(self.walk.space(), latent);
                }
                latents
            }
            _ => self.current_latent(),
        };
        let configs = match self.mode {
            Mode::Compare if !self.compared.is_empty() => self.compared.clone(),
            _ => vec![self.config.clone()],
        };
        Request { configs, latents, class: self.class(shell) }
    }

    /// Rows and columns of the grid that fills the viewport.
    pub fn grid_shape(&self, shell: &Shell) -> (usize, usize) {
        let (image, gap) = (self.config.file.image, Self::GRID_GAP);
        let cell = ((shell.viewport.w - gap) / self.columns as f32 - gap).max(1.0);
        let scale = (cell as usize / image.width).max(1);
        let height = (image.height * scale) as f32 + gap;
        let rows = ((shell.viewport.h - gap) / height).max(1.0) as usize;
        (rows.clamp(1, (MAX_GRID / self.columns).max(1)), self.columns)
    }

    pub(super) fn make_grid(&mut self, shell: &mut Shell) {
        let (rows, columns) = self.grid_shape(shell);
        self.grid.truncate(rows * columns);
        while self.grid.len() < rows * columns {
            let walk = match self.grid.len() as u64 {
                0 => self.walk.clone(),
                index => {
                    let seed = self.seed.wrapping_add(index);
                    let mut walk =
                        Walk::random(*self.walk.space(), seed, self.walk.len(), self.walk.interpolation);
                    walk.closed = self.walk.closed;
                    walk
                }
            };
            self.grid.push(walk);
        }
    }

    /// Takes what was made.
    pub(super) fn receive_frame(&mut self, shell: &mut Shell, frame: Frame) {
        // What was asked for before another model or mode was chosen is of no use.
        let Some(asked) = &self.submitted else { return };
        let of_now = frame.request.configs == asked.configs
            && frame.request.latents.len() == asked.latents.len()
            && frame.request.class == asked.class;
        if !of_now {
            return;
        }
        let images = frame.request.latents.len() / self.walk.space().size.max(1);
        shell.latencies.resize_with(frame.results.len(), Durations::default);
        for (latency, result) in shell.latencies.iter_mut().zip(&frame.results) {
            if let Ok(made) = &result.images {
                latency.push(shell.now, made.seconds / images.max(1) as f64);
            }
        }
        let first = frame.results.first().and_then(|result| result.images.as_ref().ok());
        if let Some(picture) = first.and_then(|images| images.pictures.first()) {
            let step = (self.player.position() * STRIP_PER_SEGMENT).floor();
            if self.mode != Mode::Map && (self.strip.is_empty() || step != self.strip_position) {
                self.strip_position = step;
                self.strip.push_back(picture.clone());
                if self.strip.len() > MAX_STRIP {
                    self.strip.pop_front();
                }
            }
        }
        self.shown = Some(ShownFrame { request: frame.request, results: frame.results });
        shell.record(|| self.shown_picture());
        shell.changed();
    }

    pub fn receive_job(&mut self, shell: &mut Shell, id: u64, images: Result<Images, Arc<BackgroundError>>) {
        let Some(purpose) = self.jobs.remove(&id) else { return };
        // A model that fails says so in the frame; jobs need not repeat it.
        let Ok(images) = images else { return };
        match purpose {
            JobPurpose::Thumbnails(first) => {
                for (thumbnail, picture) in self.thumbnails.iter_mut().skip(first).zip(images.pictures) {
                    *thumbnail = Some(picture);
                }
            }
            JobPurpose::Tiles(tiles) => self.map.receive(tiles.into_iter().zip(images.pictures)),
            JobPurpose::Samples(latents) => {
                let Some((all_latents, all_images)) = &mut self.samples else { return };
                all_latents.extend(latents);
                all_images.extend(images.values);
                if all_latents.len() >= SAMPLES * self.config.file.space.size
                    && let Some((latents, images)) = self.samples.take()
                {
                    let file = Arc::clone(&self.config.file);
                    shell.effect(Effect::Pca { file, latents, images });
                }
            }
        }
        shell.changed();
    }

    pub(super) fn enqueue(&mut self, shell: &mut Shell, latents: Vec<f32>, purpose: JobPurpose) {
        self.next_job += 1;
        self.jobs.insert(self.next_job, purpose);
        let (config, class) = (self.config.clone(), self.class(shell));
        shell.effect(Effect::Enqueue(Job { id: self.next_job, config, latents, class }));
    }

    /// Thumbnails and grid are of another walk now.
    pub(super) fn walk_changed(&mut self, shell: &mut Shell) {
        self.thumbnails.clear();
        self.renew_walk(shell);
    }

    /// The images of the key frames are made anew; the old thumbnails stay until then.
    pub(super) fn renew_walk(&mut self, shell: &mut Shell) {
        self.player.seek(&self.walk, self.player.position());
        self.grid.clear();
        self.thumbnails.resize(self.walk.len(), None);
        self.request_thumbnails(shell);
        shell.changed();
    }

    /// Asks for the images of the key frames, as truncation and sliders make them.
    pub(super) fn request_thumbnails(&mut self, shell: &mut Shell) {
        self.has_stale_thumbnails = false;
        self.forget_jobs(shell, |purpose| matches!(purpose, JobPurpose::Thumbnails(_)));
        let edits = self.edits();
        let count = self.walk.len().min(MAX_THUMBNAILS);
        for first in (0..count).step_by(JOB_IMAGES) {
            let keys = first..(first + JOB_IMAGES).min(count);
            let size = self.walk.space().size;
            let mut latents: Vec<f32> =
                keys.filter_map(|index| self.walk.key_latent(index)).flatten().copied().collect();
            latents.chunks_exact_mut(size).for_each(|latent| edits.apply(self.walk.space(), latent));
            self.enqueue(shell, latents, JobPurpose::Thumbnails(first));
        }
    }

    pub(super) fn request_tiles(&mut self, shell: &mut Shell) {
        let area = self.config.file.image;
        // Few at a time, so that what comes into view first is made first.
        let pending = self.jobs.values().filter(|purpose| matches!(purpose, JobPurpose::Tiles(_))).count();
        for _ in pending..4 {
            let tiles = self.map.missing(shell.viewport, area, JOB_IMAGES);
            if tiles.is_empty() {
                return;
            }
            let (mut latents, edits) = (Vec::new(), self.edits());
            for tile in &tiles {
                let mut latent = seed_plane::latent(self.walk.space(), tile.point(), self.walk.interpolation);
                edits.apply(self.walk.space(), &mut latent);
                latents.extend(latent);
            }
            self.enqueue(shell, latents, JobPurpose::Tiles(tiles));
        }
    }

    /// Truncation, sliders, interpolation or model are others: the pictures of map and key frames are to be made anew.
    pub(super) fn images_changed(&mut self, shell: &mut Shell) {
        self.has_stale_thumbnails = true;
        self.map.renew();
        self.forget_jobs(shell, |purpose| matches!(purpose, JobPurpose::Tiles(_)));
        shell.changed();
    }

    /// What these jobs make is of no use any more. Those that wait would only be in the way.
    pub(super) fn forget_jobs(&mut self, shell: &mut Shell, useless: impl Fn(&JobPurpose) -> bool) {
        let ids: Vec<u64> =
            self.jobs.iter().filter(|(_, purpose)| useless(purpose)).map(|(&id, _)| id).collect();
        ids.iter().for_each(|id| drop(self.jobs.remove(id)));
        if !ids.is_empty() {
            shell.effect(Effect::ForgetJobs(ids));
        }
    }

    /// The config of the shown frame that is the chosen model: the first, but in the comparison.
    pub fn own_config(&self) -> usize {
        let configs = self.shown.as_ref().map_or(&[][..], |shown| &shown.request.configs);
        configs.iter().position(|config| *config == self.config).unwrap_or(0)
    }

    /// What runs the chosen model, in words; empty before it has.
    pub fn described(&self) -> &str {
        let result = self.shown.as_ref().and_then(|shown| shown.results.get(self.own_config()));
        result.map_or("", |result| result.engine.as_str())
    }

    /// What went wrong with the last frame.
    pub fn shown_error(&self) -> Option<&Arc<BackgroundError>> {
        self.shown.as_ref()?.results.first()?.images.as_ref().err()
    }

    /// The picture that is saved and recorded: the images alone, without enlargement.
    pub(super) fn shown_picture(&self) -> Option<Picture> {
        let images = self.shown.as_ref()?.results.first()?.images.as_ref().ok()?;
        match self.mode {
            Mode::Grid => Picture::tiled(&images.pictures, self.columns, 0),
            _ => images.pictures.first().cloned(),
        }
    }
}
