//! What a run puts into its folder while it goes on.

use crate::{checkpoint, recipe, trainer};

/// The names of those files and folders.
pub const WORK: &[&str] = &[
    checkpoint::FILES[0],
    checkpoint::FILES[1],
    checkpoint::FILES[2],
    trainer::PREFIX[0],
    trainer::PREFIX[1],
    recipe::TRIALS,
];
