//! The end of the interpreter.
//!
//! When Python ends, it stops the threads that still run (daemon threads) in the middle of whatever Python code they
//! are in; with Rust underneath that code the process would abort. So at exit, before that, the runs of other
//! threads are told to end at their next step, and are waited for.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::error::{Error, Result};

/// A thread of a process. A forked child inherits the list below, but of the threads only the one that forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Worker {
    process: u32,
    thread: ThreadId,
}

impl Worker {
    fn present() -> Self {
        Self { process: std::process::id(), thread: thread::current().id() }
    }
}

/// Who is at work, as often as runs are nested. Locked only by threads that are attached to the interpreter, of which
/// there is one at a time: so it is never locked when a process forks.
static AT_WORK: Mutex<Vec<Worker>> = Mutex::new(Vec::new());
static CLOSER: OnceLock<ThreadId> = OnceLock::new();

fn at_work() -> MutexGuard<'static, Vec<Worker>> {
    AT_WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As long as it lives, the end of the interpreter waits for this thread.
pub(super) struct AtWork(Worker);

impl AtWork {
    pub(super) fn begin() -> Result<Self> {
        let worker = Worker::present();
        at_work().push(worker);
        let this = Self(worker);
        this.check()?;
        Ok(this)
    }

    /// An error if the interpreter is about to end in another thread.
    pub(super) fn check(&self) -> Result<()> {
        match CLOSER.get() {
            Some(&closer) if closer != self.0.thread => {
                Err(Error::Protocol("the interpreter is shutting down".into()))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut workers = at_work();
        if let Some(index) = workers.iter().rposition(|worker| *worker == self.0) {
            workers.swap_remove(index);
        }
    }
}

/// Ends the runs of all other threads at their next step and waits for that, `seconds` at most.
///
/// Called when the interpreter exits; later runs are refused in every thread but the caller's.
/// Answers whether all have ended.
#[pyfunction]
pub(super) fn close(py: Python<'_>, seconds: f64) -> bool {
    let me = Worker::present();
    CLOSER.get_or_init(|| me.thread);
    let others_work = || at_work().iter().any(|w| w.process == me.process && w.thread != me.thread);
    let limit = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let start = Instant::now();
    while others_work() && start.elapsed() < limit {
        py.detach(|| thread::sleep(Duration::from_millis(1)));
    }
    !others_work()
}
