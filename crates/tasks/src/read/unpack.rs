//! The bytes of a file, unpacked. What it is packed with is known by its first bytes, whatever its
//! name says.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use budwood_base::files::{check_plain, foreign};

use crate::Error;

/// Endings of packed files, which stand after that of the form.
const PACKED: &[&str] = &["gz", "bz2", "zst", "zstd", "xz"];

/// The ending of a file's name in small letters, without that of its packing.
pub(super) fn ending(path: &Path) -> String {
    let of =
        |path: &Path| path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    match of(path) {
        packed if PACKED.contains(&packed.as_str()) => {
            path.file_stem().map(|stem| of(Path::new(stem))).unwrap_or_default()
        }
        ending => ending,
    }
}

/// The content of a file.
pub(crate) struct Unpacked {
    pub(crate) bytes: Vec<u8>,
    /// What it was packed with.
    pub(crate) packed: Option<&'static str>,
    /// The most that it may become by being read: for forms that pack by themselves.
    pub(crate) limit: u64,
}

/// A packed file may become so much, however small it is.
const ALWAYS: u64 = 32_000_000;
/// And so many times its size.
const TIMES: u64 = 20;

const PICKLE: &str = "is a pickle of Python, which is never run; write it as CSV or Parquet";

/// First bytes of files that hold no table, and what to do about them.
const OTHERS: &[(&[u8], &str)] = &[
    (b"PK\x03\x04", "is a zip archive, as .xlsx is too; unpack it, or save the sheet as CSV"),
    (b"PK\x05\x06", "is an empty zip archive"),
    (b"\xd0\xcf\x11\xe0", "is a file of an old Excel or Word; save the sheet as CSV"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it"),
    (b"Rar!", "is a RAR archive; unpack it"),
    (b"%PDF", "is a PDF"),
    (b"\x89PNG", "is an image; images are named in a table or stand in folders"),
    (b"\xff\xd8\xff", "is an image; images are named in a table or stand in folders"),
    (b"ARROW1", "is an Arrow file; write it as Parquet"),
    (b"\x93NUMPY", "is a NumPy array; write it as CSV"),
    (b"SQLite format 3\0", "is an SQLite database; export the table as CSV"),
    (b"Obj\x01", "is an Avro file; write it as Parquet"),
    (b"ORC", "is an ORC file; write it as Parquet"),
    (b"FEA1", "is a Feather file; write it as Parquet"),
    (b"\x89HDF", "is an HDF5 file; write it as CSV or Parquet"),
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    (b"<?xml", "is XML; write it as CSV or JSON"),
    (b"{\\rtf", "is a file of a word processor; save it as plain text"),
];

/// Reads and unpacks a file.
///
/// # Errors
/// If it cannot be read, holds no table, or becomes larger than `max`.
pub(crate) fn unpacked(path: &Path, max: Option<u64>) -> Result<Unpacked, Error> {
    // A file as it is has no limit, and is read from its beginning twice.
    check_plain(path, u64::MAX).map_err(Error::io(path))?;
    let mut file = File::open(path).map_err(Error::io(path))?;
    let size = file.metadata().map_err(Error::io(path))?.len();
    let mut head = Vec::with_capacity(512);
    (&mut file).take(512).read_to_end(&mut head).map_err(Error::io(path))?;
    if let Some(what) = foreign(&head) {
        return Err(Error::file(path, what));
    }
    if let Some((_, what)) = OTHERS.iter().find(|(start, _)| head.starts_with(start)) {
        return Err(Error::file(path, *what));
    }
    file.seek(SeekFrom::Start(0)).map_err(Error::io(path))?;
    let limit = max.unwrap_or_else(|| ALWAYS.max(size.saturating_mul(TIMES)));
    let mut out = Limited { bytes: Vec::new(), room: limit };
    let file = BufReader::with_capacity(1 << 16, file);
    let (packed, done) = match &head[..] {
        [0x1f, 0x8b, ..] => ("gzip", out.fill(flate2::bufread::MultiGzDecoder::new(file))),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, ..] => {
            ("bzip2", out.fill(bzip2::bufread::MultiBzDecoder::new(file)))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            ("zstd", zstd::stream::read::Decoder::with_buffer(file).and_then(|d| out.fill(d)))
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("xz", xz(file, &mut out)),
        _ => {
            // A file as it is has no limit: it is in the reader's hands.
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            let mut file = file;
            file.read_to_end(&mut bytes).map_err(Error::io(path))?;
            return Ok(Unpacked { bytes, packed: None, limit });
        }
    };
    match done {
        Ok(()) => {}
        Err(_) if out.room == 0 => {
            let message = format!(
                "of {} becomes more than {} when it is unpacked ({packed}); \
                 if that is right, say --max-unpacked with a number of MB",
                shown(size),
                shown(limit)
            );
            return Err(Error::file(path, message));
        }
        Err(e) => return Err(Error::file(path, format!("is damaged ({packed}): {e}"))),
    }
    let is = |at: usize, mark: &[u8]| out.bytes.get(at..).is_some_and(|b| b.starts_with(mark));
    if is(257, b"ustar") {
        return Err(Error::file(path, "is a tar archive; unpack it"));
    }
    Ok(Unpacked { bytes: out.bytes, packed: Some(packed), limit })
}

/// A size as people write it.
fn shown(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn xz(mut file: impl io::BufRead, out: &mut Limited) -> io::Result<()> {
    lzma_rs::xz_decompress(&mut file, out).map_err(|e| match e {
        lzma_rs::error::Error::IoError(e) => e,
        other => io::Error::other(format!("{other:?}")),
    })
}

/// Bytes up to a limit.
struct Limited {
    bytes: Vec<u8>,
    room: u64,
}

impl Limited {
    fn fill(&mut self, mut from: impl Read) -> io::Result<()> {
        io::copy(&mut from, self).map(|_| ())
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.room = self.room.saturating_sub(bytes.len() as u64);
        if self.room == 0 {
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
