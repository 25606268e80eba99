//! Files sent to a repository of the hub, through its interface: the repository is made if it is
//! not there, large files go to its store, and one commit makes all of them appear together.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::address::is_web_address;
use crate::client::{Ask, Client, Failure, Outgoing, Sent, body};
use crate::hash::Hasher;
use crate::name::is_commit;
use crate::{Error, Hub, ModelName, Progress};

/// The largest answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 16 << 20;
/// The largest file that the store takes in one piece, in bytes.
const FILE_LIMIT: u64 = 5_000_000_000;
/// The largest file that goes into a commit itself, in bytes.
const REGULAR_LIMIT: u64 = 10 << 20;
/// Bytes of a file by which the hub decides where it goes.
const SAMPLE: u64 = 512;
const JSON: &str = "application/json";
const LFS: &str = "application/vnd.git-lfs+json";

/// A file to send.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its name in the repository, with `/`.
    pub path: String,
    /// Where it lies.
    pub file: PathBuf,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The address of the repository's page.
    pub address: String,
    /// The commit that holds the files.
    pub commit: String,
    /// Whether the repository was made.
    pub created: bool,
}

/// A file with what the hub asks of it.
struct Outbound<'a> {
    upload: &'a Upload,
    size: u64,
    sha256: String,
    /// Git's name of it.
    sha1: String,
    is_large: bool,
}

/// One line of a commit.
fn line(key: &str, value: Value) -> String {
    json!({ "key": key, "value": value }).to_string() + "\n"
}

impl Hub {
    /// Sends files to the main branch of a model's repository, which is made if it is not there.
    /// They appear all together, or not at all. `report` is told of large files as they are sent.
    ///
    /// # Errors
    /// If the network may not be used, there is no token, the hub refuses or cannot be reached, or
    /// `private` is asked for a repository that is public.
    pub fn push(
        &self,
        name: &ModelName,
        private: bool,
        message: &str,
        files: &[Upload],
        report: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Pushed, Error> {
        let push = Push { client: self.client(), name };
        let settings = &push.client.settings;
        if settings.offline {
            return Err(Error::Usage("HF_HUB_OFFLINE is set: nothing can be sent".into()));
        }
        if settings.token.is_none() {
            let message = "the hub asks who sends: set HF_TOKEN to a token that may write, or put \
                           it into the file token in HF_HOME";
            return Err(Error::Usage(message.into()));
        }
        if name.revision() != "main" || !name.repository().contains('/') {
            let message = format!("{name} is not a place to send to: give OWNER/NAME");
            return Err(Error::Usage(message));
        }
        let mut outbound = files.iter().map(Outbound::of).collect::<Result<Vec<_>, _>>()?;
        let created = push.make(private)?;
        push.sort(&mut outbound)?;
        let large: Vec<&Outbound<'_>> = outbound.iter().filter(|file| file.is_large).collect();
        if !large.is_empty() {
            push.store(&large, report)?;
        }
        let commit = push.commit(message, &outbound)?;
        push.check(&commit, &outbound)?;
        let address = format!("{}/{}", settings.endpoint, name.repository());
        Ok(Pushed { address, commit, created })
    }
}

impl<'a> Outbound<'a> {
    fn of(upload: &'a Upload) -> Result<Self, Error> {
        let path = &upload.file;
        let mut file = File::open(path).map_err(Error::file(path))?;
        let size = file.metadata().map_err(Error::file(path))?.len();
        if size > FILE_LIMIT {
            let (name, limit) = (&upload.path, FILE_LIMIT);
            let message = format!("{name} has {size} bytes; files of at most {limit} are sent");
            return Err(Error::Usage(message));
        }
        let mut hashers = [Hasher::sha256(), Hasher::git(size)];
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = file.read(&mut buffer).map_err(Error::file(path))?;
            if n == 0 {
                break;
            }
            hashers.iter_mut().for_each(|hasher| hasher.update(&buffer[..n]));
        }
        let [sha256, sha1] = hashers.map(|hasher| hasher.finish());
        Ok(Self { upload, size, sha256, sha1, is_large: false })
    }

    /// The first bytes.
    fn read(&self, limit: u64) -> Result<Vec<u8>, Error> {
        let path = &self.upload.file;
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(Error::file(path))?;
        file.take(limit).read_to_end(&mut bytes).map_err(Error::file(path))?;
        Ok(bytes)
    }
}

/// Files on their way to a repository.
struct Push<'a> {
    client: &'a Client,
    name: &'a ModelName,
}

impl Push<'_> {
    fn api(&self, rest: &str) -> String {
        format!("{}/api/models/{}{rest}", self.client.settings.endpoint, self.name.repository())
    }

    /// Sends a body until there is an answer, and reads that.
    fn post(&self, address: &str, kind: &str, bytes: &[u8], what: &str) -> Result<Value, Error> {
        let headers = ["content-type", "accept"].map(|name| (name.into(), kind.into()));
        let headers = if kind == LFS { &headers[..] } else { &headers[..1] };
        let sent = Sent { address, headers, body: Outgoing::Bytes(bytes) };
        let answer =
            self.patiently(what, || body(self.client.write(&sent, what)?, what, ANSWER_LIMIT))?;
        serde_json::from_slice(&answer).map_err(|_| Error::answer(what, "it is not JSON"))
    }

    fn patiently<T>(
        &self,
        what: &str,
        attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, Error> {
        self.client.patiently(what, attempt).map_err(|error| match error {
            Error::Network { what, host, why } => Error::Unsent { what, host, why },
            other => other,
        })
    }

    /// Makes the repository, unless it is there.
    fn make(&self, private: bool) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Known {
            #[serde(default)]
            private: bool,
        }
        let what = format!("the repository '{}'", self.name);
        let known = self.patiently(&what, || {
            body(self.client.send(Ask::Get(0), &self.api(""), &what)?, &what, ANSWER_LIMIT)
        });
        match known {
            Ok(answer) => {
                let known: Known = serde_json::from_slice(&answer)
                    .map_err(|_| Error::answer(&what, "it is not a description in JSON"))?;
                if private && !known.private {
                    let message = format!(
                        "'{}' is there already and public: leave --private out, make it private on \
                         its page, or give another name",
                        self.name
                    );
                    return Err(Error::Usage(message));
                }
                return Ok(false);
            }
            // A repository that the token may not see is answered like none.
            Err(Error::Missing(_) | Error::Denied { .. }) => {}
            Err(other) => return Err(other),
        }
        let (owner, name) = self.name.repository().split_once('/').unwrap_or_default();
        let mut asked = json!({ "type": "model", "name": name, "organization": owner });
        // Where nothing is said, an organisation's own default holds.
        if private {
            asked["private"] = json!(true);
        }
        let address = format!("{}/api/repos/create", self.client.settings.endpoint);
        match self.post(&address, JSON, asked.to_string().as_bytes(), &what) {
            Ok(_) => Ok(true),
            // Somebody made it in between; whether we may write there is said by what follows.
            Err(Error::Refused { status: 409, .. }) if !private => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Asks which files are large.
    fn sort(&self, files: &mut [Outbound<'_>]) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Sorted {
            files: Vec<One>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct One {
            path: String,
            upload_mode: String,
        }
        let what = format!("the files of '{}'", self.name);
        let mut described = Vec::new();
        for file in &*files {
            let sample = BASE64_STANDARD.encode(file.read(SAMPLE)?);
            described.push(json!({
                "path": file.upload.path, "size": file.size, "sample": sample,
            }));
        }
        let asked = json!({ "files": described }).to_string();
        let answer = self.post(&self.api("/preupload/main"), JSON, asked.as_bytes(), &what)?;
        let sorted: Sorted = serde_json::from_value(answer)
            .map_err(|_| Error::answer(&what, "it does not say how files are sent"))?;
        let modes: BTreeMap<String, String> =
            sorted.files.into_iter().map(|one| (one.path, one.upload_mode)).collect();
        for file in files {
            let path = &file.upload.path;
            file.is_large = match modes.get(path).map(String::as_str) {
                Some("lfs") => true,
                Some("regular") if file.size <= REGULAR_LIMIT => false,
                Some(other) => {
                    let why = format!("{path} of {} bytes is to be sent as {other}", file.size);
                    return Err(Error::answer(&what, why));
                }
                None => return Err(Error::answer(&what, format!("it says nothing of {path}"))),
            };
        }
        Ok(())
    }

    /// Sends large files to the store.
    fn store(
        &self,
        files: &[&Outbound<'_>],
        report: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Error> {
        let what = format!("the large files of '{}'", self.name);
        let objects: Vec<Value> =
            files.iter().map(|f| json!({ "oid": f.sha256, "size": f.size })).collect();
        let asked = json!({
            "operation": "upload",
            "transfers": ["basic"],
            "objects": objects,
            "hash_algo": "sha256",
            "ref": { "name": "main" },
        });
        let endpoint = &self.client.settings.endpoint;
        let batch = format!("{endpoint}/{}.git/info/lfs/objects/batch", self.name.repository());
        let answer = self.post(&batch, LFS, asked.to_string().as_bytes(), &what)?;
        let batch: Batch = serde_json::from_value(answer)
            .map_err(|_| Error::answer(&what, "it does not say where files go"))?;
        for file in files {
            let path = &file.upload.path;
            let object = batch.objects.iter().find(|object| object.oid == file.sha256);
            let Some(object) = object else {
                return Err(Error::answer(&what, format!("it says nothing of {path}")));
            };
            if let Some(fault) = &object.error {
                let why = format!(". It says: {}", fault.message);
                return Err(Error::Refused { what: path.clone(), status: fault.code, why });
            }
            // What is in the store already is not sent again.
            let Some(upload) = object.actions.get("upload") else { continue };
            report(Progress { file: path, done: 0, size: file.size });
            self.put(file, upload)?;
            report(Progress { file: path, done: file.size, size: file.size });
            if let Some(verify) = object.actions.get("verify") {
                let known = json!({ "oid": file.sha256, "size": file.size }).to_string();
                self.act(path, verify, LFS, Outgoing::Bytes(known.as_bytes()))?;
            }
        }
        Ok(())
    }

    fn put(&self, file: &Outbound<'_>, action: &Action) -> Result<(), Error> {
        let (path, size) = (&file.upload.file, file.size);
        self.act(&file.upload.path, action, "application/octet-stream", Outgoing::File(path, size))
    }

    fn act(
        &self,
        what: &str,
        action: &Action,
        kind: &str,
        outgoing: Outgoing<'_>,
    ) -> Result<(), Error> {
        if !is_web_address(&action.href) {
            return Err(Error::answer(what, "it leads to something that is not an address"));
        }
        if action.header.contains_key("chunk_size") {
            return Err(Error::answer(what, "it asks for pieces, which was not offered"));
        }
        let mut headers: Vec<_> = action.header.clone().into_iter().collect();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("content-type".into(), kind.into()));
        }
        let sent = Sent { address: &action.href, headers: &headers, body: outgoing };
        self.patiently(what, || self.client.write(&sent, what).map(|_| ()))
    }

    /// Makes the commit, and returns its name.
    fn commit(&self, message: &str, files: &[Outbound<'_>]) -> Result<String, Error> {
        let what = format!("the commit to '{}'", self.name);
        let mut lines = line("header", json!({ "summary": message, "description": "" }));
        for file in files {
            let path = &file.upload.path;
            lines += &match file.is_large {
                true => line(
                    "lfsFile",
                    json!({
                        "path": path, "algo": "sha256", "oid": file.sha256, "size": file.size,
                    }),
                ),
                false => {
                    let content = BASE64_STANDARD.encode(file.read(REGULAR_LIMIT)?);
                    line("file", json!({ "path": path, "content": content, "encoding": "base64" }))
                }
            };
        }
        let address = self.api("/commit/main");
        let answer = self.post(&address, "application/x-ndjson", lines.as_bytes(), &what)?;
        let commit = answer["commitOid"].as_str().filter(|commit| is_commit(commit));
        // What it took is kept there, whatever it answers.
        let missing = || Error::Mismatch {
            what: what.clone(),
            why: "the hub's answer does not name it; the repository's page shows whether it is \
                  there"
                .into(),
        };
        commit.map(String::from).ok_or_else(missing)
    }

    /// Checks that the commit holds what was sent.
    fn check(&self, commit: &str, files: &[Outbound<'_>]) -> Result<(), Error> {
        let what = format!("the commit {commit} of '{}'", self.name);
        let address = self.api(&format!("/revision/{commit}?blobs=true"));
        let answer = self.patiently(&what, || {
            body(self.client.send(Ask::Get(0), &address, &what)?, &what, ANSWER_LIMIT)
        })?;
        let held: Held = serde_json::from_slice(&answer)
            .map_err(|_| Error::answer(&what, "it is not a description in JSON"))?;
        for file in files {
            let path = &file.upload.path;
            let sibling = held.siblings.iter().find(|sibling| sibling.rfilename == *path);
            let same = sibling.is_some_and(|sibling| match &sibling.lfs {
                Some(lfs) => lfs.sha256 == file.sha256,
                None => sibling.blob_id.as_deref() == Some(&file.sha1),
            });
            if !same {
                let why = format!(
                    "the repository does not hold {path} as it was sent; send it again, and look \
                     at its page"
                );
                return Err(Error::Mismatch { what, why });
            }
        }
        Ok(())
    }
}

/// Where large files go.
#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    #[serde(default)]
    actions: BTreeMap<String, Action>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Fault {
    code: u16,
    message: String,
}

/// What a commit holds.
#[derive(Deserialize)]
struct Held {
    #[serde(default)]
    siblings: Vec<HeldFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeldFile {
    rfilename: String,
    blob_id: Option<String>,
    lfs: Option<HeldLarge>,
}

#[derive(Deserialize)]
struct HeldLarge {
    sha256: String,
}
