//! What can be wrong with a model or an adapter.

use budwood_base::method::MethodSyntaxError;

/// A fault of a specification or of the tensors for it. Faults inside the arithmetic are panics:
/// they would be ours.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Not the notation of methods.
    #[error(transparent)]
    Syntax(#[from] MethodSyntaxError),
    /// No such method.
    #[error("there is no method '{name}'; did you mean '{nearest}'? The methods are: {known}")]
    UnknownMethod {
        /// What was asked for.
        name: String,
        /// The known name that is most like it.
        nearest: String,
        /// All names.
        known: String,
    },
    /// No such option.
    #[error(
        "method '{method}' has no option '{option}'; did you mean '{nearest}'? Its options are: {known}"
    )]
    UnknownOption {
        /// The method.
        method: String,
        /// What was given.
        option: String,
        /// The known option that is most like it.
        nearest: String,
        /// All its options.
        known: String,
    },
    /// An option's value is not of its kind.
    #[error("option '{option}' of method '{method}' is {value}, but must be {expected}")]
    OptionValue {
        /// The method.
        method: String,
        /// The option.
        option: String,
        /// What was given.
        value: String,
        /// What is accepted.
        expected: String,
    },
    /// Two methods of a union at one site.
    #[error("'{first}' and '{second}' both act at {site}; they cannot be combined")]
    Clash {
        /// The method that was there.
        first: String,
        /// The method that came.
        second: String,
        /// The place.
        site: String,
    },
    /// What a method trained cannot become weights of the model.
    #[error("method '{method}' cannot be merged into the model's weights: {reason}")]
    CannotMerge {
        /// The method.
        method: String,
        /// Why, and what can be merged.
        reason: String,
    },
    /// The base has no such part.
    #[error("{0}")]
    Base(String),
    /// A tensor that the adapter needs is not in the file.
    #[error(
        "the adapter lacks the tensor '{name}'; the file is not whole or belongs to another method"
    )]
    Missing {
        /// Its name.
        name: String,
    },
    /// More parameters than make sense.
    #[error(
        "method '{method}' asks for a tensor '{name}' of {shape:?}; an adapter of this base has at most {limit} parameters"
    )]
    TooLarge {
        /// The method.
        method: String,
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What is possible.
        limit: usize,
    },
    /// The method trains what the encoder does not have.
    #[error("method '{method}' trains {what}, and encoders like this one, {family}, have none")]
    NothingToTrain {
        /// The method.
        method: String,
        /// What it trains.
        what: String,
        /// The encoder's family.
        family: String,
    },
    /// Tensors in the file that the adapter has no place for.
    #[error(
        "the adapter's file holds {count} tensors that its method does not have, first '{first}'; none is dropped in silence"
    )]
    Extra {
        /// How many.
        count: usize,
        /// The first.
        first: String,
    },
    /// A tensor of another shape.
    #[error(
        "tensor '{name}' has shape {found:?}, but {expected:?} is needed here: the adapter belongs to another base or configuration"
    )]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape needed.
        expected: Vec<usize>,
    },
}

impl ModelError {
    /// The error of a base whose weights are held in bytes.
    pub(crate) fn in_bytes() -> Self {
        let message = "this method trains the model's own weights, which are held in int8; use --base-precision f32";
        Self::Base(message.into())
    }
}
