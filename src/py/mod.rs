//! The Python binding: translates arrays, options and errors; computes nothing.

mod arrays;
mod closing;
mod config;
mod errors;
mod guiding;
mod host;
mod pieces;
mod run;
mod stepper;
mod storage;

use pyo3::prelude::*;

/// The compiled core of `sonar_sampler`.
#[pymodule]
mod _core {
    #[pymodule_export]
    use super::closing::close;
    #[pymodule_export]
    use super::config::normalize_config;
    #[pymodule_export]
    use super::guiding::{lowpass_matrix, reference_weights};
    #[pymodule_export]
    use super::host::run_for;
    #[pymodule_export]
    use super::pieces::{
        ancestral_step, guidance_step, initial_noise, momentum_step, normalize_reference, samplers,
    };
    #[pymodule_export]
    use super::stepper::{Denoise, Done, Noise, PyStepper, restore_stepper};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // `install.py` of the webui extension looks for this text in the compiled file.
        module.add("__source__", env!("SONAR_SOURCE"))
    }
}
