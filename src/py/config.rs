//! Reads a `SonarConfig`: every option by name, with errors that name it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyComplex, PyDict, PyFloat, PyInt, PyString, PyTuple};

use super::errors::{class, shown};
use crate::config::{Config, MomentumSign, PerStep, Seed};
use crate::error::Error;
use crate::guidance::RefMethod;
use crate::method;
use crate::momentum::{HistoryInit, Sign};
use crate::schedule::StepPosition;
use crate::threads;

const SIGNS: [(&str, Sign); 2] = [("pos", Sign::Pos), ("neg", Sign::Neg)];
const INITS: [(&str, HistoryInit); 3] =
    [("zero", HistoryInit::Zero), ("rand_init", HistoryInit::RandInit), ("rand_new", HistoryInit::RandNew)];
const REF_METHODS: [(&str, RefMethod); 2] = [("linear", RefMethod::Linear), ("euler", RefMethod::Euler)];

/// One option as Python holds it.
struct Option_<'py> {
    name: &'static str,
    value: Bound<'py, PyAny>,
}

/// Reads and validates the options of `config`.
pub(super) fn read(config: &Bound<'_, PyAny>) -> PyResult<Config> {
    let option = |name: &'static str| match config.getattr(name) {
        Ok(value) => Ok(Option_ { name, value }),
        Err(_) => Err(Error::config("config", class(config), "must be a SonarConfig")),
    };
    let read = Config {
        sampler: option("sampler")?.sampler()?,
        momentum: option("momentum")?.per_step()?,
        momentum_hist: option("momentum_hist")?.per_step()?,
        momentum_hist_init: option("momentum_hist_init")?.choice(&INITS)?,
        momentum_sign: option("momentum_sign")?.momentum_sign()?,
        ref_method: option("ref_method")?.choice(&REF_METHODS)?,
        ref_factor: option("ref_factor")?.per_step()?,
        ref_start: option("ref_start")?.position()?,
        ref_stop: option("ref_stop")?.position()?,
        eta: option("eta")?.number()?,
        s_churn: option("s_churn")?.number()?,
        s_tmin: option("s_tmin")?.number()?,
        s_tmax: option("s_tmax")?.number()?,
        s_noise: option("s_noise")?.number()?,
        flow: option("flow")?.flag()?,
        exact_last_step: option("exact_last_step")?.flag()?,
        seed: option("seed")?.seed()?,
    };
    read.validate()?;
    Ok(read)
}

/// Checks every option of a config and returns those that Python holds in a looser form, as plain values.
///
/// Numbers become float, sequences tuples, step positions int or float, seeds int.
///
/// Raises:
///     ConfigError: with the option, its value and what is allowed.
#[pyfunction]
pub(super) fn normalize_config<'py>(config: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = config.py();
    let read = read(config)?;
    let plain = PyDict::new(py);
    for (name, value) in [
        ("momentum", &read.momentum),
        ("momentum_hist", &read.momentum_hist),
        ("ref_factor", &read.ref_factor),
    ] {
        match value {
            PerStep::Constant(number) => plain.set_item(name, number)?,
            PerStep::Sequence(numbers) => plain.set_item(name, PyTuple::new(py, numbers)?)?,
        }
    }
    if let MomentumSign::Sequence(signs) = &read.momentum_sign {
        let names = signs.iter().map(|sign| name_of(&SIGNS, sign));
        plain.set_item("momentum_sign", PyTuple::new(py, names.collect::<Vec<_>>())?)?;
    }
    for (name, value) in [("ref_start", read.ref_start), ("ref_stop", read.ref_stop)] {
        match value {
            StepPosition::Index(index) => plain.set_item(name, index)?,
            StepPosition::Fraction(fraction) => plain.set_item(name, fraction)?,
        }
    }
    for (name, value) in [
        ("eta", read.eta),
        ("s_churn", read.s_churn),
        ("s_tmin", read.s_tmin),
        ("s_tmax", read.s_tmax),
        ("s_noise", read.s_noise),
    ] {
        plain.set_item(name, value)?;
    }
    match &read.seed {
        Seed::First(seed) => plain.set_item("seed", seed)?,
        Seed::Each(seeds) => plain.set_item("seed", PyTuple::new(py, seeds)?)?,
    }
    Ok(plain)
}

/// One of the two signs, by name.
pub(super) fn sign(value: &Bound<'_, PyAny>) -> PyResult<Sign> {
    Option_ { name: "sign", value: value.clone() }.choice(&SIGNS)
}

/// One of the guidance methods, by name.
pub(super) fn ref_method(value: &Bound<'_, PyAny>) -> PyResult<RefMethod> {
    Option_ { name: "method", value: value.clone() }.choice(&REF_METHODS)
}

/// A number argument of a function.
pub(super) fn number(name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    Option_ { name, value: value.clone() }.number()
}

/// A whole number argument of a function, at least `low`.
pub(super) fn whole(name: &'static str, value: &Bound<'_, PyAny>, low: usize) -> PyResult<usize> {
    let read = if is_real(value) { value.extract().ok() } else { None };
    read.filter(|&whole| whole >= low)
        .ok_or_else(|| Error::config(name, shown(value), format!("must be an int of at least {low}")).into())
}

/// The number of threads: as given, or the process's default.
pub(super) fn threads(value: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
    value.map_or_else(|| Ok(threads::default()), |value| whole("threads", value, 1))
}

/// Seeds for a batch of `batch` images.
pub(super) fn seeds(name: &'static str, value: &Bound<'_, PyAny>, batch: usize) -> PyResult<Vec<u64>> {
    Ok(Option_ { name, value: value.clone() }.seed()?.of_batch(batch)?)
}

/// Whether `value` is one real number of Python, numpy or torch: not a bool, text, a complex number (which would
/// lose its imaginary part) or a list of one number.
fn is_real(value: &Bound<'_, PyAny>) -> bool {
    if value.is_exact_instance_of::<PyFloat>() || value.is_exact_instance_of::<PyInt>() {
        return true;
    }
    let py = value.py();
    let refused = value.is_instance_of::<PyBool>()
        || value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyComplex>()
        || value.len().is_ok();
    let kind = || value.getattr(intern!(py, "dtype"))?.getattr(intern!(py, "kind"))?.extract::<String>();
    !refused && kind().map_or(true, |kind| ["f", "i", "u"].contains(&kind.as_str()))
}

fn name_of<T: PartialEq>(choices: &[(&'static str, T)], value: &T) -> &'static str {
    choices.iter().find(|(_, choice)| choice == value).map_or("", |(name, _)| name)
}

fn names<T>(choices: &[(&str, T)]) -> String {
    choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

impl<'py> Option_<'py> {
    fn refuse(&self, allowed: impl Into<String>) -> PyErr {
        Error::config(self.name, shown(&self.value), allowed).into()
    }

    fn number(&self) -> PyResult<f64> {
        self.as_number(&self.value).ok_or_else(|| self.refuse("must be a number"))
    }

    #[expect(clippy::unused_self, reason = "the other readers are methods")]
    fn as_number(&self, value: &Bound<'py, PyAny>) -> Option<f64> {
        if is_real(value) { value.extract().ok() } else { None }
    }

    fn per_step(&self) -> PyResult<PerStep> {
        if let Some(number) = self.as_number(&self.value) {
            return Ok(PerStep::Constant(number));
        }
        let allowed = "must be a number, or a sequence with one number per step";
        let numbers =
            self.entries(allowed)?.map(|entry| self.as_number(&entry?).ok_or_else(|| self.refuse(allowed)));
        Ok(PerStep::Sequence(numbers.collect::<PyResult<_>>()?))
    }

    /// The entries of a sequence: something of a length and an order, but not text.
    fn entries(&self, allowed: &str) -> PyResult<impl Iterator<Item = PyResult<Bound<'py, PyAny>>>> {
        let value = &self.value;
        let text = value.is_instance_of::<PyString>()
            || value.is_instance_of::<PyBytes>()
            || value.is_instance_of::<PyByteArray>();
        let ordered = value.hasattr("__getitem__")? && !value.is_instance_of::<PyDict>();
        match value.try_iter() {
            Ok(entries) if !text && ordered && value.len().is_ok() => Ok(entries),
            _ => Err(self.refuse(allowed)),
        }
    }

    fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> PyResult<T> {
        self.chosen(&self.value, choices)
            .ok_or_else(|| self.refuse(format!("must be one of {}", names(choices))))
    }

    #[expect(clippy::unused_self, reason = "the other readers are methods")]
    fn chosen<T: Copy>(&self, value: &Bound<'py, PyAny>, choices: &[(&str, T)]) -> Option<T> {
        let text = value.cast::<PyString>().ok()?;
        let text = text.to_cow().ok()?;
        choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice)
    }

    fn sampler(&self) -> PyResult<&'static method::Method> {
        let rows: Vec<_> = method::TABLE.iter().map(|row| (row.name, row)).collect();
        self.choice(&rows)
    }

    fn momentum_sign(&self) -> PyResult<MomentumSign> {
        let allowed = "must be one of pos, neg, rand, or a sequence of pos and neg with one entry per step";
        if self.value.is_instance_of::<PyString>() {
            let rand = self.chosen(&self.value, &[("rand", ())]).map(|()| MomentumSign::Rand);
            let always = || self.chosen(&self.value, &SIGNS).map(MomentumSign::Always);
            return rand.or_else(always).ok_or_else(|| self.refuse(allowed));
        }
        let signs = self.entries(allowed)?;
        let signs = signs.map(|entry| self.chosen(&entry?, &SIGNS).ok_or_else(|| self.refuse(allowed)));
        Ok(MomentumSign::Sequence(signs.collect::<PyResult<_>>()?))
    }

    fn position(&self) -> PyResult<StepPosition> {
        let allowed = "must be a step (an int from 0) or a fraction of the steps (a float in [0, 1])";
        if !is_real(&self.value) {
            return Err(self.refuse(allowed));
        }
        let whole = if self.value.is_instance_of::<PyFloat>() { None } else { self.value.extract().ok() };
        // An int that is no index must not become a fraction: 1 is a step, 1.0 all of them.
        let fraction = || if self.value.is_instance_of::<PyInt>() { None } else { self.value.extract().ok() };
        let read = whole.map(StepPosition::Index).or_else(|| fraction().map(StepPosition::Fraction));
        read.ok_or_else(|| self.refuse(allowed))
    }

    fn flag(&self) -> PyResult<bool> {
        self.value.extract().map_err(|_| self.refuse("must be True or False"))
    }

    fn seed(&self) -> PyResult<Seed> {
        let allowed = "must be an int in [0, 2^64), or a sequence with one per image";
        let seed = |value: &Bound<'py, PyAny>| {
            let number = if is_real(value) { value.extract().ok() } else { None };
            number.ok_or_else(|| self.refuse(allowed))
        };
        if is_real(&self.value) {
            return Ok(Seed::First(seed(&self.value)?));
        }
        let seeds = self.entries(allowed)?.map(|value| seed(&value?));
        Ok(Seed::Each(seeds.collect::<PyResult<_>>()?))
    }
}
