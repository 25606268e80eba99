//! Folders in a store in memory, with everything that can go wrong on the way to it.

use std::fs;
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use budwood_base::address::{Address, Place};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error as Fault, ListResult, ObjectStore, ObjectStoreExt as _};

use crate::manifest::{self, File, Manifest};
use crate::store::{is_address, is_line, is_region};
use crate::{Cache, Error, Form, Store, Take, Upload};

const ADAPTER: Form<'static> = Form {
    what: "an adapter",
    files: &["adapter.json", "adapter.safetensors"],
    within: Some("checkpoint"),
    plain: true,
};
const CHECKPOINT: Form<'static> =
    Form { what: "a run's checkpoint", files: &[], within: None, plain: false };

/// A store in memory. Its writes fail when `left` of them are done, and `seen` has what was asked.
#[derive(Debug, Clone)]
struct Memory {
    objects: Arc<InMemory>,
    left: Arc<AtomicI64>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("memory")
    }
}

impl Memory {
    fn new() -> Self {
        let left = Arc::new(AtomicI64::new(i64::MAX));
        Self { objects: Arc::default(), left, seen: Arc::default() }
    }

    fn may_write(&self) -> object_store::Result<()> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1.. => Ok(()),
            _ => Err(Fault::Generic { store: "memory", source: "the line is cut".into() }),
        }
    }

    /// The store at an address.
    fn at(&self, address: &str) -> Arc<Store> {
        let store = Store::of(&address_of(address), Arc::new(self.clone()), Arc::new(self.clone()));
        Arc::new(store.unwrap())
    }

    fn names(&self) -> Vec<String> {
        let store = self.at("s3://b");
        store.all("", 1000).unwrap().into_iter().map(|e| e.name).collect()
    }
}

#[async_trait]
impl ObjectStore for Memory {
    async fn put_opts(
        &self,
        to: &Path,
        bytes: object_store::PutPayload,
        options: object_store::PutOptions,
    ) -> object_store::Result<object_store::PutResult> {
        self.may_write()?;
        self.objects.put_opts(to, bytes, options).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: object_store::PutMultipartOptions,
    ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
        self.may_write()?;
        self.objects.put_multipart_opts(to, options).await
    }

    async fn get_opts(
        &self,
        from: &Path,
        options: object_store::GetOptions,
    ) -> object_store::Result<object_store::GetResult> {
        if !options.head {
            self.seen.lock().unwrap().push(from.to_string());
        }
        self.objects.get_opts(from, options).await
    }

    fn delete_stream(
        &self,
        names: futures_core::stream::BoxStream<'static, object_store::Result<Path>>,
    ) -> futures_core::stream::BoxStream<'static, object_store::Result<Path>> {
        self.objects.delete_stream(names)
    }

    fn list(
        &self,
        prefix: Option<&Path>,
    ) -> futures_core::stream::BoxStream<'static, object_store::Result<object_store::ObjectMeta>>
    {
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: object_store::CopyOptions,
    ) -> object_store::Result<()> {
        self.may_write()?;
        self.objects.copy_opts(from, to, options).await
    }
}

#[async_trait]
impl PaginatedListStore for Memory {
    /// Two objects a page, so that all pages are read.
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> object_store::Result<PaginatedListResult> {
        let prefix = prefix.unwrap_or_default();
        let (mut open, mut all) = (vec![None], Vec::new());
        while let Some(folder) = open.pop() {
            let listed = self.objects.list_with_delimiter(folder.as_ref()).await?;
            open.extend(listed.common_prefixes.into_iter().map(Some));
            all.extend(listed.objects);
        }
        all.retain(|o| o.location.as_ref().starts_with(prefix));
        if options.delimiter.is_some() {
            all.retain(|o| !o.location.as_ref()[prefix.len()..].contains('/'));
        }
        all.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        let after = options.page_token.or(options.offset).unwrap_or_default();
        all.retain(|o| *o.location.as_ref() > *after);
        let page = if options.delimiter.is_some() { 1000 } else { 2 };
        let more = all.len() > page;
        all.truncate(page);
        let page_token = all.last().filter(|_| more).map(|o| o.location.to_string());
        let result = ListResult { common_prefixes: Vec::new(), objects: all, ..empty() };
        Ok(PaginatedListResult { result, page_token })
    }
}

fn empty() -> ListResult {
    ListResult { common_prefixes: Vec::new(), objects: Vec::new(), extensions: Default::default() }
}

fn address_of(text: &str) -> Address {
    match Place::of(text).unwrap() {
        Place::Store(address) => address,
        Place::Here(_) => panic!("{text}"),
    }
}

/// A folder of this disk with an adapter's two files.
fn folder(weights: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("adapter.safetensors"), weights).unwrap();
    fs::write(dir.path().join("adapter.json"), format!("{{\"of\": \"{weights}\"}}")).unwrap();
    dir
}

fn adapter_names() -> Vec<String> {
    ["adapter.safetensors", "adapter.json"].map(Into::into).into()
}

fn begin(store: &Arc<Store>) -> Result<Upload<'static>, Error> {
    Upload::begin(store, "", ADAPTER, &|text| text.starts_with(b"{\"of\""))
}

fn write(store: &Arc<Store>, weights: &str) -> Result<(), Error> {
    begin(store)?.put(folder(weights).path(), &adapter_names())
}

/// The weights that a reader finds, and what they are said to be.
fn read(store: &Store, cache: &FilePath) -> Result<Option<(String, String)>, Error> {
    let cache = Cache::open(cache, 1 << 20)?;
    let all = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let take = Take::Folder { choose: &all, deeper: &[] };
    let kept = cache.fetch(store, "", take, 1 << 20, &mut |_| {})?;
    Ok(kept.map(|kept| {
        let text = |name: &str| fs::read_to_string(kept.path().join(name)).unwrap();
        (text("adapter.safetensors"), text("adapter.json"))
    }))
}

fn of(weights: &str) -> (String, String) {
    (weights.into(), format!("{{\"of\": \"{weights}\"}}"))
}

#[test]
fn a_folder_is_written_read_replaced_and_removed() {
    let (memory, cache) = (Memory::new(), tempfile::tempdir().unwrap());
    let store = memory.at("s3://b/team/a");
    assert!(read(&store, cache.path()).unwrap().is_none());
    assert!(!begin(&store).unwrap().is_whole());
    write(&store, "one").unwrap();
    assert_eq!(read(&store, cache.path()).unwrap().unwrap(), of("one"));
    let plain = ["team/a/.budwood.json", "team/a/adapter.json", "team/a/adapter.safetensors"];
    assert_eq!(memory.names(), plain);
    assert!(begin(&store).unwrap().is_whole());
    for weights in ["two", "three"] {
        write(&store, weights).unwrap();
        assert_eq!(read(&store, cache.path()).unwrap().unwrap(), of(weights));
        // Programs without manifests find the same under the files' own names.
        let bare = memory.at("s3://b/team").look("a/adapter.safetensors").unwrap().unwrap();
        assert_eq!(memory.at("s3://b/team").get(&bare, 100).unwrap(), weights.as_bytes());
        assert_eq!(memory.names().len(), 5, "{:?}", memory.names());
    }
    begin(&store).unwrap().remove().unwrap();
    assert!(memory.names().is_empty());
}

/// Cut after any number of writes, readers see the old folder or the new one, or none where there
/// was none; and the same command ends it.
#[test]
fn a_writer_that_is_cut_anywhere_breaks_nothing() {
    for before in [None, Some("old")] {
        let mut ends = Vec::new();
        for left in 0..12 {
            let (memory, cache) = (Memory::new(), tempfile::tempdir().unwrap());
            let store = memory.at("s3://b/a");
            if let Some(before) = before {
                write(&store, before).unwrap();
            }
            memory.left.store(left, Ordering::SeqCst);
            let written = write(&store, "new");
            memory.left.store(i64::MAX, Ordering::SeqCst);
            match read(&store, cache.path()) {
                Ok(found) => {
                    let is_new = found.as_ref() == Some(&of("new"));
                    assert!(is_new || found == before.map(of), "{left}: {found:?}");
                    assert!(is_new || written.is_err(), "{left}");
                    ends.push(is_new);
                }
                Err(Error::Unfinished(_)) if before.is_none() => ends.push(false),
                Err(e) => panic!("{before:?} {left}: {e}"),
            }
            write(&store, "again").unwrap();
            assert_eq!(read(&store, cache.path()).unwrap().unwrap(), of("again"), "{left}");
        }
        assert!(ends.contains(&true) && ends.contains(&false) && ends.is_sorted(), "{ends:?}");
    }
}

#[test]
fn two_writers_never_mix() {
    let (memory, cache) = (Memory::new(), tempfile::tempdir().unwrap());
    let store = memory.at("s3://b/a");
    for first in ["x", "y"] {
        // Both have looked before either writes.
        let (mut a, mut b) = (begin(&store).unwrap(), begin(&store).unwrap());
        a.put(folder(first).path(), &adapter_names()).unwrap();
        let lost = b.put(folder("lost").path(), &adapter_names()).unwrap_err();
        assert!(matches!(lost, Error::Taken(_)), "{lost}");
        assert!(lost.to_string().starts_with("s3://b/a"), "{lost}");
        assert_eq!(read(&store, cache.path()).unwrap().unwrap(), of(first));
    }
    let left: Vec<String> = memory.names();
    assert!(left.iter().all(|n| !n.contains("lost")), "{left:?}");
}

#[test]
fn nothing_of_others_is_replaced_or_removed() {
    let memory = Memory::new();
    let root = memory.at("s3://b");
    let store = memory.at("s3://b/a");
    root.put("a/notes.txt", b"precious".to_vec()).unwrap();
    let error = begin(&store).err().unwrap().to_string();
    assert!(error.contains("s3://b/a") && error.contains("notes.txt"), "{error}");
    root.remove("a/notes.txt").unwrap();
    // Files of the right names that we did not write.
    root.put("a/adapter.json", b"[1]".to_vec()).unwrap();
    root.put("a/adapter.safetensors", b"w".to_vec()).unwrap();
    assert!(matches!(begin(&store), Err(Error::Foreign(..))));
    // An adapter that was sent by other means is ours; what lies beside it stays.
    root.put("a/adapter.json", b"{\"of\": \"w\"}".to_vec()).unwrap();
    root.put("a/notes.txt", b"precious".to_vec()).unwrap();
    root.put("ab/other", b"precious".to_vec()).unwrap();
    assert!(begin(&store).unwrap().is_whole());
    write(&store, "new").unwrap();
    begin(&store).unwrap().remove().unwrap();
    assert_eq!(memory.names(), ["a/notes.txt", "ab/other"]);
    // Another kind of folder of ours.
    let dir = folder("c");
    let mut checkpoint = Upload::begin(&memory.at("s3://b/c"), "", CHECKPOINT, &|_| false).unwrap();
    checkpoint.put(dir.path(), &adapter_names()).unwrap();
    assert!(matches!(begin(&memory.at("s3://b/c")), Err(Error::Foreign(..))));
}

#[test]
fn a_checkpoint_is_the_last_whole_one() {
    let (memory, cache) = (Memory::new(), tempfile::tempdir().unwrap());
    let store = memory.at("s3://b/a");
    let dir = folder("1");
    let cache = Cache::open(cache.path(), 1 << 20).unwrap();
    let begin = || Upload::begin(&store, "checkpoint", CHECKPOINT, &|_| false).unwrap();
    let found = || {
        let kept = cache.fetch(&store, "checkpoint", Take::All, 1 << 20, &mut |_| {});
        let path = kept.unwrap().unwrap().path().join("adapter.safetensors");
        fs::read_to_string(path).unwrap()
    };
    let mut upload = begin();
    upload.put(dir.path(), &adapter_names()).unwrap();
    let (first, sent) = (upload.id().unwrap().to_string(), memory.names().len());
    fs::write(dir.path().join("adapter.safetensors"), "2").unwrap();
    memory.left.store(0, Ordering::SeqCst);
    assert!(upload.put(dir.path(), &adapter_names()).is_err());
    memory.left.store(1, Ordering::SeqCst);
    assert!(upload.put(dir.path(), &adapter_names()).is_err());
    memory.left.store(i64::MAX, Ordering::SeqCst);
    assert_eq!((found().as_str(), begin().id()), ("1", Some(first.as_str())));
    // The next one sends what has changed alone.
    memory.left.store(2, Ordering::SeqCst);
    upload.put(dir.path(), &adapter_names()).unwrap();
    memory.left.store(i64::MAX, Ordering::SeqCst);
    assert_eq!(found(), "2");
    assert_eq!(memory.names().len(), sent, "{:?}", memory.names());
    // A folder with a checkpoint in it is still free for its adapter.
    write(&store, "done").unwrap();
    begin().remove().unwrap();
    assert_eq!(memory.names().len(), 3);
    // One that was killed when it removed them leaves nothing that is in the way.
    let left = "checkpoint/.budwood/1/adapter.json";
    store.put(left, b"left".to_vec()).unwrap();
    begin().put(dir.path(), &adapter_names()).unwrap();
    assert!(memory.names().iter().all(|n| !n.ends_with(left)), "{:?}", memory.names());
}

#[test]
fn what_was_fetched_is_not_fetched_again() {
    let (memory, cache) = (Memory::new(), tempfile::tempdir().unwrap());
    let root = memory.at("s3://b");
    root.put("data/train.csv", b"a,b\n1,2\n".to_vec()).unwrap();
    let store = memory.at("s3://b/data/train.csv");
    let fetch = |cache: &Cache| {
        let kept = cache.fetch(&store, "", Take::Object, 100, &mut |_| {}).unwrap().unwrap();
        assert_eq!(kept.path().file_name().unwrap(), "train.csv");
        (fs::read_to_string(kept.path()).unwrap(), kept.tag().to_string())
    };
    let first = Cache::open(cache.path(), 1000).unwrap();
    let (text, tag) = fetch(&first);
    assert_eq!((text.as_str(), memory.seen.lock().unwrap().len()), ("a,b\n1,2\n", 1));
    fetch(&first);
    fetch(&Cache::open(cache.path(), 1000).unwrap());
    assert_eq!(memory.seen.lock().unwrap().len(), 1);
    root.put("data/train.csv", b"a,b\n1,3\n".to_vec()).unwrap();
    let (text, other) = fetch(&first);
    assert_eq!((text.as_str(), memory.seen.lock().unwrap().len()), ("a,b\n1,3\n", 2));
    assert_ne!(tag, other);
    let large = first.fetch(&store, "", Take::Object, 7, &mut |_| {});
    assert!(large.is_ok(), "it is here");
    root.put("data/train.csv", b"a,b\n1,4444\n".to_vec()).unwrap();
    let large = first.fetch(&store, "", Take::Object, 7, &mut |_| {}).err().unwrap();
    assert!(matches!(large, Error::Large(_, 11, 7)), "{large}");
}

/// Larger than a part: it comes and goes piece by piece, and is the same.
#[test]
fn a_large_object_comes_in_parts() {
    let (memory, dir) = (Memory::new(), tempfile::tempdir().unwrap());
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|i| (i % 251) as u8).collect();
    let file = dir.path().join("large");
    fs::write(&file, &bytes).unwrap();
    let store = memory.at("s3://b/large.bin");
    store.send("", &file).unwrap();
    let cache = Cache::open(&dir.path().join("cache"), 1 << 30).unwrap();
    let kept = cache.fetch(&store, "", Take::Object, 1 << 30, &mut |_| {}).unwrap().unwrap();
    assert!(fs::read(kept.path()).unwrap() == bytes);
    assert_eq!(memory.seen.lock().unwrap().len(), 3);
}

#[test]
fn what_is_read_is_not_put_away() {
    let (memory, cache) = (Memory::new(), tempfile::tempdir().unwrap());
    let root = memory.at("s3://b");
    for name in ["x", "y", "z"] {
        root.put(name, vec![b'0'; 60]).unwrap();
    }
    let fetch = |cache: &Cache, name: &str| {
        cache.fetch(&root, name, Take::Object, 100, &mut |_| {}).unwrap().unwrap()
    };
    let here = Cache::open(cache.path(), 100).unwrap();
    let held = fetch(&here, "x");
    let free = fetch(&here, "y").path().to_path_buf();
    // Another process has other locks.
    let other = Cache::open(cache.path(), 100).unwrap();
    fetch(&other, "z");
    assert!(held.path().exists() && !free.exists());
    let path = held.path().to_path_buf();
    drop(held);
    drop(Cache::open(cache.path(), 10).unwrap());
    assert!(!path.exists());
}

#[test]
fn damaged_and_changed_folders_are_told() {
    let (memory, cache) = (Memory::new(), tempfile::tempdir().unwrap());
    let (root, store) = (memory.at("s3://b"), memory.at("s3://b/a"));
    write(&store, "good").unwrap();
    root.put("a/adapter.safetensors", b"evil".to_vec()).unwrap();
    let error = read(&store, cache.path()).unwrap_err();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
    assert!(error.to_string().contains("s3://b/a/adapter.safetensors"), "{error}");
    root.put("a/adapter.safetensors", b"longer".to_vec()).unwrap();
    assert!(matches!(read(&store, cache.path()), Err(Error::Changed(_))));
    root.remove("a/adapter.safetensors").unwrap();
    assert!(matches!(read(&store, cache.path()), Err(Error::Missing(_))));
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0, "nothing half-written stays");
    root.put("a/.budwood.json", b"[[".to_vec()).unwrap();
    let error = read(&store, cache.path()).unwrap_err().to_string();
    assert!(error.contains("s3://b/a/.budwood.json"), "{error}");
}

#[test]
fn no_name_leads_out_of_the_cache() {
    let file = |name: &str, object: &str| {
        let sha256 = "0".repeat(64);
        let files = vec![File { name: name.into(), object: object.into(), bytes: 1, sha256 }];
        let manifest = Manifest::new("an adapter", "id", true, files).to_bytes();
        Manifest::parse("s3://b/a/.budwood.json", &manifest)
    };
    assert!(file("a/b.json", "a/b.json").is_ok());
    assert!(file("b.json", ".budwood/1/b.json").is_ok());
    for (name, object) in [
        ("../x", "../x"),
        ("../x", ".budwood/1/x"),
        ("x", ".budwood/../../x"),
        ("/x", "/x"),
        ("a/../x", "a/../x"),
        ("a\\x", "a\\x"),
        ("", ""),
        ("a//x", "a//x"),
        ("x", "../other/x"),
        ("x", "y"),
        ("x\0", "x\0"),
        (".", "."),
        (".budwood.json", ".budwood.json"),
        (".budwood/x", ".budwood/x"),
        ("x", ".budwoody/x"),
    ] {
        let error = file(name, object).unwrap_err().to_string();
        assert!(error.contains("s3://b/a/.budwood.json"), "{name:?}: {error}");
    }
    // Names of objects in a folder without manifest.
    let (memory, cache) = (Memory::new(), tempfile::tempdir().unwrap());
    let (root, store) = (memory.at("s3://b"), memory.at("s3://b/d"));
    let cache = Cache::open(cache.path(), 1 << 20).unwrap();
    for name in ["d/a\\..\\..\\x", &format!("d/{}", "x".repeat(300))] {
        let path = Path::parse(name).unwrap();
        let written = memory.objects.put(&path, "x".into());
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(written).unwrap();
        let error = cache.fetch(&store, "", Take::All, 100, &mut |_| {}).err().unwrap();
        assert!(matches!(error, Error::Name(_)), "{error}");
        assert!(error.to_string().contains("s3://b/d/"), "{error}");
        root.remove(name).unwrap();
    }
    for (address, name) in [
        ("s3://b/train.csv", "train.csv"),
        ("s3://b/..hidden", "_..hidden"),
        ("s3://b/a b:c", "a_b_c"),
        ("s3://b", "b"),
        ("s3://b/é.tsv", "é.tsv"),
    ] {
        assert_eq!(crate::cache::file_name(address), name);
    }
    let long = crate::cache::file_name(&format!("s3://b/{}é.jsonl.gz", "é".repeat(400)));
    assert!(long.len() <= 150 && long.ends_with("é.jsonl.gz"), "{long}");
}

#[test]
fn a_folder_with_folders_is_one() {
    let (memory, cache) = (Memory::new(), tempfile::tempdir().unwrap());
    let root = memory.at("s3://b");
    for name in ["pets/cat/1.png", "pets/cat/2.png", "pets/dog/1.png", "petshop/x", "pets/.hidden"]
    {
        root.put(name, name.into()).unwrap();
    }
    let store = memory.at("s3://b/pets");
    let cache = Cache::open(cache.path(), 1 << 20).unwrap();
    let kept = cache.fetch(&store, "", Take::All, 1 << 20, &mut |_| {}).unwrap().unwrap();
    assert_eq!(kept.path().file_name().unwrap(), "pets");
    assert_eq!(fs::read_to_string(kept.path().join("dog/1.png")).unwrap(), "pets/dog/1.png");
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 2);
    assert!(cache.fetch(&root, "pe", Take::All, 1 << 20, &mut |_| {}).unwrap().is_none());
    assert!(manifest::NAME.starts_with(manifest::HIDDEN));
}

#[test]
fn settings_that_the_library_panics_at_are_faults() {
    for right in ["http://127.0.0.1:9000", "https://minio.example/", "http://[::1]:9000/path"] {
        assert_eq!(is_address(right), Ok(()), "{right}");
    }
    for wrong in
        ["", "nonsense", "minio:9000", "127.0.0.1:9000", "http://", "http://:80", "ftp://host"]
    {
        assert!(is_address(wrong).is_err(), "{wrong}");
    }
    for wrong in ["http://[::1", "http://a b:80", "http://host:99999", "http://me:secret@host"] {
        assert!(is_address(wrong).is_err_and(|why| !why.contains("secret")), "{wrong}");
    }
    assert!(is_region("eu-central-1").is_ok() && is_region("").is_ok());
    assert!(is_region("us east").is_err() && is_region("x%zz").is_err());
    assert!(is_line("wJalr+/=").is_ok() && is_line("wJalr\n").is_err());
}
