//! What has an address in an object store, fetched into a cache of its own.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use budwood_base::address::{Address, Place, layout_and_place};
use budwood_base::{digest, json};
use budwood_formats::native;
use budwood_objects::{Cache, Error as Fault, Kept, Store, Take};
use serde_json::Value;

use crate::repository::{DEEPER, needed};
use crate::{Certificates, Error, Notice, cache_folder};

/// Variables that name trusted certificates; the first counts.
const CERTIFICATES: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE"];
/// Bytes of the cache, but for what a process reads.
const CACHE_MOST: u64 = 10 << 30;
/// Bytes of an adapter or a model, and of data.
const MODEL_MOST: u64 = 64 << 30;
const DATA_MOST: u64 = 1 << 40;
/// What this process holds at once. Longer ago something is done with.
const HELD_MOST: usize = 256;

/// What this process has fetched: it stays on the disk as long as it is held.
struct Held {
    address: String,
    kept: Kept,
}

/// Folders of this machine, and the addresses that they are sent to.
static SENT: Mutex<Vec<(PathBuf, String)>> = Mutex::new(Vec::new());
static HELD: Mutex<VecDeque<Held>> = Mutex::new(VecDeque::new());

fn held() -> MutexGuard<'static, VecDeque<Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The store of an address, with the environment's credentials and certificates. Nothing is asked
/// of it yet.
///
/// # Errors
/// If a setting in the environment has no meaning.
pub fn open_store(address: &Address) -> Result<Store, Error> {
    let certificates = Certificates::from_env(CERTIFICATES).map(|c| c.read()).transpose();
    let certificates = certificates.map_err(Error::Object)?;
    Store::open(address, certificates).map_err(of)
}

fn of(fault: Fault) -> Error {
    Error::Object(fault.to_string())
}

/// The folder of an adapter or a model.
pub(crate) fn named(
    address: &Address,
    report: &mut dyn FnMut(Notice<'_>),
) -> Result<PathBuf, Error> {
    let take = Take::Folder { choose: &needed, deeper: DEEPER };
    let store = open_store(address)?;
    if let Some(path) = fetch(&store, take, (MODEL_MOST, is_sound), report)? {
        return Ok(path);
    }
    let there = match store.look("").map_err(of)? {
        Some(_) => "is one object; give the folder that it lies in",
        None => "there is no adapter and no model: a folder with adapter.json or config.json",
    };
    Err(Error::Object(format!("{address}: {there}")))
}

/// The file or folder of data.
pub(crate) fn data(
    address: &Address,
    report: &mut dyn FnMut(Notice<'_>),
) -> Result<PathBuf, Error> {
    let store = open_store(address)?;
    for take in [Take::Object, Take::All] {
        if let Some(path) = fetch(&store, take, (DATA_MOST, |_| true), report)? {
            return Ok(path);
        }
    }
    Err(Error::Object(format!("{address}: there is no such object, and no folder of that name")))
}

/// Whether the weights of an adapter of ours are those that its description speaks of.
fn is_sound(folder: &Path) -> bool {
    let Some([description, weights]) = native::FILES.first_chunk() else { return true };
    let (description, weights) = (folder.join(description), folder.join(weights));
    let Ok(text) = std::fs::read(description) else { return true };
    let value = json::check(&text).ok().and_then(|()| serde_json::from_slice(&text).ok());
    let wanted = value.as_ref().and_then(|value: &Value| value["weights_sha256"].as_str());
    wanted.is_none_or(|wanted| digest::of_file(&weights).is_ok_and(|found| found == wanted))
}

fn fetch(
    store: &Store,
    take: Take<'_>,
    (most, is_sound): (u64, fn(&Path) -> bool),
    report: &mut dyn FnMut(Notice<'_>),
) -> Result<Option<PathBuf>, Error> {
    let address = store.address().to_string();
    let cache = Cache::open(&cache_folder()?.join("objects"), CACHE_MOST).map_err(of)?;
    let mut is_new = false;
    let mut told = |bytes| {
        is_new = true;
        report(Notice::Object { address: &address, bytes });
    };
    let kept = cache.fetch(store, "", take, most, &mut told).map_err(of)?;
    let Some(kept) = kept else { return Ok(None) };
    let path = kept.path().to_path_buf();
    if is_new && !is_sound(&path) {
        cache.forget(kept);
        return Err(Error::Object(format!(
            "{address}: the weights that came are not those that adapter.json speaks of; nothing \
             of it was kept. Try again, and if it stays so, write the adapter again"
        )));
    }
    let mut held = held();
    held.retain(|other| other.kept.path() != path);
    held.push_back(Held { address, kept });
    if held.len() > HELD_MOST {
        held.pop_front();
    }
    Ok(Some(path))
}

/// Whether this program can use object stores.
///
/// # Errors
/// With the remedy, if it cannot.
pub fn check_stores(_: &Address) -> Result<(), Error> {
    Ok(())
}

/// What the store called the content when this process fetched it; `text` is the address, or data
/// as `LAYOUT=ADDRESS`.
pub fn tag_of(text: &str) -> Option<String> {
    let Ok(Place::Store(address)) = Place::of(layout_and_place(text).1) else { return None };
    let (held, address) = (held(), address.to_string());
    let found = held.iter().rev().find(|held| held.address == address);
    found.map(|held| held.kept.tag().into())
}

/// Says that messages are to name a folder of this machine by the address that it is sent to.
pub fn sent_to(path: &Path, address: &Address) {
    SENT.lock().unwrap_or_else(PoisonError::into_inner).push((path.into(), address.to_string()));
}

/// A message in which places of fetched files, and of those that are sent, are named by their
/// addresses.
pub fn as_named(message: &str) -> String {
    let place = |path: &Path| path.to_string_lossy().into_owned();
    let named = |text: String, (path, address): (&Path, &String)| match text.contains('/') {
        true => text.replace(&place(path), address),
        false => text,
    };
    let sent = SENT.lock().unwrap_or_else(PoisonError::into_inner);
    let held = held();
    let all = sent.iter().map(|(path, address)| (path.as_path(), address));
    all.chain(held.iter().map(|h| (h.kept.path(), &h.address))).fold(message.into(), named)
}
