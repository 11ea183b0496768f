//! A run as it stands, to be copied or to go on elsewhere.

use super::{Past, Phase, Run};
use crate::pull::Reference;
use crate::real::Real;

/// All that changes in the course of a run: with the same configuration and schedule it goes on from there.
#[derive(Debug, Clone)]
pub struct State<T, A> {
    /// Place in the program.
    pub at: usize,
    /// Where the run is between two requests.
    pub phase: Phase,
    /// What history there is.
    pub past: Past,
    /// How large the latent was when the model was last asked, and when it was first.
    pub sizes: (f64, f64),
    /// The reference.
    pub reference: Reference<T>,
    /// The latent, then those of the latent ahead and of the answer, pulled if it was, that there are.
    pub arrays: [Option<A>; 3],
    /// The older answer, the history and the corrected derivative, as far as there are such.
    pub own: [Option<Vec<T>>; 3],
}

impl<T: Real, A> Run<T, A> {
    /// What the run is at, its arrays copied by `copy`.
    ///
    /// # Errors
    /// Those of `copy`.
    pub fn state<E>(
        &self,
        copy: impl Fn(&A) -> std::result::Result<A, E>,
    ) -> std::result::Result<State<T, A>, E> {
        let copied = |array: &Option<A>| array.as_ref().map(&copy).transpose();
        Ok(State {
            at: self.at,
            phase: self.phase,
            past: self.past,
            sizes: (self.size, self.first_size),
            reference: self.reference.clone(),
            arrays: [Some(copy(&self.x)?), copied(&self.ahead)?, self.answer().map(&copy).transpose()?],
            own: [self.older.clone(), self.history.clone(), self.momentum_d.clone()],
        })
    }

    /// Goes on from a state of a run of the same configuration and schedule.
    pub fn restore(&mut self, state: State<T, A>) {
        let [x, ahead, denoised] = state.arrays;
        let [older, history, momentum_d] = state.own;
        (self.at, self.phase, self.past) = (state.at, state.phase, state.past);
        (self.size, self.first_size) = state.sizes;
        self.reference = state.reference;
        if let Some(x) = x {
            self.x = x;
        }
        self.ahead = ahead;
        self.denoised = denoised;
        self.is_pulled = false;
        self.momentum_d = momentum_d;
        self.older = older.or_else(|| self.older.take());
        self.history = history.or_else(|| self.history.take());
    }
}
