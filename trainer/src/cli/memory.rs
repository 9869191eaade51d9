//! Keeps freed memory in the process.
//!
//! Each training step allocates and frees buffers of many megabytes. The GNU C library gives such blocks back to the system at
//! once, which then has to map and clear the pages anew in the next step: about a tenth of the time of a step. Environment
//! variables, read when a program starts, make it keep them, so the program starts itself once more with these set.

/// Says that the program has been started once more.
const DONE: &str = "LATENT_MALLOC_TUNED";

/// Starts the program again with the variables set, unless that is done, or the user has set one of them or
/// [`DONE`] (to anything). Where that is not possible the program just goes on, slower.
pub(super) fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::os::unix::process::CommandExt;

        const SETTINGS: [(&str, &str); 3] = [
            ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
            ("MALLOC_TRIM_THRESHOLD_", "4294967296"),
            // Large pages, where the system offers them on request.
            ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
        ];
        let set = |name: &str| std::env::var_os(name).is_some();
        if set(DONE) || SETTINGS.iter().any(|(name, _)| set(name)) {
            return;
        }
        let Ok(program) = std::env::current_exe() else { return };
        // Returns only if it fails.
        let _ = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .envs(SETTINGS)
            .env(DONE, "1")
            .exec();
    }
}
