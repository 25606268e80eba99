//! Files that are sent piece by piece, so that a download takes as much memory as one piece,
//! whoever reads it and how slowly.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::channel::Channel;
use sha2::{Digest, Sha256};

/// Bytes in a piece.
const PIECE: u64 = 16 << 10;

/// An open file with what is known of its content.
pub(crate) struct Piecewise {
    file: File,
    bytes: u64,
    /// SHA-256 of the bytes, in hexadecimal digits.
    pub(crate) sha256: String,
    /// Whether the bytes are packed with gzip.
    pub(crate) packed: bool,
}

impl Piecewise {
    /// A file that is there, with its known hash.
    pub(crate) fn open(path: &Path, sha256: &str) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes, sha256: sha256.to_owned(), packed: false })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The content as a response's body; `held` is dropped when it was sent or given up.
    pub(crate) fn body(self, held: impl Send + 'static) -> Body {
        let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
        tokio::spawn(async move {
            let _held = held;
            let (mut file, mut left) = (self.file, self.bytes);
            while left > 0 {
                let next = move || {
                    let mut piece = vec![0; PIECE.min(left) as usize];
                    file.read_exact(&mut piece)?;
                    Ok((file, piece))
                };
                let piece;
                (file, piece) = match tokio::task::spawn_blocking(next).await {
                    Ok(Ok(read)) => read,
                    Ok(Err(e)) => return sender.abort(e),
                    Err(e) => return sender.abort(io::Error::other(e)),
                };
                left -= piece.len() as u64;
                if sender.send_data(piece.into()).await.is_err() {
                    return;
                }
            }
        });
        Body::new(body)
    }
}

/// A file without a name, which is written whole and then sent. It is gone when it was sent, and
/// when the process ends.
pub(crate) struct Draft {
    out: Packing,
}

enum Packing {
    Plain(Hashed),
    Gzip(Box<GzEncoder<Hashed>>),
}

/// What one draft may take at most: bytes on the disk, and time to write it.
#[derive(Clone, Copy)]
pub(crate) struct DraftLimits {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

struct Hashed {
    out: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    most: u64,
    end: Instant,
}

impl Draft {
    /// A draft on the disk of `folder`.
    pub(crate) fn new(folder: &Path, packed: bool, limits: DraftLimits) -> io::Result<Self> {
        let out = Hashed {
            out: BufWriter::with_capacity(64 << 10, tempfile::tempfile_in(folder)?),
            hash: Sha256::new(),
            bytes: 0,
            most: limits.bytes,
            end: Instant::now() + limits.time,
        };
        let packing = |out| Packing::Gzip(Box::new(GzEncoder::new(out, Compression::fast())));
        Ok(Self { out: if packed { packing(out) } else { Packing::Plain(out) } })
    }

    /// The whole file, to be sent.
    pub(crate) fn done(self) -> io::Result<Piecewise> {
        let (hashed, packed) = match self.out {
            Packing::Plain(out) => (out, false),
            Packing::Gzip(out) => (out.finish()?, true),
        };
        let mut file = hashed.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        let sha256 = format!("{:x}", hashed.hash.finalize());
        Ok(Piecewise { file, bytes: hashed.bytes, sha256, packed })
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.out {
            Packing::Plain(out) => out.write(bytes),
            Packing::Gzip(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes + bytes.len() as u64 > self.most {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large"));
        }
        if Instant::now() > self.end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let n = self.out.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DraftLimits = DraftLimits { bytes: 1 << 20, time: Duration::from_secs(60) };

    async fn sent(file: Piecewise) -> Vec<u8> {
        axum::body::to_bytes(file.body(()), usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_draft_is_sent_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let text: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        for packed in [false, true] {
            let mut draft = Draft::new(folder.path(), packed, LIMITS).unwrap();
            draft.write_all(&text).unwrap();
            let file = draft.done().unwrap();
            let (bytes, hash) = (file.bytes(), file.sha256.clone());
            let mut sent = sent(file).await;
            assert_eq!((sent.len() as u64, crate::reply::hash(&sent)), (bytes, hash));
            if packed {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(&sent[..]).read_to_end(&mut plain).unwrap();
                sent = plain;
            }
            assert!(sent == text, "packed: {packed}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn a_draft_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut draft = Draft::new(folder.path(), false, LIMITS).unwrap();
        assert!((0..17).try_for_each(|_| draft.write_all(&[0; 64 << 10])).is_err());
        let late = DraftLimits { time: Duration::ZERO, ..LIMITS };
        let mut draft = Draft::new(folder.path(), false, late).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        assert!(draft.write_all(b"x").is_err());
    }
}
