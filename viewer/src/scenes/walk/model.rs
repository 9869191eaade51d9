//! The generator that is walked through: another one, its variants, its directions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frames::{JOB_IMAGES, SAMPLES};
use super::sliders::Sliders;
use super::{JobPurpose, WalkScene};
use crate::action::{Mode, SliderSet};
use crate::directions::{Directions, Method};
use crate::error::BackgroundError;
use crate::model::GeneratorFile;
use crate::shell::inference::RunConfig;
use crate::shell::{Effect, Shell};

/// The most models of the comparison: three precisions in three back ends.
const MAX_COMPARED: usize = 9;

impl WalkScene {
    /// Shows another model. The engine stays if it can run it.
    pub(super) fn show_model(&mut self, shell: &mut Shell, file: GeneratorFile) {
        shell.keep_engine(&file.engines);
        let space = file.space;
        shell.catalog.add(&file.path);
        let own = &self.config.file;
        let is_variant = shell.catalog.variants(&file.path).any(|path| *path == own.path)
            && (file.space, file.image) == (own.space, own.image);
        self.config = RunConfig { file: Arc::new(file), engine: shell.engine, threads: shell.threads };
        if space != *self.walk.space() {
            self.walk = self.walk.in_space(space);
        }
        if !is_variant {
            self.sliders = Sliders::new(self.sliders.set);
            self.compared.clear();
        }
        (self.drag, self.dragged_from, self.submitted) = (None, None, None);
        self.config_changed(shell, is_variant);
        if self.mode == Mode::Compare && self.compared.is_empty() {
            self.read_variants(shell);
        }
    }

    /// Another model, back end or number of threads makes the images. What there is of the same model stays on the
    /// screen until there is better.
    pub(super) fn config_changed(&mut self, shell: &mut Shell, is_variant: bool) {
        if !is_variant || self.shown_error().is_some() {
            self.shown = None;
        }
        if !is_variant {
            self.strip.clear();
            self.thumbnails.clear();
            self.map.forget();
        }
        self.samples = None;
        shell.latencies.clear();
        self.forget_jobs(shell, |_| true);
        self.renew_walk(shell);
        self.images_changed(shell);
        self.find_directions(shell);
    }

    pub(super) fn read_variants(&mut self, shell: &mut Shell) {
        let path = &self.config.file.path;
        let paths: Vec<PathBuf> =
            shell.catalog.variants(path).filter(|other| *other != path).cloned().collect();
        shell.effect(Effect::ReadVariants(paths));
    }

    /// Takes the variants of the model in other precisions: all of them, on all their back ends, are compared with
    /// fp32, or what comes next to it.
    pub fn set_variants(&mut self, shell: &mut Shell, variants: Vec<GeneratorFile>) {
        let own = &self.config.file;
        let same = |file: &GeneratorFile| file.space.size == own.space.size && file.image == own.image;
        let mut files: Vec<Arc<GeneratorFile>> = variants.into_iter().filter(same).map(Arc::new).collect();
        files.push(Arc::clone(own));
        let rank =
            |file: &GeneratorFile| ["fp32", "fp16", "int8"].iter().position(|name| *name == file.precision);
        files.sort_by_key(|file| (rank(file), file.path.clone()));
        self.compared = files
            .iter()
            .flat_map(|file| file.engines.iter().map(|&engine| (Arc::clone(file), engine)))
            .map(|(file, engine)| RunConfig { file, engine, threads: self.config.threads })
            .take(MAX_COMPARED)
            .collect();
        shell.latencies.clear();
        shell.changed();
    }

    /// Takes the directions that were looked for, or why there are none.
    pub fn set_directions(
        &mut self,
        shell: &mut Shell,
        method: Method,
        path: &Path,
        found: Result<Directions, BackgroundError>,
    ) {
        if path != self.config.file.path {
            return;
        }
        match found {
            Ok(directions) if !directions.is_empty() => self.sliders.set_directions(method, directions),
            Ok(_) => shell.say("no directions were found in this model", true),
            Err(error) => shell.say(error, true),
        }
        shell.changed();
    }

    pub(super) fn find_directions(&mut self, shell: &mut Shell) {
        if !self.sliders.lacks_directions() {
            return;
        }
        match self.sliders.set {
            SliderSet::Sefa => shell.effect(Effect::Sefa(Arc::clone(&self.config.file))),
            SliderSet::Pca if self.samples.is_none() => {
                self.samples = Some((Vec::new(), Vec::new()));
                let space = self.config.file.space;
                for first in (0..SAMPLES).step_by(JOB_IMAGES) {
                    let seeds = first..first + JOB_IMAGES;
                    let latents: Vec<f32> = seeds.flat_map(|seed| space.draw(seed as u64)).collect();
                    self.enqueue(shell, latents.clone(), JobPurpose::Samples(latents));
                }
            }
            _ => {}
        }
    }
}
