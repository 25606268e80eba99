//! Writes a folder that readers see whole or not at all.
//!
//! ```text
//! NAME/.budwood.json         the manifest: which objects hold which files, with their hashes
//! NAME/FILE                  a file under its own name, also for programs without manifests
//! NAME/.budwood/ID/FILE      a file that came in the place of another, or of a hidden form
//! ```
//! A new folder begins with a manifest that says that it is not whole; it is put only where none
//! is. Then come the files, and the manifest that says that it is whole. A folder that is there is
//! written anew under hidden names, and one write of its manifest, which takes place only if the
//! manifest is still the one that was seen at the beginning, changes from the old files to the new.
//! Then files under their own names follow, and hidden ones of before go. So two writers never mix:
//! one of them fails. A writer that is killed leaves what was there before.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;

use budwood_base::digest;
use budwood_base::folder::some;

use crate::manifest::{self, File, HIDDEN, Manifest};
use crate::store::{Version, is_below};
use crate::{Entry, Error, Store};

/// Objects of a folder that is written, at most.
const OBJECTS_MOST: usize = 10_000;

/// What a folder is.
#[derive(Clone, Copy)]
pub struct Form<'a> {
    /// In words, with the article.
    pub what: &'a str,
    /// Files by which it is known where there is no manifest: all of them. Empty where it has one
    /// always.
    pub files: &'a [&'a str],
    /// A folder in it that is written by itself.
    pub within: Option<&'a str>,
    /// Whether readers without manifests find its files.
    pub plain: bool,
}

/// A folder that is to be written.
pub struct Upload<'a> {
    store: Arc<Store>,
    name: String,
    form: Form<'a>,
    seen: Option<(Manifest, Version)>,
    /// Files of a folder without manifest.
    bare: Vec<String>,
}

impl<'a> Upload<'a> {
    /// Looks at what is there; nothing is changed. `is_ours` says whether we wrote the first of the
    /// form's files, by its content.
    ///
    /// # Errors
    /// If there is something of others, or the store does not answer.
    pub fn begin(
        store: &Arc<Store>,
        name: &str,
        form: Form<'a>,
        is_ours: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Self, Error> {
        let (owned, name) = (Arc::clone(store), name.to_string());
        let mut upload = Self { store: owned, name, form, seen: None, bare: Vec::new() };
        let listed = upload.listed()?;
        upload.seen = upload.manifest()?;
        let place = upload.place();
        let foreign = |names: &[String]| Error::Foreign(place, form.what.into(), some(names));
        if let Some((manifest, _)) = &upload.seen {
            return match manifest.what == form.what {
                true => Ok(upload),
                false => Err(foreign(std::slice::from_ref(&manifest.what))),
            };
        }
        // Hidden ones without a manifest are of one that was killed when it removed them.
        let names = listed.into_iter().map(|e| e.name);
        let names: Vec<String> = names.filter(|n| !is_hidden(n)).collect();
        let has = |file: &&str| names.iter().any(|n| n == file);
        if !form.files.is_empty() && form.files.iter().all(has) {
            let description = store.now(&upload.below(form.files[0]))?;
            if description.is_some_and(|(text, _)| is_ours(&text)) {
                upload.bare = form.files.iter().map(ToString::to_string).collect();
                return Ok(upload);
            }
        }
        if names.is_empty() { Ok(upload) } else { Err(foreign(&names)) }
    }

    fn below(&self, file: &str) -> String {
        if self.name.is_empty() { file.into() } else { format!("{}/{file}", self.name) }
    }

    fn place(&self) -> String {
        self.store.place(&self.name)
    }

    /// Objects of the folder, by their names in it.
    fn listed(&self) -> Result<Vec<Entry>, Error> {
        let below = self.below("");
        let within = self.form.within.map(|within| format!("{within}/"));
        let inside = |e: Entry| {
            let name = is_below(&e.name, &below)?.to_string();
            let other = within.as_ref().is_some_and(|within| name.starts_with(within.as_str()));
            (!other).then_some(Entry { name, ..e })
        };
        let all = self.store.all(&self.name, OBJECTS_MOST)?;
        Ok(all.into_iter().filter_map(inside).collect())
    }

    fn manifest(&self) -> Result<Option<(Manifest, Version)>, Error> {
        let object = self.below(manifest::NAME);
        let Some((text, version)) = self.store.now(&object)? else { return Ok(None) };
        Ok(Some((Manifest::parse(&self.store.place(&object), &text)?, version)))
    }

    /// Whether a whole folder of this form is there.
    pub fn is_whole(&self) -> bool {
        self.seen.as_ref().is_some_and(|(m, _)| m.whole) || !self.bare.is_empty()
    }

    /// Which content is there, if it is whole and has a manifest: no two have the same.
    pub fn id(&self) -> Option<&str> {
        self.seen.as_ref().filter(|(m, _)| m.whole).map(|(m, _)| m.id.as_str())
    }

    /// Writes files of a folder of this disk: the last of them is the one by which readers without
    /// manifests know that all are there.
    ///
    /// # Errors
    /// If another process has written there since the beginning, or the store refuses. What readers
    /// with manifests see is then what they saw before, or all of the new.
    pub fn put(&mut self, folder: &Path, names: &[String]) -> Result<(), Error> {
        let listed = self.listed()?;
        let before = self.before();
        if self.seen.is_none() && listed.iter().any(|e| e.name == manifest::NAME) {
            return Err(Error::Taken(self.place()));
        }
        let of_others = |name: &&String| {
            self.form.plain
                && !before.contains(*name)
                && listed.iter().any(|entry| entry.name == **name)
        };
        let strange: Vec<String> = names.iter().filter(of_others).cloned().collect();
        if !strange.is_empty() {
            let what = self.form.what.into();
            return Err(Error::Foreign(self.place(), what, some(&strange)));
        }
        let id = new_id();
        let is_new = self.seen.is_none() && self.bare.is_empty();
        let hidden = !(is_new && self.form.plain);
        let old = self.seen.as_ref().filter(|_| !self.form.plain).map(|(m, _)| m.files.clone());
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            let path = folder.join(name);
            let failed = |e| Error::File(path.display().to_string(), e);
            let sha256 = digest::of_file(&path).map_err(failed)?;
            let bytes = fs::metadata(&path).map_err(failed)?.len();
            let same = |f: &&File| f.name == *name && f.sha256 == sha256 && f.bytes == bytes;
            let kept = old.iter().flatten().find(same).map(|f| f.object.clone());
            let object = kept.unwrap_or_else(|| match hidden {
                true => format!("{HIDDEN}/{id}/{name}"),
                false => name.clone(),
            });
            files.push(File { name: name.clone(), object, bytes, sha256 });
        }
        let object = self.below(manifest::NAME);
        let written = |whole| Manifest::new(self.form.what, &id, whole, files.clone());
        let mut version = self.seen.as_ref().map(|(_, version)| version.clone());
        if is_new {
            version = Some(self.store.swap(&object, &written(false).to_bytes(), None)?);
        }
        let known: BTreeSet<&str> = old.iter().flatten().map(|f| f.object.as_str()).collect();
        let sent = files
            .iter()
            .filter(|f| !known.contains(f.object.as_str()))
            .try_for_each(|f| self.store.send(&self.below(&f.object), &folder.join(&f.name)));
        let manifest = written(true);
        let done =
            sent.and_then(|()| self.store.swap(&object, &manifest.to_bytes(), version.as_ref()));
        let version = match done {
            Ok(version) => version,
            Err(error) => {
                // Nobody else has names with this number.
                for file in files.iter().filter(|f| f.object.contains(&id)) {
                    let _ = self.store.remove(&self.below(&file.object));
                }
                return Err(error);
            }
        };
        self.seen = Some((manifest, version));
        self.bare.clear();
        // From here on all is written. What is left is for programs that know no manifests.
        if hidden && self.form.plain {
            for file in &files {
                self.store.copy(&self.below(&file.object), &self.below(&file.name))?;
            }
        }
        let objects: BTreeSet<&str> = files.iter().map(|f| f.object.as_str()).collect();
        let wanted = |n: &str| names.iter().any(|name| name == n) || objects.contains(n);
        for entry in listed.iter().filter(|e| !wanted(&e.name) && e.name != manifest::NAME) {
            if before.contains(&entry.name) || is_hidden(&entry.name) {
                self.store.remove(&self.below(&entry.name))?;
            }
        }
        Ok(())
    }

    /// Names of objects that are ours, under names of their own.
    fn before(&self) -> BTreeSet<String> {
        let seen = self.seen.iter().flat_map(|(m, _)| m.files.iter().map(|f| f.name.clone()));
        seen.chain(self.bare.iter().cloned()).collect()
    }

    /// Removes all that is ours, the manifest first: from then on nothing is there for readers.
    ///
    /// # Errors
    /// If the store refuses.
    pub fn remove(self) -> Result<(), Error> {
        let (listed, before) = (self.listed()?, self.before());
        self.store.remove(&self.below(manifest::NAME))?;
        for entry in &listed {
            if before.contains(&entry.name) || is_hidden(&entry.name) {
                self.store.remove(&self.below(&entry.name))?;
            }
        }
        Ok(())
    }
}

/// Whether an object is one that readers with manifests alone see.
fn is_hidden(name: &str) -> bool {
    name.strip_prefix(HIDDEN).is_some_and(|rest| rest.starts_with('/'))
}

/// A number that nobody else has.
fn new_id() -> String {
    // Keys of a table's hashes are random.
    let random = || RandomState::new().hash_one(std::process::id());
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let time = time.map_or(0, |t| t.as_nanos());
    digest::of_bytes(format!("{} {} {time}", random(), random()).as_bytes())[..32].into()
}
