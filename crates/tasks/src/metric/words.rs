//! Counts over masked places.

/// What became of some masked places.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Sum of the losses: the negative logarithm of the right word's probability.
    pub loss: f64,
    /// Places whose likeliest word is the right one.
    pub right: u64,
    /// Places.
    pub places: u64,
}

impl Counts {
    /// Both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            loss: self.loss + other.loss,
            right: self.right + other.right,
            places: self.places + other.places,
        }
    }
}
