//! A pool of threads for large latents.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
            .thread_name(|index| format!("sonar-{}", index + 1))
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

/// The answers of `work` that are not none, in the order of `items`; done by `threads` threads, of which the caller
/// is one.
///
/// The caller begins at once and each thread takes the next item when it is free, so that a worker that wakes late, or
/// shares its core with another program, is not waited for longer than its last item takes.
pub(crate) fn map<I: Send, R: Send>(
    items: impl ExactSizeIterator<Item = I> + Send,
    threads: usize,
    work: impl Fn(I) -> Option<R> + Sync,
) -> Vec<R> {
    let Some(pool) = (threads > 1).then(|| pool(threads - 1)).flatten() else {
        return items.filter_map(work).collect();
    };
    let helpers = threads.min(items.len()).saturating_sub(1);
    let queue = Mutex::new(items.enumerate());
    let found = Mutex::new(Vec::new());
    let share = || {
        while let Some((index, item)) = lock(&queue).next() {
            if let Some(answer) = work(item) {
                lock(&found).push((index, answer));
            }
        }
    };
    pool.in_place_scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|_| share());
        }
        share();
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_unstable_by_key(|&(index, _)| index);
    found.into_iter().map(|(_, answer)| answer).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many threads a run may use by default: `OMP_NUM_THREADS` as torch and numpy's libraries read it, else the
/// number of cores that this process may run on.
pub fn default() -> usize {
    let asked = std::env::var("OMP_NUM_THREADS").ok().and_then(|text| text.trim().parse().ok());
    asked
        .filter(|&threads| threads > 0)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}
