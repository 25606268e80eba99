//! What a run puts into its folder while it goes on.

use crate::{checkpoint, recipe, trainer};

/// The names of those files and folders.
pub const WORK: &[&str] =
    &[RESUME[0], RESUME[1], RESUME[2], RESUME[3], trainer::PREFIX[0], trainer::PREFIX[1]];

/// Those that another machine needs to go on.
pub const RESUME: &[&str] =
    &[checkpoint::FILES[1], checkpoint::FILES[2], checkpoint::FILES[0], recipe::TRIALS];
