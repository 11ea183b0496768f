//! Sonar: momentum samplers for diffusion models.
//!
//! A sampler walks a latent down a schedule of noise levels (sigmas) with the help of a denoiser. Sonar keeps
//! a *momentum* of the steps and mixes it into the next ones, and can pull the result towards a reference.
//!
//! The algorithm in its readable form is the NumPy twin in `tests/python/oracle.py`; here it is taken apart:
//!
//! | module | what it holds |
//! |---|---|
//! | [`options`] | how an option is declared: its name, kind and default stand once |
//! | [`schedule`] | sigmas, the ancestral split, elementary functions |
//! | [`solver`] | the solvers, one file each: a step as stages of data |
//! | [`formula`] | how a move computes a number |
//! | [`direction`] | the kinds of momentum, one file each |
//! | [`pull`] | the pull towards a reference |
//! | [`config`] | all options, validated |
//! | [`program`] | a run's stages, compiled from a configuration and a schedule |
//! | [`step`] | one move as one pass over memory; its loops are in [`kernel`], what they need measured in [`measure`] |
//! | [`run`] | a run: it owns the arrays and asks for what it needs |
//! | [`storage`] | where the arrays lie |
//! | [`noise`] | seeded noise, one stream per image |

pub mod arrays;
pub mod config;
pub mod direction;
pub mod error;
pub mod formula;
mod kernel;
mod measure;
pub mod memory;
pub mod moments;
pub mod noise;
pub mod options;
mod program;
pub mod pull;
pub mod real;
pub mod run;
pub mod schedule;
mod simd;
pub mod solver;
pub mod step;
pub mod storage;
pub mod threads;

#[cfg(feature = "python")]
mod py;

pub use config::Config;
pub use error::{Error, Result};
pub use run::{Request, Run};
