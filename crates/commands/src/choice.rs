//! Values of the libraries as values of flags, by the names that they have there.

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Takes one of these values by its name.
pub(crate) fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let named = move |text: String| all.into_iter().find(|&value| name(value) == text);
    PossibleValuesParser::new(all.map(name))
        .try_map(move |text| named(text).ok_or("nothing has that name"))
}
