//! A pool of threads for large latents.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::ThreadPool;

/// The pool of this process. A forked child has none of its parent's threads, hence the process id.
struct Made {
    process: u32,
    threads: usize,
    workers: Arc<ThreadPool>,
}

static POOL: Mutex<Option<Made>> = Mutex::new(None);

/// A pool of `threads` threads, made anew when the number changes or the process has forked; none if the system
/// refuses one, for work that can as well be done without.
pub(crate) fn pool(threads: usize) -> Option<Arc<ThreadPool>> {
    let process = std::process::id();
    let mut slot = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = slot.as_ref()
        && made.process == process
        && made.threads == threads
    {
        return Some(Arc::clone(&made.workers));
    }
    let pool = Arc::new(
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("sonar-{index}"))
            .build()
            .ok()?,
    );
    if let Some(old) = slot.replace(Made { process, threads, workers: Arc::clone(&pool) })
        && old.process != process
    {
        // Its threads do not exist here; waiting for them would never end.
        std::mem::forget(old);
    }
    Some(pool)
}

/// How many threads a run may use by default: `OMP_NUM_THREADS` as torch and numpy's libraries read it, else the
/// number of cores that this process may run on.
pub fn default() -> usize {
    let asked = std::env::var("OMP_NUM_THREADS").ok().and_then(|text| text.trim().parse().ok());
    asked
        .filter(|&threads| threads > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}
