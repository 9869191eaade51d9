//! Inference on a thread of its own: the window asks and goes on, the newest request wins.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use latent_runtime::open::BackendKind;

use crate::error::BackgroundError;
use crate::model::{Generator, GeneratorFile, Images, ModelError};

/// The opened generators that are kept.
const MAX_OPEN: usize = 10;

/// A model with what runs it.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// The model.
    pub file: Arc<GeneratorFile>,
    pub engine: BackendKind,
    /// The threads that one run may use; 0 leaves it to the back end.
    pub threads: usize,
}

impl PartialEq for RunConfig {
    fn eq(&self, other: &Self) -> bool {
        self.file.path == other.file.path && self.engine == other.engine && self.threads == other.threads
    }
}

/// Latent vectors to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What makes the images: one config, or several to be compared, which run one after the other.
    pub configs: Vec<RunConfig>,
    /// One latent vector after the other.
    pub latents: Vec<f32>,
    /// The class of what is drawn, for models that take one.
    pub class: usize,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Frame {
    pub request: Request,
    /// One result for each config.
    pub results: Vec<RunResult>,
}

/// What one config made.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// What ran it, in words; empty if it could not be opened.
    pub engine: String,
    /// The images, or what went wrong.
    pub images: Result<Images, Arc<BackgroundError>>,
}

/// Latent vectors whose images can wait: thumbnails, samples.
#[derive(Clone, Debug)]
pub struct Job {
    /// What the sender knows it by.
    pub id: u64,
    /// What makes the images.
    pub config: RunConfig,
    /// One latent vector after the other; few, as requests wait for them.
    pub latents: Vec<f32>,
    /// The class of what is drawn, for models that take one.
    pub class: usize,
}

pub trait Runner {
    /// In words, e.g. `ONNX Runtime 1.32, 2 threads`.
    fn describe(&self) -> &str;
    /// Makes the images of latent vectors, of a class if the model takes one.
    fn run(&mut self, latents: &[f32], class: usize) -> Result<Images, ModelError>;
}

impl Runner for Generator {
    fn describe(&self) -> &str {
        Self::describe(self)
    }

    fn run(&mut self, latents: &[f32], class: usize) -> Result<Images, ModelError> {
        Self::run(self, latents, class)
    }
}

type Open = dyn FnMut(&RunConfig) -> Result<Box<dyn Runner>, ModelError> + Send;

#[derive(Default)]
struct State {
    request: Option<Request>,
    jobs: VecDeque<Job>,
    frame: Option<Frame>,
    done: Vec<(u64, Result<Images, Arc<BackgroundError>>)>,
    busy: bool,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole after every statement, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The inference thread. It ends when this is dropped.
pub struct Inference {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Inference {
    /// Starts the thread, with the back ends of this build.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start() -> std::io::Result<Self> {
        Self::start_with(Box::new(|config| {
            let generator = Generator::open(&config.file, config.engine, config.threads)?;
            Ok(Box::new(generator) as Box<dyn Runner>)
        }))
    }

    /// Starts the thread with another way to open configs.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start_with(open: Box<Open>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("inference".into()).spawn(move || work(&theirs, open))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Asks for images. A request that has not been begun is forgotten. Returns at once.
    pub fn submit(&self, request: Request) {
        self.shared.lock().request = Some(request);
        self.shared.wake.notify_one();
    }

    /// Asks for images that can wait.
    pub fn enqueue(&self, job: Job) {
        self.shared.lock().jobs.push_back(job);
        self.shared.wake.notify_one();
    }

    /// Forgets the jobs that have not been begun, for which `keep` is false.
    pub fn retain_jobs(&self, keep: impl FnMut(&Job) -> bool) {
        self.shared.lock().jobs.retain(keep);
    }

    /// The newest frame, once.
    pub fn take_frame(&self) -> Option<Frame> {
        self.shared.lock().frame.take()
    }

    /// The jobs that were done since the last call, by their numbers.
    pub fn take_done(&self) -> Vec<(u64, Result<Images, Arc<BackgroundError>>)> {
        std::mem::take(&mut self.shared.lock().done)
    }

    /// Whether something is being done or waits to be, or waits to be taken.
    pub fn is_busy(&self) -> bool {
        let state = self.shared.lock();
        let waiting = state.request.is_some() || !state.jobs.is_empty();
        state.busy || waiting || state.frame.is_some() || !state.done.is_empty()
    }
}

impl Drop for Inference {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It can only have panicked; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

enum Task {
    Show(Request),
    Job(Job),
}

fn work(shared: &Shared, open: Box<Open>) {
    let mut runners = Runners { open, kept: Vec::new() };
    let mut job_is_due = false;
    while let Some(task) = next(shared, &mut job_is_due) {
        match task {
            Task::Show(request) => {
                let run = |config| runners.run(config, &request.latents, request.class);
                let results = request.configs.iter().map(run).collect();
                shared.lock().frame = Some(Frame { request, results });
            }
            Task::Job(job) => {
                let images = runners.run(&job.config, &job.latents, job.class).images;
                shared.lock().done.push((job.id, images));
            }
        }
    }
}

/// Waits for something to do; `None` at the end. After a request it is a job's turn, so that jobs get on while a slow
/// model is walked.
fn next(shared: &Shared, job_is_due: &mut bool) -> Option<Task> {
    let mut state = shared.lock();
    loop {
        if state.stop {
            return None;
        }
        let job = if *job_is_due || state.request.is_none() { state.jobs.pop_front() } else { None };
        *job_is_due = job.is_none();
        if let Some(task) = job.map(Task::Job).or_else(|| state.request.take().map(Task::Show)) {
            state.busy = true;
            return Some(task);
        }
        state.busy = false;
        state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// A runner, or why there is none.
type Opening = Result<Box<dyn Runner>, Arc<BackgroundError>>;

/// The configs in use, the last used last; also those that failed, so that they are not tried for every frame.
struct Runners {
    open: Box<Open>,
    kept: Vec<(RunConfig, Opening)>,
}

impl Runners {
    fn run(&mut self, config: &RunConfig, latents: &[f32], class: usize) -> RunResult {
        let shared = |error: ModelError| Arc::new(BackgroundError::from(error));
        let (config, mut runner) = match self.kept.iter().position(|(other, _)| other == config) {
            Some(index) => self.kept.remove(index),
            None => (config.clone(), (self.open)(config).map_err(shared)),
        };
        if self.kept.len() >= MAX_OPEN {
            drop(self.kept.remove(0));
        }
        let result = match &mut runner {
            Ok(runner) => {
                let engine = runner.describe().to_owned();
                RunResult { engine, images: runner.run(latents, class).map_err(shared) }
            }
            Err(error) => RunResult { engine: String::new(), images: Err(Arc::clone(error)) },
        };
        self.kept.push((config, runner));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::test_file;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    /// Waits for a permission before each run, and gives the latents back as values.
    struct Gated(Receiver<()>);

    impl Runner for Gated {
        fn describe(&self) -> &str {
            "gated"
        }
        fn run(&mut self, latents: &[f32], _: usize) -> Result<Images, ModelError> {
            let permission = self.0.recv_timeout(Duration::from_secs(10));
            permission.map_err(|error| ModelError::Open { message: error.to_string() })?;
            Ok(Images { pictures: Vec::new(), values: latents.to_vec(), seconds: 0.0 })
        }
    }

    fn gated() -> (Inference, Sender<()>, RunConfig) {
        let (gate, permission) = channel();
        let mut permission = Some(permission);
        let inference = Inference::start_with(Box::new(move |config| match permission.take() {
            Some(permission) if config.threads == 0 => Ok(Box::new(Gated(permission))),
            _ => Err(ModelError::Open { message: "cannot be opened".into() }),
        }));
        let config = RunConfig { file: Arc::new(test_file()), engine: BackendKind::Ort, threads: 0 };
        (inference.unwrap(), gate, config)
    }

    fn wait<T>(mut poll: impl FnMut() -> Option<T>) -> T {
        for _ in 0..10_000 {
            if let Some(value) = poll() {
                return value;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("nothing came within ten seconds");
    }

    fn request(config: &RunConfig, value: f32) -> Request {
        Request { configs: vec![config.clone()], latents: vec![value], class: 0 }
    }

    #[test]
    fn the_newest_request_wins() {
        let (inference, gate, config) = gated();
        inference.submit(request(&config, 1.0));
        // Begun, and held at the gate.
        wait(|| inference.shared.lock().request.is_none().then_some(()));
        for value in [2.0, 3.0, 4.0] {
            inference.submit(request(&config, value));
        }
        for expected in [1.0, 4.0] {
            gate.send(()).unwrap();
            let frame = wait(|| inference.take_frame());
            assert_eq!(frame.results[0].images.as_ref().unwrap().values, [expected]);
            assert_eq!(frame.results[0].engine, "gated");
        }
        wait(|| (!inference.is_busy()).then_some(()));
        assert!(inference.take_frame().is_none());
    }

    #[test]
    fn jobs_take_turns_with_requests() {
        let (inference, gate, config) = gated();
        inference.submit(request(&config, 1.0));
        wait(|| inference.shared.lock().request.is_none().then_some(()));
        for id in [7, 8, 9] {
            inference.enqueue(Job { id, config: config.clone(), latents: vec![id as f32], class: 0 });
        }
        inference.retain_jobs(|job| job.id != 8);
        inference.submit(request(&config, 2.0));
        gate.send(()).unwrap();
        wait(|| inference.take_frame());
        gate.send(()).unwrap();
        let done = wait(|| Some(inference.take_done()).filter(|done| !done.is_empty()));
        assert_eq!((done[0].0, &done[0].1.as_ref().unwrap().values[..]), (7, &[7.0][..]));
        gate.send(()).unwrap();
        assert_eq!(wait(|| inference.take_frame()).request.latents, [2.0]);
        gate.send(()).unwrap();
        assert_eq!(wait(|| Some(inference.take_done()).filter(|done| !done.is_empty()))[0].0, 9);
    }

    #[test]
    fn a_config_that_cannot_be_opened_says_why_each_time() {
        let (inference, _gate, config) = gated();
        let broken = RunConfig { threads: 9, ..config };
        for _ in 0..2 {
            inference.submit(request(&broken, 1.0));
            let frame = wait(|| inference.take_frame());
            assert_eq!(frame.results[0].images.as_ref().unwrap_err().to_string(), "cannot be opened");
        }
    }

    #[test]
    fn dropping_ends_the_thread_with_work_left() {
        let (inference, gate, config) = gated();
        inference.submit(request(&config, 1.0));
        inference.submit(request(&config, 2.0));
        gate.send(()).unwrap();
        drop(gate);
        drop(inference);
    }
}
