//! Sonar: momentum samplers for diffusion models.
//!
//! A sampler walks a latent down a schedule of noise levels (sigmas) with the help of a denoiser. Sonar keeps
//! a *momentum* of the steps and mixes it into the next ones, and can pull the result towards a reference.
//!
//! | module | what it holds |
//! |---|---|
//! | [`momentum`] | the history and its update: the momentum equation |
//! | [`guidance`] | the pull towards a reference |
//! | [`schedule`] | sigmas, the ancestral split, ranges of steps |
//! | [`method`] | the samplers, one file each: coefficients of a step |
//! | [`stepper`] | the ask/feed machine on which everything runs |
//! | [`drive`] | the callback loop on a stepper |
//! | [`update`] | one step as one pass over memory; its loops are in `kernel` |
//! | [`noise`] | seeded noise, one stream per image |
//! | [`config`] | all options, validated at birth |

pub mod config;
pub mod drive;
pub mod error;
pub mod guidance;
mod kernel;
pub mod method;
pub mod moments;
pub mod momentum;
pub mod noise;
pub mod real;
pub mod schedule;
mod simd;
pub mod stepper;
pub mod threads;
pub mod update;

#[cfg(feature = "python")]
mod py;

pub use config::Config;
pub use error::{Error, Result};
pub use stepper::{Request, Stepper};
