//! A pool of threads for work of microseconds: the threads spin for a while after each piece of work before they sleep,
//! and handing out work allocates nothing.
//!
//! A piece of work is a number of chunks. Each thread has its own contiguous share of them, the same in every run, so
//! that what it reads (weights, mostly) stays in its core's cache; who has finished takes chunks of others. A thread that
//! the system does not run at the moment therefore holds nobody up: the rest does its share, and only chunks that have
//! been begun are waited for, at first by spinning, then asleep: on a machine with more to do than cores, a thread that
//! spins takes the time from those it waits for.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long a thread looks for new work, or for the end of others' work, before it sleeps. Not at all where there are
/// more threads than cores.
const SPIN: Duration = Duration::from_micros(200);
/// The looks between two looks at the clock.
const LOOKS: u32 = 200;

/// In `Shared::state`: whether threads may still join the current piece of work.
const OPEN: u64 = 1 << 31;
/// In `Shared::state`: whether the caller sleeps until the last thread has left.
const WAITING: u64 = 1 << 30;
/// In `Shared::state`: how many threads (beside the caller) take part in it.
const ACTIVE: u64 = WAITING - 1;

/// The work on one chunk: called with the index of the thread and the chunk.
type Job<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// A counter in a cache line of its own.
#[repr(align(128))]
struct Counter(AtomicUsize);

struct Shared {
    /// The number of the current piece of work (upper half), [`OPEN`], [`WAITING`] and [`ACTIVE`].
    state: AtomicU64,
    /// Who is woken when the last thread leaves while [`WAITING`] is set.
    caller: Mutex<Option<Thread>>,
    spin: Duration,
    /// Threads asleep, so that waking is only paid for where it is needed.
    asleep: AtomicUsize,
    stop: AtomicBool,
    /// The next chunk of each thread's share.
    next: Vec<Counter>,
    /// The current piece of work: what to do with a chunk, and how many there are. Lives as long as [`Pool::run`].
    job: UnsafeCell<(Option<Job<'static>>, usize)>,
}

// SAFETY: `job` is written only by `Pool::run`, which holds the pool exclusively and ends only when no thread takes part
// any more; threads read it only while they take part, which they can only begin while it is open. Joining and leaving
// are atomic changes of `state` that order these accesses. The other fields are atomics.
#[allow(unsafe_code)]
unsafe impl Sync for Shared {}
// SAFETY: as above; a `Job` may be called from any thread since it is `Sync`.
#[allow(unsafe_code)]
unsafe impl Send for Shared {}

impl Shared {
    /// Works on the chunks of share `index`, then on what is left of the others'.
    fn take_part(&self, index: usize, (job, chunks): (Job<'_>, usize)) {
        let threads = self.next.len();
        for share in (index..threads).chain(0..index) {
            let end = chunks * (share + 1) / threads;
            // Look before taking: most shares of others are finished.
            while self.next[share].0.load(Ordering::Relaxed) < end {
                let chunk = self.next[share].0.fetch_add(1, Ordering::Relaxed);
                if chunk >= end {
                    break;
                }
                job(index, chunk);
            }
        }
    }

    /// Looks until `found` or until it has looked for long enough; says whether it was found.
    fn spin(&self, mut found: impl FnMut() -> bool) -> bool {
        // Reading the clock takes as long as a look or two at short work.
        let mut began = None;
        loop {
            for _ in 0..LOOKS {
                if found() {
                    return true;
                }
                core::hint::spin_loop();
            }
            if began.get_or_insert_with(Instant::now).elapsed() >= self.spin {
                return false;
            }
        }
    }

    /// Lets no thread join any more and waits for those that have.
    fn close(&self) {
        let finished = || self.state.load(Ordering::SeqCst) & ACTIVE == 0;
        self.state.fetch_and(!OPEN, Ordering::SeqCst);
        if self.spin(finished) {
            return;
        }
        // Who leaves last sees the mark, or had left before it was set, which is seen here.
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
        self.state.fetch_or(WAITING, Ordering::SeqCst);
        while !finished() {
            thread::park();
        }
    }

    /// The end of a thread's part.
    fn leave(&self) {
        let before = self.state.fetch_sub(1, Ordering::SeqCst);
        if before & WAITING != 0 && before & ACTIVE == 1 {
            // Left in place: this thread may be so late that the caller has gone on by itself and now waits for others.
            let caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(caller) = &*caller {
                caller.unpark();
            }
        }
    }
}

/// Threads that wait for work. The caller of [`Pool::run`] is one of them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    handles: Vec<Thread>,
}

impl Pool {
    /// A pool of `threads` threads, the caller's included; fewer if the system gives no more.
    pub(crate) fn new(threads: usize) -> Self {
        // Asked once: the system answers from files.
        static CORES: OnceLock<usize> = OnceLock::new();
        let cores = *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from));
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            caller: Mutex::new(None),
            spin: if threads > cores { Duration::ZERO } else { SPIN },
            asleep: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            next: (0..threads.max(1)).map(|_| Counter(AtomicUsize::new(0))).collect(),
            job: UnsafeCell::new((None, 0)),
        });
        let workers: Vec<_> = (1..threads)
            .map_while(|index| {
                let shared = Arc::clone(&shared);
                thread::Builder::new().name("latent".into()).spawn(move || work(&shared, index)).ok()
            })
            .collect();
        let handles = workers.iter().map(|worker| worker.thread().clone()).collect();
        Self { shared, workers, handles }
    }

    /// The number of threads, the caller's included.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `job(thread, chunk)` once for every chunk below `chunks`, on any thread, and returns when all are done.
    pub(crate) fn run(&mut self, chunks: usize, job: Job<'_>) {
        /// Lets no thread join any more and waits for those that have; even if this thread's part panics, since they
        /// use what the caller has borrowed.
        struct Close<'a>(&'a Shared);
        impl Drop for Close<'_> {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let shared = &*self.shared;
        // SAFETY: only the lifetime is changed. Threads use the job only while they take part, and `_close` does not let
        // this function end before the last has left.
        #[allow(unsafe_code)]
        let lasting = unsafe { core::mem::transmute::<Job<'_>, Job<'static>>(job) };
        // SAFETY: nobody reads the cell now: no thread takes part since the last run's end and none can join until the
        // state is open, and `&mut self` keeps other callers out.
        #[allow(unsafe_code)]
        unsafe {
            *shared.job.get() = (Some(lasting), chunks);
        }
        let threads = shared.next.len();
        for (share, next) in shared.next.iter().enumerate() {
            next.0.store(chunks * share / threads, Ordering::Relaxed);
        }
        let number = (shared.state.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        shared.state.store(number << 32 | OPEN, Ordering::SeqCst);
        let _close = Close(shared);
        if shared.asleep.load(Ordering::SeqCst) != 0 {
            self.handles.iter().for_each(Thread::unpark);
        }
        shared.take_part(0, (job, chunks));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.handles.iter().for_each(Thread::unpark);
        for worker in self.workers.drain(..) {
            // A worker that panicked has already said so.
            let _ = worker.join();
        }
    }
}

fn work(shared: &Shared, index: usize) {
    /// Leaves even if the job panics, so that the caller does not wait for ever.
    struct Leave<'a>(&'a Shared);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            self.0.leave();
        }
    }
    let mut seen = 0;
    while wait(shared, &mut seen) {
        let _leave = Leave(shared);
        // SAFETY: this thread has joined, so `run` has written the cell and waits for `_leave`.
        #[allow(unsafe_code)]
        let (job, chunks) = unsafe { *shared.job.get() };
        if let Some(job) = job {
            shared.take_part(index, (job, chunks));
        }
    }
}

/// Joins the current piece of work if it is open and has another number than `seen`.
fn join(shared: &Shared, seen: &mut u64) -> bool {
    let state = shared.state.load(Ordering::SeqCst);
    let joined = state & OPEN != 0
        && state >> 32 != *seen
        && shared.state.compare_exchange(state, state + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if joined {
        *seen = state >> 32;
    }
    joined
}

/// Waits for a piece of work with another number than `seen` and joins it; `false` if the pool stops.
fn wait(shared: &Shared, seen: &mut u64) -> bool {
    let stopped = || shared.stop.load(Ordering::SeqCst);
    loop {
        let mut joined = false;
        shared.spin(|| {
            joined = join(shared, seen);
            joined || stopped()
        });
        if joined {
            return true;
        }
        shared.asleep.fetch_add(1, Ordering::SeqCst);
        // `run` opens the work before it looks at `asleep`, this thread does the reverse: one of them sees the other.
        // Work may be over before this thread is awake; then more is likely to follow, so it looks out for a while.
        let before = shared.state.load(Ordering::SeqCst);
        let idle = before & OPEN == 0 || before >> 32 == *seen;
        while idle && shared.state.load(Ordering::SeqCst) >> 32 == before >> 32 && !stopped() {
            thread::park();
        }
        shared.asleep.fetch_sub(1, Ordering::SeqCst);
        if stopped() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More threads than cores, some of them busy with something else, short and long pieces of work, pauses in which
    /// everybody falls asleep: no wake-up may be missed, so this ends.
    #[test]
    fn a_crowded_machine_stalls_nobody() {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        core::hint::spin_loop();
                    }
                });
            }
            for threads in [2, 3, 8] {
                let mut pool = Pool::new(threads);
                let total = AtomicUsize::new(0);
                for round in 0..200usize {
                    if round.is_multiple_of(50) {
                        thread::sleep(SPIN * 2);
                    }
                    pool.run(round % 9, &|_, chunk| {
                        for _ in 0..(round + chunk) % 7 * 500 {
                            core::hint::spin_loop();
                        }
                        total.fetch_add(1, Ordering::Relaxed);
                    });
                }
                assert_eq!(total.into_inner(), (0..200).map(|round| round % 9).sum::<usize>());
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    /// The caller sleeps while a thread is late, is woken by it, and may be another thread the next time.
    #[test]
    fn the_caller_waits_for_a_late_thread() {
        let mut pool = Pool::new(2);
        for _ in 0..5 {
            pool = thread::spawn(move || {
                // Each of the two has one chunk, whoever takes it; the other's ends long after this one's.
                let done = AtomicUsize::new(0);
                pool.run(2, &|thread, _| {
                    if thread == 1 {
                        thread::sleep(SPIN * 20);
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(done.into_inner(), 2);
                pool
            })
            .join()
            .unwrap();
        }
    }

    #[test]
    fn a_panic_of_the_caller_leaves_the_pool_usable() {
        let mut pool = Pool::new(3);
        let job = |thread: usize, _: usize| assert_ne!(thread, 0, "expected here");
        let run = std::panic::AssertUnwindSafe(|| pool.run(64, &job));
        // The caller may find everything done by others.
        let _ = std::panic::catch_unwind(run);
        let count = AtomicUsize::new(0);
        pool.run(64, &|_, _| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 64);
    }

    #[test]
    fn every_chunk_is_worked_on_once_each_time() {
        for threads in 1..5 {
            let mut pool = Pool::new(threads);
            assert_eq!(pool.threads(), threads);
            for chunks in [0, 1, 2, 7, 100] {
                let counts: Vec<AtomicUsize> = (0..chunks).map(|_| AtomicUsize::new(0)).collect();
                for round in 1..=50 {
                    if round % 20 == 0 {
                        // Long enough that the threads fall asleep.
                        thread::sleep(Duration::from_millis(1));
                    }
                    pool.run(chunks, &|thread, chunk| {
                        assert!(thread < threads);
                        counts[chunk].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == round));
                }
            }
        }
    }
}
