//! The files of rows, by SHA-256: in the board's folder, or in the server's database with copies on
//! this machine.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use budwood_base::{digest, files};
use budwood_database::{Connection, params};

use crate::{Board, Error};

/// Bytes of a file that travel at one time.
const PIECE: usize = 4 << 20;

/// Files that were placed; they are removed again unless they are told to stay.
pub(crate) struct Placed(Vec<PathBuf>);

impl Placed {
    pub(crate) fn stay(mut self) {
        self.0.clear();
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Removes the files of the board's folder that no result has: what a killed program left, and what
/// older ones left of submissions that they refused. How many these were.
///
/// # Errors
/// If the board or its folder cannot be read.
pub fn tidy(board: &mut Board) -> Result<u64, Error> {
    let folder = board.files();
    // Whoever places a file holds the same lock until the file is noted.
    let transaction = board.write()?;
    let io = |source| Error::Io { path: folder.clone(), source };
    let mut removed = 0;
    for entry in std::fs::read_dir(&folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let noted = transaction
            .exists("SELECT 1 FROM files WHERE sha256 = ?1", params![&*name.to_string_lossy()])?;
        // Folders and links are not ours.
        let file = entry.file_type().is_ok_and(|t| t.is_file());
        if file && !noted && std::fs::remove_file(entry.path()).is_ok() {
            removed += 1;
        }
    }
    drop(transaction);
    Ok(removed)
}

/// Keeps files that the table `files` knows: on a server they are part of the transaction, in a
/// folder they go again with what is returned.
pub(crate) fn place(sql: &Connection, folder: &Path, all: [&[u8]; 2]) -> Result<Placed, Error> {
    let mut placed = Placed(Vec::new());
    for bytes in all {
        let hash = digest::of_bytes(bytes);
        if sql.is_server() {
            put(sql, &hash, bytes)?;
            continue;
        }
        let path = folder.join(hash);
        if !path.exists() {
            placed.0.push(path.clone());
            files::write_atomic(&path, bytes).map_err(|source| Error::Io { path, source })?;
        }
    }
    Ok(placed)
}

fn put(sql: &Connection, hash: &str, bytes: &[u8]) -> Result<(), Error> {
    if sql.exists("SELECT 1 FROM file_contents WHERE sha256 = ?1", params![hash])? {
        return Ok(());
    }
    for (part, piece) in bytes.chunks(PIECE).enumerate() {
        let put = "INSERT INTO file_contents (sha256, part, content) VALUES (?1, ?2, ?3)";
        sql.execute(put, params![hash, part as i64, piece])?;
    }
    Ok(())
}

impl Board {
    /// Where a file of a row lies on this machine. What a server holds is fetched once and checked.
    ///
    /// # Errors
    /// If it cannot be fetched, or is not what its name says.
    pub fn file(&self, hash: &str) -> Result<PathBuf, Error> {
        let path = self.files().join(hash);
        if !self.sql().is_server() || path.exists() {
            return Ok(path);
        }
        let io = |source| Error::Io { path: self.files(), source };
        std::fs::create_dir_all(self.files()).map_err(io)?;
        let mut copy = tempfile::NamedTempFile::new_in(self.files()).map_err(io)?;
        let mut part = 0_i64;
        let query = "SELECT content FROM file_contents WHERE sha256 = ?1 AND part = ?2";
        while let Some(piece) =
            self.sql().first(query, params![hash, part], |r| r.get::<Vec<u8>>(0))?
        {
            copy.write_all(&piece).map_err(io)?;
            part += 1;
        }
        let found = digest::of_file(copy.path()).map_err(io)?;
        if found != hash {
            let reason = format!("the file {hash} is not there, or was changed");
            return Err(Error::input(self.place().to_string(), reason));
        }
        copy.persist(&path).map_err(|e| io(e.error))?;
        Ok(path)
    }
}
