//! Models, adapters and data sets by their names: those of packages, and those of the Hugging Face
//! hub.
//!
//! Nothing else in Budwood speaks to the network of its own accord or reads the environment for
//! the library.
//!
//! What a hub answers is checked before it is used: commits and hashes are hexadecimal, file names
//! are those that were asked for, sizes have bounds. A file gets its final name only when it is
//! whole and has the promised hash. The cache is that of Python's `huggingface_hub`: what one of
//! the two has fetched, the other finds. Packages are fetched by `pip` or `apt-get` with a pinned
//! version and hash, and kept in a cache of our own ([`cache_folder`]).

mod address;
mod cache;
mod certificates;
mod client;
mod download;
mod error;
mod fetch;
mod find;
mod hash;
mod name;
mod notice;
mod packages;
mod push;
mod repository;
mod settings;
#[cfg_attr(not(feature = "object-store"), path = "no_stores.rs")]
mod stores;

pub use certificates::Certificates;
pub use error::Error;
pub use fetch::{clear_cache, fetch, place};
pub use find::{Data, find_adapter, find_data, find_folder, find_model};
pub use name::ModelName;
pub use notice::{Notice, Progress};
pub use packages::{IMAGES, MADE, MODELS, Package, ROTTEN_TOMATOES};
pub use push::{Pushed, Upload};
pub use repository::Hub;
pub use settings::{Patience, Settings, cache_folder};
pub use stores::{as_named, check_stores, tag_of};
#[cfg(feature = "object-store")]
pub use stores::{open_store, sent_to};
