//! Train, load and use small task adapters on one frozen encoder.
//!
//! | type | what it is |
//! |---|---|
//! | [`Base`] | a frozen encoder in memory; cloning shares it among threads |
//! | [`Adapter`] | a small set of trained parameters for one task, on its base |
//! | [`Answer`] | what an adapter says of one input |
//! | [`RunSpec`], [`DataSpec`] | every setting of a training run, as plain data |
//!
//! # First steps
//! ```no_run
//! use budwood::{Base, Input, predict_mixed};
//!
//! # fn main() -> Result<(), budwood::Error> {
//! let base = Base::open("models/minilm")?;
//! let reviews = base.adapter("adapters/reviews")?;
//! let spam = base.adapter("adapters/spam")?;
//! for answer in reviews.predict(&[Input::Text("A film to see twice.".into())])? {
//!     println!("{}", serde_json::to_string(&answer).unwrap_or_default());
//! }
//! // Inputs of many adapters in one batch; each answer is that of its adapter alone, to the bit.
//! let text = Input::Text("Win a phone!".into());
//! let answers = predict_mixed(&base, &[(&reviews, text.clone()), (&spam, text)])?;
//! # assert_eq!(answers.len(), 2);
//! # Ok(())
//! # }
//! ```
//! The settings of a run are plain data. Its key stays the same when settings are added later:
//! ```
//! use budwood::RunSpec;
//!
//! let spec: RunSpec = serde_json::from_str(r#"{"data": "reviews.csv", "epochs": 5}"#)?;
//! assert_eq!(spec.key().len(), 64);
//! assert!(serde_json::from_str::<RunSpec>(r#"{"epoch": 5}"#).is_err());
//! # Ok::<(), serde_json::Error>(())
//! ```
//! More is in `examples/`: many adapters in one batch, data in memory.
//!
//! Nothing here prints, reads the environment or uses the network.

mod adapter;
pub mod answer;
mod base;
mod error;
mod foreign;
pub mod number;
pub mod reader;
pub mod spec;

pub use adapter::{Adapter, AdapterOptions, DOC_STRIDE, Evaluation, positive, predict_mixed};
pub use answer::Answer;
pub use base::{Base, BaseOptions, load, precision_name};
pub use budwood_tasks::{Dataset, Example, Input, Target};
pub use budwood_train::Score;
pub use error::Error;
pub use foreign::read_folder;
pub use spec::{DataSpec, RunSpec};
