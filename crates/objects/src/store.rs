//! Objects below an address. Calls block.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use budwood_base::address::Address;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as S3};
use object_store::azure::{AzureConfigKey as Azure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey as Google};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, RetryConfig,
    UpdateVersion,
};
use tokio::runtime::Runtime;
use ureq::http::Uri;
use ureq::tls::RootCerts;

use crate::Error;
use crate::client::Connector;
use crate::error::reason;

/// How long a request is tried again and again where the store is out of order.
const PATIENCE: Duration = Duration::from_secs(10);
const TRIES: usize = 4;
/// Objects of one page of a list: what stores give at the most.
pub(crate) const PAGE: usize = 1000;
/// Bytes that are in memory at once of an object on its way, either way.
pub(crate) const PART: u64 = 8 << 20;

/// A folder in an object store.
pub struct Store {
    address: Address,
    objects: Arc<dyn ObjectStore>,
    lists: Arc<dyn PaginatedListStore>,
    runtime: Runtime,
}

/// An object of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name below the store's address; empty for the object at the address itself.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// What the store calls this content (`ETag`), or when it was written.
    pub tag: String,
}

/// The state of an object that a write may depend on.
#[derive(Clone, Debug)]
pub(crate) struct Version(UpdateVersion);

impl Store {
    /// Takes an address and the environment's credentials; certificates are those of browsers
    /// where none are given. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// If the environment's settings contradict each other, or are none.
    pub fn open(address: &Address, trusted: Option<RootCerts>) -> Result<Self, Error> {
        let connector = Connector::new(trusted);
        let retry =
            RetryConfig { max_retries: TRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let bucket = address.bucket();
        let failed = |e: object_store::Error| match Error::of(&address.to_string(), &e) {
            Error::Store(place, why) => {
                Error::Address(format!("{place}: {why}, in the variables of the environment"))
            }
            other => other,
        };
        // The library panics at some of what is no setting.
        let check = |variable, value: Option<String>, is: fn(&str) -> Result<(), &'static str>| {
            let fault = |why| Error::Address(format!("{address}: the variable {variable} {why}"));
            value.map_or(Ok(()), |value| is(&value).map_err(fault))
        };
        let (objects, lists): (Arc<dyn ObjectStore>, Arc<dyn PaginatedListStore>) =
            match address.scheme() {
                "s3" => {
                    // The address of AWS is https; another is as the environment has it.
                    let store = AmazonS3Builder::from_env();
                    let set = |key| store.get_config_value(&key);
                    check("AWS_ENDPOINT_URL", set(S3::Endpoint), is_address)?;
                    check("AWS_METADATA_ENDPOINT", set(S3::MetadataEndpoint), is_address)?;
                    check("AWS_REGION", set(S3::Region), is_region)?;
                    check("AWS_ACCESS_KEY_ID", set(S3::AccessKeyId), is_line)?;
                    check("AWS_SECRET_ACCESS_KEY", set(S3::SecretAccessKey), is_line)?;
                    check("AWS_SESSION_TOKEN", set(S3::Token), is_line)?;
                    let store = store
                        .with_bucket_name(bucket)
                        .with_allow_http(true)
                        .with_retry(retry)
                        .with_http_connector(connector)
                        .build();
                    let store = Arc::new(store.map_err(failed)?);
                    (store.clone(), store)
                }
                "gs" => {
                    let store = GoogleCloudStorageBuilder::from_env();
                    let base = store.get_config_value(&Google::BaseUrl);
                    check("GOOGLE_BASE_URL", base, is_address)?;
                    let store = store
                        .with_bucket_name(bucket)
                        .with_retry(retry)
                        .with_http_connector(connector)
                        .build();
                    let store = Arc::new(store.map_err(failed)?);
                    (store.clone(), store)
                }
                _ => {
                    let store = MicrosoftAzureBuilder::from_env();
                    let endpoint = store.get_config_value(&Azure::Endpoint);
                    check("AZURE_STORAGE_ENDPOINT", endpoint, is_address)?;
                    let store = store
                        .with_container_name(bucket)
                        .with_retry(retry)
                        .with_http_connector(connector)
                        .build();
                    let store = Arc::new(store.map_err(failed)?);
                    (store.clone(), store)
                }
            };
        Self::of(address, objects, lists)
    }

    pub(crate) fn of(
        address: &Address,
        objects: Arc<dyn ObjectStore>,
        lists: Arc<dyn PaginatedListStore>,
    ) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(16)
            .thread_name("store")
            .enable_time()
            .build()
            .map_err(|e| Error::File("the store's threads".into(), e))?;
        Ok(Self { address: address.clone(), objects, lists, runtime })
    }

    /// The address. It never holds what is secret.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The address of an object, for messages.
    pub fn place(&self, name: &str) -> String {
        if name.is_empty() { self.address.to_string() } else { self.address.join(name).to_string() }
    }

    fn full(&self, name: &str) -> String {
        match (self.address.name(), name) {
            ("", name) => name.into(),
            (folder, "") => folder.into(),
            (folder, name) => format!("{folder}/{name}"),
        }
    }

    fn path(&self, name: &str) -> Result<Path, Error> {
        Path::parse(self.full(name)).map_err(|_| Error::Name(self.place(name)))
    }

    fn failed(&self, name: &str) -> impl FnOnce(object_store::Error) -> Error {
        let place = self.place(name);
        move |error| Error::of(&place, &error)
    }

    /// The object of a name; none if there is none.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn look(&self, name: &str) -> Result<Option<Entry>, Error> {
        let path = self.path(name)?;
        if path.as_ref().is_empty() {
            return Ok(None);
        }
        match self.runtime.block_on(self.objects.head(&path)) {
            Ok(found) => Ok(Some(Entry { name: name.into(), ..entry(found) })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed(name)(e)),
        }
    }

    /// The bytes of an object of a list: those that the list spoke of, whole.
    ///
    /// # Errors
    /// If there is none, it is another by now, or has more than `most` bytes.
    pub fn get(&self, entry: &Entry, most: u64) -> Result<Vec<u8>, Error> {
        let most = most.min(PART);
        if entry.bytes > most {
            return Err(Error::Large(self.place(&entry.name), entry.bytes, most));
        }
        Ok(self.read(entry, None)?.0)
    }

    /// As [`Store::get`] of what is there now, with the state that it is of; none if there is none.
    pub(crate) fn now(&self, name: &str) -> Result<Option<(Vec<u8>, Version)>, Error> {
        let Some(entry) = self.look(name)? else { return Ok(None) };
        if entry.bytes > PART {
            return Err(Error::Large(self.place(name), entry.bytes, PART));
        }
        self.read(&entry, None).map(Some)
    }

    /// Writes an object of a list to a file, part by part.
    ///
    /// # Errors
    /// As [`Store::get`], and if the file cannot be written.
    pub fn fetch(&self, entry: &Entry, file: &FilePath) -> Result<(), Error> {
        let failed = |e| Error::File(file.display().to_string(), e);
        let mut out = File::create(file).map_err(failed)?;
        let mut at = 0;
        loop {
            let end = entry.bytes.min(at + PART);
            let range = (entry.bytes > PART).then_some((at, end));
            out.write_all(&self.read(entry, range)?.0).map_err(failed)?;
            at = end;
            if at == entry.bytes {
                return Ok(());
            }
        }
    }

    fn read(&self, entry: &Entry, range: Option<(u64, u64)>) -> Result<(Vec<u8>, Version), Error> {
        let (from, to) = range.unwrap_or((0, entry.bytes));
        let path = self.path(&entry.name)?;
        let options = GetOptions::new()
            .with_if_match(entry.tag.starts_with('"').then(|| entry.tag.clone()))
            .with_range(range.map(|(from, to)| from..to));
        let read = async {
            let answer = self.objects.get_opts(&path, options).await?;
            let meta = answer.meta.clone();
            Ok((answer.bytes().await?, meta))
        };
        let (bytes, meta) = self.runtime.block_on(read).map_err(self.failed(&entry.name))?;
        if bytes.len() as u64 != to - from || meta.size != entry.bytes {
            return Err(Error::Changed(self.place(&entry.name)));
        }
        let version = UpdateVersion { e_tag: meta.e_tag, version: meta.version };
        Ok((bytes.into(), Version(version)))
    }

    /// Writes an object, whatever is there; it is there whole or not at all.
    ///
    /// # Errors
    /// If the store refuses.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let path = self.path(name)?;
        let write = self.objects.put(&path, PutPayload::from(bytes));
        self.runtime.block_on(write).map_err(self.failed(name))?;
        Ok(())
    }

    /// [`Store::put`] of a file's bytes, part by part.
    ///
    /// # Errors
    /// If the store refuses, or the file cannot be read.
    pub fn send(&self, name: &str, file: &FilePath) -> Result<(), Error> {
        let failed = |e| Error::File(file.display().to_string(), e);
        let mut from = File::open(file).map_err(failed)?;
        let bytes = from.metadata().map_err(failed)?.len();
        let part = |from: &mut File| -> Result<Vec<u8>, Error> {
            let mut bytes = Vec::new();
            from.take(PART).read_to_end(&mut bytes).map_err(failed)?;
            Ok(bytes)
        };
        if bytes <= PART {
            return self.put(name, part(&mut from)?);
        }
        let path = self.path(name)?;
        let told = || self.failed(name);
        let begun = self.runtime.block_on(self.objects.put_multipart(&path));
        let mut upload = begun.map_err(told())?;
        let sent = (|| loop {
            let bytes = part(&mut from)?;
            if bytes.is_empty() {
                return self.runtime.block_on(upload.complete()).map_err(told());
            }
            self.runtime.block_on(upload.put_part(PutPayload::from(bytes))).map_err(told())?;
        })();
        if sent.is_err() {
            let _ = self.runtime.block_on(upload.abort());
        }
        sent.map(drop)
    }

    /// Writes an object if it is still in a state, or is not there where there was none.
    ///
    /// # Errors
    /// [`Error::Taken`] if it is in another, and if the store refuses.
    pub(crate) fn swap(
        &self,
        name: &str,
        bytes: &[u8],
        before: Option<&Version>,
    ) -> Result<Version, Error> {
        let path = self.path(name)?;
        let mode = before.map_or(PutMode::Create, |v| PutMode::Update(v.0.clone()));
        let write = self.objects.put_opts(&path, PutPayload::from(bytes.to_vec()), mode.into());
        let written = self.runtime.block_on(write).map_err(self.failed(name));
        match written {
            Ok(done) => Ok(Version(done.into())),
            Err(error) => match self.now(name) {
                // It came through, and its answer did not.
                Ok(Some((there, version))) if there == bytes => Ok(version),
                _ => Err(match error {
                    Error::Changed(place) => Error::Taken(place),
                    other => other,
                }),
            },
        }
    }

    /// Copies an object inside the store.
    ///
    /// # Errors
    /// If the store refuses.
    pub(crate) fn copy(&self, from: &str, to: &str) -> Result<(), Error> {
        let (a, b) = (self.path(from)?, self.path(to)?);
        self.runtime.block_on(self.objects.copy(&a, &b)).map_err(self.failed(to))
    }

    /// Removes an object; one that is not there is no fault.
    ///
    /// # Errors
    /// If the store refuses.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        match self.runtime.block_on(self.objects.delete(&self.path(name)?)) {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(e) => Err(self.failed(name)(e)),
        }
    }

    /// Objects whose names begin so and stand after another name, in order: so many at the most.
    /// One page costs one request, whatever the store holds.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn page(&self, beginning: &str, after: &str, most: usize) -> Result<Vec<Entry>, Error> {
        let options = PaginatedListOptions {
            offset: (!after.is_empty()).then(|| self.below(after)),
            max_keys: Some(most.min(PAGE)),
            ..PaginatedListOptions::default()
        };
        Ok(self.listed(beginning, options)?.0)
    }

    /// The objects directly in a folder; none where there are more than one page has.
    pub(crate) fn folder(&self, name: &str) -> Result<Vec<Entry>, Error> {
        let beginning = if name.is_empty() { String::new() } else { format!("{name}/") };
        let options = PaginatedListOptions {
            delimiter: Some("/".into()),
            max_keys: Some(PAGE),
            ..PaginatedListOptions::default()
        };
        let (mut entries, next) = self.listed(&beginning, options)?;
        entries.retain(|e| is_below(&e.name, &beginning).is_some_and(|file| !file.contains('/')));
        match next {
            Some(_) => Err(Error::Many(self.place(name), PAGE)),
            None => Ok(entries),
        }
    }

    /// All objects in a folder and the folders in it.
    pub(crate) fn all(&self, name: &str, most: usize) -> Result<Vec<Entry>, Error> {
        let beginning = if name.is_empty() { String::new() } else { format!("{name}/") };
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let options = PaginatedListOptions {
                page_token: token.take(),
                max_keys: Some(PAGE),
                ..PaginatedListOptions::default()
            };
            let (entries, next) = self.listed(&beginning, options)?;
            all.extend(entries.into_iter().filter(|e| is_below(&e.name, &beginning).is_some()));
            if all.len() > most {
                return Err(Error::Many(self.place(name), most));
            }
            match next {
                Some(next) => token = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// The beginning of full names.
    fn below(&self, beginning: &str) -> String {
        match self.address.name() {
            "" => beginning.into(),
            folder => format!("{folder}/{beginning}"),
        }
    }

    fn listed(
        &self,
        beginning: &str,
        options: PaginatedListOptions,
    ) -> Result<(Vec<Entry>, Option<String>), Error> {
        let prefix = self.below(beginning);
        let list = self.lists.list_paginated((!prefix.is_empty()).then_some(&prefix), options);
        let listed = self.runtime.block_on(list).map_err(|e| match Error::of("", &e) {
            Error::Name(_) => Error::Name(format!("{} ({})", self.place(beginning), reason(&e))),
            Error::Missing(_) => Error::Bucket(self.address.to_string()),
            _ => self.failed(beginning)(e),
        })?;
        let below = self.below("");
        let ours = |object: ObjectMeta| {
            let name = object.location.as_ref().strip_prefix(&below)?.to_string();
            Some(Entry { name, ..entry(object) })
        };
        let mut entries: Vec<Entry> = listed.result.objects.into_iter().filter_map(ours).collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok((entries, listed.page_token))
    }
}

/// Whether a setting is the address of a server. Faults do not repeat it: it may hold a password.
pub(crate) fn is_address(setting: &str) -> Result<(), &'static str> {
    let uri = setting.parse().unwrap_or_else(|_| Uri::default());
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    // A port beyond all is no part of the host, and none of the address.
    let whole = |host: &str| uri.port_u16().is_some() || uri.authority().is_some_and(|a| a == host);
    match uri.host() {
        Some(host) if web && !host.is_empty() && whole(host) => Ok(()),
        _ => Err("is no address such as https://HOST or http://HOST:PORT; correct or unset it"),
    }
}

pub(crate) fn is_region(setting: &str) -> Result<(), &'static str> {
    match setting.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        true => Ok(()),
        false => Err("is no region such as eu-central-1; correct or unset it"),
    }
}

pub(crate) fn is_line(setting: &str) -> Result<(), &'static str> {
    match setting.contains(char::is_control) {
        false => Ok(()),
        true => Err("holds a line break or another control character; set it without"),
    }
}

/// What follows the beginning of a name. Stores list `folder/` itself as `folder`.
pub(crate) fn is_below<'a>(name: &'a str, beginning: &str) -> Option<&'a str> {
    name.strip_prefix(beginning).filter(|rest| !rest.is_empty())
}

fn entry(object: ObjectMeta) -> Entry {
    let name = object.location.as_ref().to_string();
    let tag = object.e_tag.unwrap_or_else(|| object.last_modified.to_rfc3339());
    Entry { name, bytes: object.size, tag }
}
