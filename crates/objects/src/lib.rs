//! Folders and files in object stores: `s3://BUCKET/NAME`, `gs://BUCKET/NAME`,
//! `az://CONTAINER/NAME`.
//!
//! | module | what it does |
//! |---|---|
//! | `store` | reads, writes and lists objects below an address; calls block |
//! | `manifest` | the object that says which others make up a folder of ours |
//! | `cache` | what was fetched, on this disk, under a limit of bytes |
//! | `upload` | writes a folder that readers see whole or not at all |
//! | `client` | HTTP for the crate `object_store`, by the client that the rest of Budwood has |
//!
//! Credentials come from the environment under the names of each cloud (`AWS_ACCESS_KEY_ID`,
//! `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_KEY`, ...), or from
//! the machine's role. They are in no message. What is a folder's content is not known here.

mod cache;
mod client;
mod error;
mod manifest;
mod store;
#[cfg(test)]
mod tests;
mod upload;

pub use cache::{Cache, Kept, Take};
pub use error::Error;
pub use store::{Entry, Store};
pub use upload::{Form, Upload};
