//! Objects below an address. Calls block.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore, PutPayload, RetryConfig};
use tokio::runtime::Runtime;

use crate::Error;
use crate::client::Connector;

/// How long a request is tried again and again where the store is out of order.
const PATIENCE: Duration = Duration::from_secs(10);
const TRIES: usize = 4;
/// Objects of one page of a list: what stores give at the most.
const PAGE: usize = 1000;

/// A folder in an object store.
pub struct Store {
    /// As it was given.
    address: String,
    /// Empty, or with a `/` at its end.
    prefix: String,
    objects: Arc<dyn ObjectStore>,
    lists: Arc<dyn PaginatedListStore>,
    runtime: Runtime,
}

/// An object of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name below the store's address.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// What the store calls this content (`ETag`), or when it was written.
    pub tag: String,
}

/// Schemes of addresses.
const SCHEMES: [&str; 3] = ["s3://", "gs://", "az://"];

/// Whether a text is the address of an object store, and no path.
pub fn is_address(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

impl Store {
    /// Takes an address and the environment's credentials. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// If the address is none, or the environment's settings contradict each other.
    pub fn open(address: &str) -> Result<Self, Error> {
        let wrong = |message: &str| Error::Address(format!("{address}: {message}"));
        let rest = SCHEMES.iter().find_map(|scheme| address.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| wrong("s3://, gs:// or az:// is wanted"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if bucket.is_empty() || !bucket.chars().all(plain) {
            return Err(wrong("names no bucket"));
        }
        let prefix = prefix.trim_matches('/');
        if Path::parse(prefix).is_err() {
            return Err(wrong("what follows the bucket is no path of objects"));
        }
        let connector = Connector::new().map_err(Error::Address)?;
        let retry =
            RetryConfig { max_retries: TRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let failed = |e: object_store::Error| Error::of(address, &e);
        let (objects, lists): (Arc<dyn ObjectStore>, Arc<dyn PaginatedListStore>) =
            match &address[..2] {
                "s3" => {
                    // The address of AWS is https; another is as the environment has it.
                    let store = AmazonS3Builder::from_env()
                        .with_bucket_name(bucket)
                        .with_allow_http(true)
                        .with_retry(retry)
                        .with_http_connector(connector)
                        .build();
                    let store = Arc::new(store.map_err(failed)?);
                    (store.clone(), store)
                }
                "gs" => {
                    let store = GoogleCloudStorageBuilder::from_env()
                        .with_bucket_name(bucket)
                        .with_retry(retry)
                        .with_http_connector(connector)
                        .build();
                    let store = Arc::new(store.map_err(failed)?);
                    (store.clone(), store)
                }
                _ => {
                    let store = MicrosoftAzureBuilder::from_env()
                        .with_container_name(bucket)
                        .with_retry(retry)
                        .with_http_connector(connector)
                        .build();
                    let store = Arc::new(store.map_err(failed)?);
                    (store.clone(), store)
                }
            };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(16)
            .thread_name("store")
            .enable_time()
            .build()
            .map_err(|e| Error::File("the store's threads".into(), e))?;
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let address = address.trim_end_matches('/').to_string();
        Ok(Self { address, prefix, objects, lists, runtime })
    }

    /// The address, without what is secret: it never holds any.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn path(&self, name: &str) -> Result<Path, Error> {
        let wrong = |_| Error::Address(format!("{}/{name}: is no path of an object", self.address));
        Path::parse(format!("{}{name}", self.prefix)).map_err(wrong)
    }

    fn failed(&self, name: &str, error: &object_store::Error) -> Error {
        Error::of(&format!("{}/{name}", self.address), error)
    }

    /// The bytes of an object of a list: those that the list spoke of, whole.
    ///
    /// # Errors
    /// If there is none, it is another by now, or has more than `most` bytes.
    pub fn get(&self, entry: &Entry, most: u64) -> Result<Vec<u8>, Error> {
        let (name, place) = (&entry.name, format!("{}/{}", self.address, entry.name));
        if entry.bytes > most {
            return Err(Error::Large(place, entry.bytes, most));
        }
        let path = self.path(name)?;
        let options =
            GetOptions::new().with_if_match(entry.tag.starts_with('"').then(|| entry.tag.clone()));
        let read = async { self.objects.get_opts(&path, options).await?.bytes().await };
        let bytes = self.runtime.block_on(read).map_err(|e| self.failed(name, &e))?;
        match bytes.len() as u64 == entry.bytes {
            true => Ok(bytes.into()),
            false => Err(Error::Changed(place)),
        }
    }

    /// Writes an object; it is there whole or not at all.
    ///
    /// # Errors
    /// If the store refuses.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let path = self.path(name)?;
        let write = self.objects.put_opts(&path, PutPayload::from(bytes), Default::default());
        self.runtime.block_on(write).map_err(|e| self.failed(name, &e))?;
        Ok(())
    }

    /// Objects whose names begin so and stand after another name, in order: so many at the most.
    /// One page costs one request, whatever the store holds.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn page(&self, beginning: &str, after: &str, most: usize) -> Result<Vec<Entry>, Error> {
        let prefix = format!("{}{beginning}", self.prefix);
        let options = PaginatedListOptions {
            offset: (!after.is_empty()).then(|| format!("{}{after}", self.prefix)),
            max_keys: Some(most.min(PAGE)),
            ..PaginatedListOptions::default()
        };
        let list = self.lists.list_paginated((!prefix.is_empty()).then_some(&prefix), options);
        let listed = self.runtime.block_on(list).map_err(|e| self.failed(beginning, &e))?;
        let mut entries: Vec<Entry> =
            listed.result.objects.into_iter().filter_map(|o| self.entry(o)).collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn entry(&self, object: ObjectMeta) -> Option<Entry> {
        let name = object.location.as_ref().strip_prefix(&self.prefix)?.to_string();
        let tag = object.e_tag.unwrap_or_else(|| object.last_modified.to_rfc3339());
        Some(Entry { name, bytes: object.size, tag })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_paths_and_checked() {
        assert!(is_address("s3://a/b") && is_address("gs://a") && is_address("az://a"));
        for path in ["adapters", "s3:/a", "./s3://a", "file:///a", "http://a"] {
            assert!(!is_address(path), "{path}");
        }
        for wrong in
            ["s3://", "s3:///a", "s3://a b/c", "s3://user:key@host/c", "http://a", "s3://a/b//c"]
        {
            let error = Store::open(wrong).err().map(|e| e.to_string());
            assert!(error.is_some_and(|e| e.contains(wrong)), "{wrong}");
        }
    }
}
