//! The adapter of a result: `adapter.safetensors` and `adapter.json`, checked before a byte is
//! kept.
//!
//! An adapter is data: nothing here runs. The checks are those that need no model; loading it on
//! its base, which checks names and shapes, is part of the re-evaluation.

use std::collections::BTreeMap;
use std::path::Path;

use budwood_base::digest;
use budwood_database::{Connection, params};
use serde_json::Value;

use super::record::{self, Submission};
use crate::Error;
use crate::db::now;
use crate::files::{self, Placed};

/// Names of the two files.
const WEIGHTS: &str = "adapter.safetensors";
const META: &str = "adapter.json";

/// How large the files may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The weights.
    pub weights: u64,
    /// The description.
    pub description: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { weights: 256 << 20, description: 1 << 20 }
    }
}

/// An adapter that comes with a result.
#[derive(Clone, Debug)]
pub struct Attachment {
    weights: Vec<u8>,
    description: Vec<u8>,
    meta: Value,
}

impl Attachment {
    /// Reads an adapter's folder. Sizes are looked at first.
    ///
    /// # Errors
    /// If a file is missing, too large, or not what it should be.
    pub fn read(folder: &Path, limits: Limits) -> Result<Self, Error> {
        let file = |name: &str, most: u64| {
            let path = folder.join(name);
            let io = |source| Error::Io { path: path.clone(), source };
            let size = std::fs::metadata(&path).map_err(io)?.len();
            within(name, size, most)?;
            std::fs::read(&path).map_err(io)
        };
        Self::new(file(WEIGHTS, limits.weights)?, file(META, limits.description)?, limits)
    }

    /// From the bytes of the two files.
    ///
    /// # Errors
    /// If one is too large, the weights are not a whole safetensors file of finite numbers, or the
    /// description is not one or speaks of other weights.
    pub fn new(weights: Vec<u8>, description: Vec<u8>, limits: Limits) -> Result<Self, Error> {
        within(WEIGHTS, weights.len() as u64, limits.weights)?;
        within(META, description.len() as u64, limits.description)?;
        check_weights(&weights)?;
        let bad = |reason: String| Error::input(META, reason);
        budwood_base::json::check(&description).map_err(bad)?;
        let meta: Value = serde_json::from_slice(&description).map_err(|e| bad(e.to_string()))?;
        if !meta["budwood_adapter"].is_u64() {
            return Err(bad("is not the description of a Budwood adapter".into()));
        }
        let stated = meta["weights_sha256"].as_str().unwrap_or_default();
        let hash = digest::of_bytes(&weights);
        if stated != hash {
            return Err(bad(format!(
                "describes weights with the hash {}, but that of {WEIGHTS} is {hash}",
                shown(stated)
            )));
        }
        let text = |at: &Value| at.as_str().unwrap_or_default().to_owned();
        record::method("adapter.json: method", &text(&meta["method"]))?;
        record::name("adapter.json: base.name", &text(&meta["base"]["name"]))?;
        let base = text(&meta["base"]["weights_sha256"]);
        if !base.is_empty() && !record::is_hash(&base) {
            return Err(bad("base.weights_sha256 is not a SHA-256".into()));
        }
        let trained = &meta["parameters_trained"];
        if !trained.is_null() && trained.as_u64().is_none_or(|n| n > record::COUNT) {
            return Err(bad("parameters_trained is not a count".into()));
        }
        Ok(Self { weights, description, meta })
    }

    /// SHA-256 of the weights.
    pub fn sha256(&self) -> &str {
        self.meta["weights_sha256"].as_str().unwrap_or_default()
    }

    /// SHA-256 of the base model that it was trained on.
    pub fn base_sha256(&self) -> &str {
        self.meta["base"]["weights_sha256"].as_str().unwrap_or_default()
    }

    /// Whether the record speaks of this adapter and its base.
    pub(super) fn check(&self, submission: &Submission) -> Result<(), Error> {
        let claimed = submission.model.adapter.as_ref().and_then(|a| a.sha256.as_deref());
        let base = submission.model.base.as_ref().and_then(|b| b.sha256.as_deref());
        for (place, says, is) in [
            ("model.adapter.sha256", claimed, self.sha256()),
            ("model.base.sha256", base, self.base_sha256()),
        ] {
            if says.is_some_and(|s| s != is) {
                let says = says.unwrap_or_default();
                return Err(Error::input(
                    place,
                    format!("is {says}, but the adapter's own is {}", shown(is)),
                ));
            }
        }
        Ok(())
    }

    /// Writes the files under their hashes; those that are there are left. To be called in the
    /// transaction that notes them: they are removed again unless they are told to stay.
    pub(super) fn place(&self, sql: &Connection, folder: &Path) -> Result<Placed, Error> {
        files::place(sql, folder, [&self.weights, &self.description])
    }

    /// Notes the files as those of a result.
    pub(super) fn record(
        &self,
        sql: &Connection,
        result: i64,
        submission: &Submission,
    ) -> Result<(), Error> {
        for (name, bytes) in [(WEIGHTS, &self.weights), (META, &self.description)] {
            let hash = digest::of_bytes(bytes);
            sql.execute("INSERT INTO files (sha256, bytes, name, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING", params![hash, bytes.len() as i64, name, now()])?;
            sql.execute(
                "INSERT INTO result_files (result, name, sha256) VALUES (?1, ?2, ?3)
                 ON CONFLICT (result, name) DO UPDATE SET sha256 = excluded.sha256",
                params![result, name, hash],
            )?;
        }
        let base = submission.model.base.as_ref().map_or_else(
            || self.meta["base"]["name"].as_str().unwrap_or_default().to_owned(),
            |b| b.name.clone(),
        );
        sql.execute("UPDATE results SET adapter_sha256 = ?2, adapter_bytes = ?3, base = ?4, base_sha256 = ?5,
               method = coalesce(method, ?6), trained = coalesce(trained, ?7) WHERE id = ?1", params![
                result,
                self.sha256(),
                self.weights.len() as i64,
                base,
                self.base_sha256(),
                self.meta["method"].as_str(),
                self.meta["parameters_trained"].as_i64()
            ])?;
        Ok(())
    }
}

fn shown(text: &str) -> String {
    if text.is_empty() { "not given".into() } else { text.chars().take(64).collect() }
}

fn within(name: &str, size: u64, most: u64) -> Result<(), Error> {
    if size <= most {
        return Ok(());
    }
    Err(Error::input(name, format!("has {size} bytes; at most {most} are taken")))
}

/// Whether these bytes are a whole safetensors file of finite numbers, and nothing else.
fn check_weights(bytes: &[u8]) -> Result<(), Error> {
    let bad = |reason: String| Error::input(WEIGHTS, reason);
    let starts_otherwise = "is not a safetensors file; pickled and other files are not taken";
    let head: [u8; 8] = bytes
        .get(..8)
        .and_then(|h| h.try_into().ok())
        .ok_or_else(|| bad(starts_otherwise.into()))?;
    let length = usize::try_from(u64::from_le_bytes(head)).unwrap_or(usize::MAX);
    let end = length
        .checked_add(8)
        .filter(|&e| e <= bytes.len())
        .ok_or_else(|| bad(starts_otherwise.into()))?;
    budwood_base::json::check(&bytes[8..end]).map_err(bad)?;
    let header: BTreeMap<String, Value> =
        serde_json::from_slice(&bytes[8..end]).map_err(|_| bad(starts_otherwise.into()))?;
    let data = &bytes[end..];
    let mut spans = Vec::new();
    for (name, tensor) in header.iter().filter(|(n, _)| *n != "__metadata__") {
        let (from, to) = check_tensor(tensor, data)
            .map_err(|reason| bad(format!("tensor '{name}' {reason}")))?;
        spans.push((from, to));
    }
    spans.sort_unstable();
    let mut at = 0;
    for (from, to) in spans {
        if from != at {
            return Err(bad("has tensors that overlap or leave gaps".into()));
        }
        at = to;
    }
    if at == 0 || at != data.len() {
        return Err(bad("has no tensors, or bytes that belong to none".into()));
    }
    Ok(())
}

/// Begin and end of a tensor in the data.
fn check_tensor(tensor: &Value, data: &[u8]) -> Result<(usize, usize), String> {
    let width = match tensor["dtype"].as_str() {
        Some("F32") => 4,
        Some("F16" | "BF16") => 2,
        other => {
            return Err(format!(
                "is of type {}; F32, F16 and BF16 are taken",
                other.unwrap_or("unknown")
            ));
        }
    };
    let number = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    let shape = tensor["shape"].as_array().ok_or("has no shape")?;
    let elements = shape.iter().try_fold(width, |n: usize, d| number(d)?.checked_mul(n));
    let offsets = &tensor["data_offsets"];
    let span =
        number(&offsets[0]).zip(number(&offsets[1])).filter(|(a, b)| a <= b && *b <= data.len());
    let (from, to) = span.ok_or("lies outside the file")?;
    if elements != Some(to - from) {
        return Err("has another size than its shape".into());
    }
    let exponent_full = |bytes: &[u8]| match tensor["dtype"].as_str() {
        Some("F32") => bytes[3] & 0x7f == 0x7f && bytes[2] & 0x80 == 0x80,
        Some("BF16") => bytes[1] & 0x7f == 0x7f && bytes[0] & 0x80 == 0x80,
        _ => bytes[1] & 0x7c == 0x7c,
    };
    if data[from..to].chunks_exact(width).any(exponent_full) {
        return Err("holds infinite numbers or NaN".into());
    }
    Ok((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(header: &Value, data: &[u8]) -> Vec<u8> {
        let header = header.to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn files_go_again_unless_they_are_told_to_stay() {
        let folder = tempfile::tempdir().unwrap();
        let board = crate::Board::open(folder.path()).unwrap();
        let files = board.files();
        let count = || std::fs::read_dir(&files).unwrap().count();
        let header = json!({ "a": { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] } });
        let weights = file(&header, &[0; 4]);
        let meta = json!({ "budwood_adapter": 1, "weights_sha256": digest::of_bytes(&weights) });
        let meta = meta.to_string().into_bytes();
        let attachment = Attachment::new(weights, meta, Limits::default()).unwrap();
        let placed = attachment.place(board.sql(), &files).unwrap();
        assert_eq!(count(), 2);
        drop(placed);
        assert_eq!(count(), 0);
        attachment.place(board.sql(), &files).unwrap().stay();
        // Those of another are left alone.
        drop(attachment.place(board.sql(), &files).unwrap());
        assert_eq!(count(), 2);
    }

    #[test]
    fn hostile_weights_can_only_fail() {
        let tensor = |dtype: &str, shape: Value, from: u64, to: u64| json!({ "a": { "dtype": dtype, "shape": shape, "data_offsets": [from, to] } });
        let one = 1f32.to_le_bytes();
        assert!(check_weights(&file(&tensor("F32", json!([1]), 0, 4), &one)).is_ok());
        let cases = [
            (b"\x80\x04\x95pickle".to_vec(), "pickled"),
            (Vec::new(), "not a safetensors"),
            (u64::MAX.to_le_bytes().to_vec(), "not a safetensors"),
            (file(&tensor("F32", json!([2]), 0, 4), &one), "another size"),
            (file(&tensor("F32", json!([1]), 0, 8), &one), "outside"),
            (file(&tensor("F32", json!([u64::MAX, u64::MAX]), 0, 4), &one), "another size"),
            (file(&tensor("I64", json!([1]), 0, 4), &one), "type I64"),
            (file(&tensor("F32", json!([1]), 0, 4), &f32::NAN.to_le_bytes()), "NaN"),
            (file(&tensor("F32", json!([1]), 0, 4), &f32::INFINITY.to_le_bytes()), "infinite"),
            (file(&tensor("F16", json!([1]), 0, 2), &[0, 0x7c]), "infinite"),
            (file(&tensor("F32", json!([1]), 0, 4), &[one, one].concat()), "belong to none"),
            (file(&json!({}), &[]), "no tensors"),
        ];
        for (bytes, reason) in cases {
            let error = check_weights(&bytes).unwrap_err().to_string();
            assert!(error.contains(reason), "{error} has not '{reason}'");
        }
    }
}
