//! Settings of the C library and of OpenMP that make training fast.
//!
//! They are environment variables that are read when a program starts, so the program sets them and starts itself once more.
//!
//! - *Freed memory is kept.* Each training step allocates and frees buffers of many megabytes. The GNU C library gives such
//!   blocks back to the system at once, which has to map and clear the pages anew in the next step: a tenth of the time.
//! - *Threads wait shortly before they sleep.* libtorch's threads meet several hundred times in a step. GNU OpenMP lets a
//!   thread that waits for others turn its wheels for milliseconds, which is fastest on a machine that does nothing else, but
//!   makes training ten times slower where other programs run too, as they are kept from finishing. Some tens of microseconds
//!   cost next to nothing in the first case and little in the second.

#![cfg_attr(not(all(target_os = "linux", target_env = "gnu")), allow(dead_code))]

/// Says that the program has been started once more; a user who sets it gets a program that sets nothing.
const DONE: &str = "LATENT_TUNED";

/// Each setting, and the variables that keep us from making it because the user has made a choice.
const SETTINGS: [(&str, &str, &[&str]); 4] = [
    ("MALLOC_MMAP_THRESHOLD_", "1073741824", &[]),
    ("MALLOC_TRIM_THRESHOLD_", "4294967296", &[]),
    // Large pages, where the system offers them on request.
    ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", &[]),
    ("GOMP_SPINCOUNT", "2000", &["OMP_WAIT_POLICY"]),
];

/// Starts the program again with the settings that the user has not made. Where that is not possible the program goes on
/// without them.
pub(super) fn apply() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::os::unix::process::CommandExt;

        let given = |name: &str| std::env::var_os(name).is_some();
        if given(DONE) {
            return;
        }
        let Ok(program) = std::env::current_exe() else { return };
        let mut command = std::process::Command::new(program);
        command.args(std::env::args_os().skip(1)).env(DONE, "1");
        for (name, value, others) in SETTINGS {
            if !given(name) && !others.iter().any(|other| given(other)) {
                command.env(name, value);
            }
        }
        // Returns only if it fails.
        let _ = command.exec();
    }
}
