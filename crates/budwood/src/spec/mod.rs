//! What a run is: every setting that decides its result, as plain data.
//!
//! ```text
//! RunSpec = base + DataSpec (data, splits, columns, images) + PrecisionSpec + training
//! ```
//! The command line's flags, a sweep file's entries, the settings in a run's record and the JSON
//! of a [`RunSpec`] are the same names with the same meanings.

mod choices;
mod data;
mod record;
mod resources;
mod run;
mod strict;

pub use choices::{
    BasePrecision, CacheChoice, Form, MissingChoice, OptimizerChoice, PoolingChoice, RecipeChoice,
    ScheduleChoice, Switch,
};
pub use data::{ColumnSpec, DataSpec, ImageSpec};
pub use resources::{ReadLimits, Resources};
pub use run::{PrecisionSpec, RunSpec};
