//! Folders in object stores: `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`.
//!
//! | module | what it does |
//! |---|---|
//! | `store` | reads, writes and lists objects below an address; calls block |
//! | `cache` | folders of a store on this disk, under a limit of bytes |
//! | `client` | HTTP for the crate `object_store`, by the client that the rest of Budwood has |
//!
//! Credentials come from the environment under the names of each cloud (`AWS_ACCESS_KEY_ID`,
//! `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_KEY`, ...), or from
//! the machine's role. They are in no message. What is a folder's content is not known here.

mod cache;
mod client;
mod error;
mod store;

pub use cache::{Cache, Kept};
pub use error::Error;
pub use store::{Entry, Store, is_address};
