//! A pool of threads for large latents.

use std::collections::VecDeque;
use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rayon::ThreadPool;

/// Numbers of a latent from which threads pay. Measured (docs/speed.md): after a model call the workers sleep, and to
/// wake them takes as long as one thread needs for about 150,000 numbers.
pub const PAY_FROM: usize = 1 << 18;

/// How long a step waits awake for its helpers' last items; to fall asleep and be woken takes about as long.
const AWAKE: Duration = Duration::from_micros(50);

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
/// Each thread begins with the same part of `items` every time, whose memory its core's caches may still hold, and
/// helps the others when it is done, so that a worker that wakes late is not waited for.
pub(crate) fn map<I: Send, R: Send>(
    items: impl Iterator<Item = I>,
    threads: usize,
    work: impl Fn(I) -> Option<R> + Sync,
) -> Vec<R> {
    let Some(pool) = (threads > 1).then(|| pool(threads - 1)).flatten() else {
        return items.filter_map(work).collect();
    };
    let items: Vec<(usize, I)> = items.enumerate().collect();
    let share = items.len().div_ceil(threads).max(1);
    let mut items = items.into_iter();
    let shares: Vec<Mutex<VecDeque<(usize, I)>>> =
        (0..threads).map(|_| Mutex::new(items.by_ref().take(share).collect())).collect();
    let found = Mutex::new(Vec::new());
    let work_from = |first: usize| {
        for helped in 0..threads {
            let share = &shares[(first + helped) % threads];
            let next = || if helped == 0 { lock(share).pop_front() } else { lock(share).pop_back() };
            while let Some((index, item)) = next() {
                if let Some(answer) = work(item) {
                    lock(&found).push((index, answer));
                }
            }
        }
    };
    let helping = AtomicUsize::new(threads - 1);
    pool.in_place_scope(|scope| {
        scope.spawn_broadcast(|_, worker| {
            work_from(worker.index() + 1);
            helping.fetch_sub(1, Ordering::Release);
        });
        work_from(0);
        stay_awake_while(|| helping.load(Ordering::Acquire) > 0);
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_unstable_by_key(|&(index, _)| index);
    found.into_iter().map(|(_, answer)| answer).collect()
}

/// Waits for what is nearly done without going to sleep, since to be woken takes longer than most of these waits.
fn stay_awake_while(busy: impl Fn() -> bool) {
    let begin = Instant::now();
    while busy() && begin.elapsed() < AWAKE {
        hint::spin_loop();
    }
    // The pool takes note of a helper's end a moment after the helper.
    for _ in 0..64 {
        hint::spin_loop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many threads a run may use by default: `OMP_NUM_THREADS` as torch and numpy's libraries read it, else the
/// number of cores that this process may run on.
pub fn default() -> usize {
    let asked = std::env::var("OMP_NUM_THREADS").ok().and_then(|text| text.trim().parse().ok());
    asked.filter(|&threads| threads > 0).unwrap_or_else(cores)
}

/// The number of cores that this process may run on: more threads than that only wait for each other.
pub fn cores() -> usize {
    // Asked once: the system's answer takes longer than a step.
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}
