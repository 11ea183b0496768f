//! How options are declared: name, kind, default and documentation of each stand once, as a field.

use crate::error::{Error, Result};

/// The value of an option as a host writes it, before it is known what the option takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Plain {
    /// Not given.
    None,
    /// True or false.
    Flag(bool),
    /// A whole number.
    Whole(i128),
    /// A number.
    Number(f64),
    /// A word.
    Text(String),
    /// A sequence.
    List(Vec<Plain>),
    /// Something that no option takes.
    Other,
}

/// What an option can be.
pub trait Value: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// What is allowed instead.
    fn read(plain: &Plain) -> std::result::Result<Self, String>;

    /// Writes it, so that it is read back as what it was.
    fn plain(&self) -> Plain;
}

impl Value for f64 {
    fn read(plain: &Plain) -> std::result::Result<Self, String> {
        number(plain).ok_or_else(|| "must be a number".into())
    }

    fn plain(&self) -> Plain {
        Plain::Number(*self)
    }
}

impl Value for bool {
    fn read(plain: &Plain) -> std::result::Result<Self, String> {
        match plain {
            Plain::Flag(flag) => Ok(*flag),
            _ => Err("must be True or False".into()),
        }
    }

    fn plain(&self) -> Plain {
        Plain::Flag(*self)
    }
}

/// A number that is the same at every step, or one number per step.
#[derive(Debug, Clone, PartialEq)]
pub enum PerStep {
    /// The same at every step.
    Constant(f64),
    /// One for each step of the run.
    Sequence(Vec<f64>),
}

impl PerStep {
    /// The number of `step`.
    #[must_use]
    pub fn at(&self, step: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Sequence(values) => values[step],
        }
    }

    /// All its numbers.
    pub(crate) fn values(&self) -> &[f64] {
        match self {
            Self::Constant(value) => std::slice::from_ref(value),
            Self::Sequence(values) => values,
        }
    }

    /// Refuses a sequence that has not one number for each of `steps` steps.
    pub(crate) fn validate_steps(&self, field: &'static str, steps: usize) -> Result<()> {
        match self {
            Self::Constant(_) => Ok(()),
            Self::Sequence(values) => one_per_step(field, values.len(), steps),
        }
    }
}

impl Value for PerStep {
    fn read(plain: &Plain) -> std::result::Result<Self, String> {
        let allowed = || "must be a number, or a sequence with one number per step".to_owned();
        match plain {
            Plain::List(entries) => entries
                .iter()
                .map(|entry| number(entry).ok_or_else(allowed))
                .collect::<std::result::Result<_, _>>()
                .map(Self::Sequence),
            plain => number(plain).map(Self::Constant).ok_or_else(allowed),
        }
    }

    fn plain(&self) -> Plain {
        match self {
            Self::Constant(value) => Plain::Number(*value),
            Self::Sequence(values) => Plain::List(values.iter().map(|value| Plain::Number(*value)).collect()),
        }
    }
}

fn number(plain: &Plain) -> Option<f64> {
    match plain {
        Plain::Whole(whole) => Some(*whole as f64),
        Plain::Number(number) => Some(*number),
        _ => None,
    }
}

/// A step of a run: its index, or a fraction of the number of steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepPosition {
    /// 0-based index of the step; an index past the end is fine.
    Index(u64),
    /// In [0, 1]: this times the number of steps, rounded half to even.
    Fraction(f64),
}

impl StepPosition {
    /// The step's index in a run of `steps`.
    #[must_use]
    pub fn resolve(self, steps: usize) -> u64 {
        match self {
            Self::Index(index) => index,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in [0, steps]")]
            Self::Fraction(fraction) => (fraction * steps as f64).round_ties_even() as u64,
        }
    }

    /// Refuses a range that ends before it begins, where that can be seen without the number of steps.
    pub(crate) fn validate_range(fields: [&'static str; 2], range: [Self; 2]) -> Result<()> {
        for (field, position) in fields.into_iter().zip(range) {
            if let Self::Fraction(fraction) = position
                && !(0.0..=1.0).contains(&fraction)
            {
                let allowed = "a fraction of the steps must be in [0, 1]; write a step number as an integer";
                return Err(Error::config(field, shown(fraction), allowed));
            }
        }
        let (backwards, start) = match range {
            [Self::Index(start), Self::Index(stop)] => (start > stop, start.to_string()),
            [Self::Fraction(start), Self::Fraction(stop)] => (start > stop, shown(start)),
            _ => (false, String::new()),
        };
        if backwards {
            let stop = match range[1] {
                Self::Index(stop) => stop.to_string(),
                Self::Fraction(stop) => shown(stop),
            };
            let allowed = format!("must not be after {} ({stop})", fields[1]);
            return Err(Error::config(fields[0], start, allowed));
        }
        Ok(())
    }
}

impl Value for StepPosition {
    fn read(plain: &Plain) -> std::result::Result<Self, String> {
        let allowed = "must be a step (an int from 0) or a fraction of the steps (a float in [0, 1])";
        match plain {
            // An int that is no index must not become a fraction: 1 is a step, 1.0 all of them.
            Plain::Whole(whole) => u64::try_from(*whole).map(Self::Index).map_err(|_| allowed.into()),
            Plain::Number(number) => Ok(Self::Fraction(*number)),
            _ => Err(allowed.into()),
        }
    }

    fn plain(&self) -> Plain {
        match self {
            Self::Index(index) => Plain::Whole((*index).into()),
            Self::Fraction(fraction) => Plain::Number(*fraction),
        }
    }
}

/// A number for a message: 1e300 in five letters, not in 301 digits.
pub(crate) fn shown(number: f64) -> String {
    format!("{number:?}")
}

/// Refuses a sequence of another length than the run.
pub(crate) fn one_per_step(field: &'static str, length: usize, steps: usize) -> Result<()> {
    if length == steps {
        return Ok(());
    }
    let allowed = format!("a sequence needs one entry for each of the {steps} steps of the run");
    Err(Error::config(field, format!("{length} entries"), allowed))
}

/// Refuses a number outside [0, 1].
pub(crate) fn in_unit_interval(field: &'static str, value: &PerStep) -> Result<()> {
    match value.values().iter().find(|number| !(0.0..=1.0).contains(*number)) {
        Some(bad) => Err(Error::config(field, shown(*bad), "must be in [0, 1]")),
        None => Ok(()),
    }
}

/// Refuses a number outside `[low, high]`.
pub(crate) fn in_range(field: &'static str, value: f64, [low, high]: [f64; 2]) -> Result<()> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(Error::config(field, shown(value), format!("must be in [{low}, {high}]")))
    }
}

/// Refuses a negative or infinite number.
pub(crate) fn at_least_zero(field: &'static str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::config(field, shown(value), "must be a finite number of at least 0"))
    }
}

/// Declares an option that is chosen from a list of words: the words stand beside the variants.
macro_rules! choices {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every choice, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word for it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::options::Value for $name {
            fn read(plain: &$crate::options::Plain) -> std::result::Result<Self, String> {
                match plain {
                    $($crate::options::Plain::Text(word) if word == $word => Ok(Self::$variant),)+
                    _ => Err(concat!("must be one of ", $($word, ", "),+).trim_end_matches([',', ' ']).into()),
                }
            }

            fn plain(&self) -> $crate::options::Plain {
                $crate::options::Plain::Text(self.name().into())
            }
        }
    };
}
pub(crate) use choices;

/// Declares a group of options: a struct with its defaults, whose fields are set and read by name.
macro_rules! options {
    ($(#[$doc:meta])* pub struct $group:ident {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty = $default:expr,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $group { $($(#[$field_doc])* pub $field: $kind,)+ }

        impl Default for $group {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $group {
            /// The names of its options.
            pub const NAMES: &[&str] = &[$(stringify!($field)),+];

            /// Sets the option `name`, if it is one of these; the error is what is allowed.
            pub(crate) fn set(&mut self, name: &str, value: &$crate::options::Plain)
                -> Option<std::result::Result<(), String>> {
                match name {
                    $(stringify!($field) => Some($crate::options::Value::read(value).map(|read| self.$field = read)),)+
                    _ => None,
                }
            }

            /// The value of the option `name`, if it is one of these.
            pub(crate) fn get(&self, name: &str) -> Option<$crate::options::Plain> {
                match name {
                    $(stringify!($field) => Some($crate::options::Value::plain(&self.$field)),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use options;
