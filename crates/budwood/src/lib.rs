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
//! // A folder, a name of `budwood models`, or OWNER/NAME of the Hugging Face hub.
//! let base = Base::open("minilm")?;
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
//! [`train`] makes an adapter of them, tells what happens, and can be stopped:
//! ```no_run
//! use std::ops::ControlFlow;
//! use budwood::{Resources, RunSpec, train};
//!
//! let spec = RunSpec::default().with_data("reviews.csv");
//! let trained =
//!     train(&spec, &Resources::default(), "adapters/reviews", |_| ControlFlow::Continue(()))?;
//! # Ok::<(), budwood::Error>(())
//! ```
//! More is in `examples/`: train and predict, progress and cancel, many adapters in one batch,
//! data in memory.
//!
//! Nothing here prints. Names of models and data sets are looked up by the crate `budwood-hub`,
//! which alone reads the environment and uses the network.

mod adapter;
pub mod answer;
mod base;
mod checked;
mod encoded;
mod error;
mod evaluate;
mod explain;
mod export;
mod foreign;
mod mixed;
pub mod number;
mod onnx;
pub mod reader;
pub mod run;
pub mod spec;

pub use adapter::{Adapter, AdapterOptions, DOC_STRIDE, positive};
pub use answer::Answer;
pub use base::{Base, BaseOptions, load, precision_name};
pub use budwood_hub::Notice;
pub use budwood_ranks::{Failed, Ranks, is_of_job};
pub use budwood_tasks::{Dataset, Example, Image, ImageContent, Input, Target};
pub use budwood_train::{CHUNK_TOKENS, Event, Score};
pub use encoded::{Encoded, Vectors, Worker};
pub use error::Error;
pub use evaluate::{EvalSpec, Evaluation, Labelled};
pub use explain::{Explained, Explanation, MOST_WORDS, Word};
pub use export::{EXPORT_FOLDER, Export, ExportForm, export};
pub use foreign::{read_folder, read_named};
pub use mixed::{Predicted, predict_mixed};
pub use onnx::{OnnxPrecision, export_onnx_shared};
pub use run::{RunEvent, Trained, train};
pub use spec::{DataSpec, Resources, RunSpec};
