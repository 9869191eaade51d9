//! Ctrl-C, a termination signal, a terminal that is closed: the run is saved and stops.
//!
//! No signal handler is installed. Some of libtorch's kernels move the stack pointer into buffers of their own (Valgrind tells:
//! "client switching stacks?"); a handler that ran in such a thread would write its frame over what lies before the buffer.
//! So the signals are blocked in all threads, and one thread that does nothing else waits for them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the signals do: end the process until training has begun, then ask it to stop, then end the process.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    training: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Signals {
    /// From now on a signal sets the flag that is returned.
    pub(super) fn training_begins(&self) -> &AtomicBool {
        self.training.store(true, Ordering::Relaxed);
        &self.stop
    }

    /// Whether a signal is to end the process at once.
    fn ends_the_process(&self) -> bool {
        !self.training.load(Ordering::Relaxed) || self.stop.swap(true, Ordering::Relaxed)
    }
}

/// Begins to listen. To be called before other threads are started, which inherit what is blocked.
#[cfg(unix)]
pub(super) fn listen() -> io::Result<Signals> {
    use nix::sys::signal::{SigSet, Signal, raise};

    let mut set = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    // Under `nohup` training goes on.
    if !is_ignored(Signal::SIGHUP as i32) {
        set.add(Signal::SIGHUP);
    }
    set.thread_block()?;
    let signals = Signals::default();
    let of_thread = signals.clone();
    let work = move || {
        while let Ok(signal) = set.wait() {
            // A terminal that is closed sends it twice.
            let is_again = signal == Signal::SIGHUP && of_thread.stop.load(Ordering::Relaxed);
            if !is_again && of_thread.ends_the_process() && set.thread_unblock().is_ok() {
                let _ = raise(signal);
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(work)?;
    Ok(signals)
}

/// Begins to listen.
#[cfg(not(unix))]
pub(super) fn listen() -> io::Result<Signals> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;

    let signals = Signals { training: Arc::new(AtomicBool::new(true)), ..Default::default() };
    for signal in [SIGINT, SIGTERM] {
        // In this order, so that the first signal finds the flag down.
        flag::register_conditional_default(signal, Arc::clone(&signals.stop))?;
        flag::register(signal, Arc::clone(&signals.stop))?;
    }
    Ok(signals)
}

/// Whether the process was started with this signal ignored; false where the system does not tell (it is not Linux).
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
