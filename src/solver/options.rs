//! The options of the solvers.

use crate::error::{Error, Result};
use crate::options::{at_least_zero, options, shown};

options! {
    /// What the solvers can be told.
    pub struct SolverOptions {
        /// How much of the step is replaced by fresh noise (ancestral and SDE solvers).
        eta: f64 = 1.0,
        /// Churn: how much noise is added before a step (`euler`, `heun`).
        s_churn: f64 = 0.0,
        /// Lowest sigma at which churn acts.
        s_tmin: f64 = 0.0,
        /// Highest sigma at which churn acts.
        s_tmax: f64 = f64::INFINITY,
        /// Factor on the noise that is added.
        s_noise: f64 = 1.0,
        /// The model is a flow-matching one: x = (1 - sigma) x0 + sigma noise.
        flow: bool = false,
    }
}

impl SolverOptions {
    /// Checks every option.
    ///
    /// # Errors
    /// [`Error::Config`] with the option, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        at_least_zero("eta", self.eta)?;
        at_least_zero("s_churn", self.s_churn)?;
        at_least_zero("s_tmin", self.s_tmin)?;
        if self.s_tmax.is_nan() || self.s_tmax < 0.0 {
            let allowed = "must be at least 0 (infinity: no upper limit)";
            return Err(Error::config("s_tmax", shown(self.s_tmax), allowed));
        }
        at_least_zero("s_noise", self.s_noise)?;
        if self.flow && self.s_churn > 0.0 {
            let allowed = "must be 0 with flow = True: churn adds noise without scaling the image, which a flow model needs";
            return Err(Error::config("s_churn", shown(self.s_churn), allowed));
        }
        Ok(())
    }
}
