//! Where labelled images come from: folders by class, lists of paths, IDX files, tables of grey
//! levels, and columns of tables.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Image, ImageContent};
use crate::read::{Form, ReadOptions, Table, text, unpacked};
use crate::{Cell, Columns, Error, Split, read};

/// How images are found and opened.
#[derive(Clone, Debug, Default)]
pub struct ImageOptions {
    /// The folder that paths in lists and tables begin at; by default that of the list or table.
    pub root: Option<PathBuf>,
    /// Whether images that cannot be read are left out and listed, instead of ending the work.
    pub skip_bad: bool,
    /// Threads to open images with; 0 for all processors.
    pub threads: usize,
}

/// Images with their labels: a table of names and labels, and where the bytes are.
pub(crate) struct ImageTable {
    /// Columns `image` and `label`.
    pub(crate) table: Table,
    /// For each row where its image is.
    pub(crate) contents: Vec<ImageContent>,
    /// What was left out.
    pub(crate) skipped: Vec<String>,
}

/// A way to keep images with their labels that is not a table.
pub(crate) struct ImageLayout {
    /// Its name on the command line; folders of images need none.
    pub(crate) name: &'static str,
    /// Whether there are files of that split, among several splits.
    pub(crate) has: fn(&Path, Split) -> bool,
    /// Reads a split.
    pub(crate) read: fn(&Path, Split, &ImageOptions) -> Result<ImageTable, Error>,
}

/// A folder for each class, under folders `train`, `val` and `test` or not.
pub(crate) const FOLDER: ImageLayout =
    ImageLayout { name: "folder", has: |path, split| part(path, split).is_some(), read: folder };

/// All layouts of images.
pub(crate) const IMAGE_LAYOUTS: &[ImageLayout] = &[
    FOLDER,
    ImageLayout { name: "idx", has: |path, split| idx_files(path, split).is_some(), read: idx },
    ImageLayout { name: "list", has: |_, _| false, read: list },
    ImageLayout { name: "pixels", has: |_, _| false, read: pixels },
];

impl ImageTable {
    fn new(path: &Path) -> Self {
        let form = Form { name: "images", places: "row", ..Form::default() };
        let table = Table::new(path, form, &["image", "label"]);
        Self { table, contents: Vec::new(), skipped: Vec::new() }
    }

    /// The columns of its table.
    pub(crate) fn columns() -> Columns {
        Columns { texts: Vec::new(), labels: vec![1], image: Some(0) }
    }

    /// The images of a column of a table of another kind.
    pub(crate) fn of_table(
        table: Table,
        image: usize,
        label: Option<usize>,
        options: &ImageOptions,
    ) -> Self {
        let root = options.root.as_deref().or(table.path.parent()).unwrap_or(Path::new(""));
        let mut all = Self::new(&table.path);
        for row in 0..table.len() {
            let cell = table.cell(row, image);
            let content = content_of_cell(cell, root);
            let place = table.places[row] as usize;
            let name = match &content {
                ImageContent::File(path) if path == root => String::new(),
                ImageContent::File(path) => match cell {
                    Cell::Text(text) => text.clone(),
                    _ => shown(path),
                },
                _ => format!("{}, row {place}", table.path.display()),
            };
            let label = label.map(|l| table.cell(row, l).clone()).unwrap_or_default();
            all.push_cell(place, name, label, content);
        }
        let Table { columns, form, notes, headers, .. } = table;
        all.table.columns[1].names = label.and_then(|l| columns.into_iter().nth(l)?.names);
        (all.table.form, all.table.notes, all.table.headers) = (form, notes, headers);
        all
    }

    fn push(&mut self, row: usize, name: String, label: String, content: ImageContent) {
        self.push_cell(row, name, label.into(), content);
    }

    fn push_cell(&mut self, row: usize, name: String, label: Cell, content: ImageContent) {
        self.table.push(row, [name.into(), label]);
        self.contents.push(content);
    }

    fn whole(self) -> Result<Self, Error> {
        if self.contents.is_empty() {
            return Err(Error::file(&self.table.path, "holds no image"));
        }
        Ok(self)
    }
}

/// Opens the images of a table's rows on several threads: for each row an image, or what is wrong
/// with it.
pub(crate) fn open_all(
    table: &Table,
    contents: Vec<ImageContent>,
    threads: usize,
) -> Vec<Result<Image, Error>> {
    const PIECE: usize = 32;
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if threads == 0 { all() } else { threads };
    let names: Vec<_> = table.columns[0].cells.iter().map(Cell::text).collect();
    let named: Vec<(&str, ImageContent)> = names.iter().map(AsRef::as_ref).zip(contents).collect();
    let pieces: Vec<_> = named.chunks(PIECE).collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(pieces.len()));
    let work = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(i) else { return };
            let open = |(name, content): &(&str, ImageContent)| Image::open(*name, content.clone());
            let opened: Vec<_> = piece.iter().map(open).collect();
            done.lock().unwrap_or_else(PoisonError::into_inner).push((i, opened));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(pieces.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().flat_map(|(_, opened)| opened).collect()
}

/// Bytes of the longest path that systems take.
const PATH_MAX: usize = 4096;

/// The image that a cell of a table stands for: bytes, a path, both as data-set hubs keep them, or
/// bytes in base64 with or without `data:...;base64,`.
fn content_of_cell(cell: &Cell, root: &Path) -> ImageContent {
    let text = match cell {
        Cell::Bytes(bytes) => return ImageContent::Bytes(bytes.as_slice().into()),
        Cell::Dict(_) => {
            let of = |name: &str| cell.entry(name).filter(|c| !c.is_empty());
            return match of("bytes").or_else(|| of("path")) {
                Some(inner) => content_of_cell(inner, root),
                None => ImageContent::File(root.into()),
            };
        }
        other => other.text(),
    };
    // No path is that long, and few texts that are not base64 decode.
    let coded = text.len() >= 256 || text.starts_with("data:");
    let bytes = coded.then(|| ImageContent::bytes_of_base64(&text)).flatten();
    match bytes {
        Some(bytes) => ImageContent::Bytes(bytes.into()),
        // No file has such a name, and no message should repeat it.
        None if text.len() > PATH_MAX => ImageContent::Bytes(text.as_bytes().into()),
        None => ImageContent::File(root.join(&*text)),
    }
}

/// The folder of a split, where a folder has one for each.
fn part(path: &Path, split: Split) -> Option<PathBuf> {
    let names: &[&str] = match split {
        Split::Train => &["train", "training"],
        Split::Dev => &["val", "valid", "validation", "dev"],
        Split::Test => &["test", "testing"],
    };
    let has = |names: &[&str]| names.iter().map(|n| path.join(n)).find(|p| p.is_dir());
    has(&["train", "training"]).and(has(names))
}

fn folder(path: &Path, split: Split, options: &ImageOptions) -> Result<ImageTable, Error> {
    let parted = part(path, Split::Train).is_some();
    let root = match part(path, split) {
        Some(root) => root,
        None if parted => {
            let message = format!("has no folder for the {} split", split.name());
            return Err(Error::file(path, message));
        }
        None => path.into(),
    };
    let mut all = ImageTable::new(&root);
    let (classes, loose) = entries(&root)?;
    if classes.is_empty() {
        // Images without classes can be answered, though not learned from.
        for file in loose {
            all.push(all.contents.len() + 1, shown(&file), String::new(), ImageContent::File(file));
        }
        return all.whole();
    }
    for class in classes {
        let before = all.contents.len();
        let Some(label) = class.file_name().and_then(|name| name.to_str()) else {
            let message = "the name of a class is not UTF-8; give the folder another one";
            return Err(Error::file(&class, message));
        };
        let (mut folders, mut seen) = (vec![class.clone()], HashSet::new());
        while let Some(folder) = folders.pop() {
            if !seen.insert(fs::canonicalize(&folder).map_err(Error::io(&folder))?) {
                let message = "is a link to a folder that this class has already; remove it";
                return Err(Error::file(&folder, message));
            }
            let (inner, files) = entries(&folder)?;
            folders.extend(inner.into_iter().rev());
            for file in files {
                let row = all.contents.len() + 1;
                all.push(row, shown(&file), label.into(), ImageContent::File(file));
            }
        }
        if all.contents.len() == before {
            let message = "holds no image; a folder here is a class. Remove it, or say --skip-bad";
            let fault = Error::file(&class, message);
            match options.skip_bad {
                true => all.skipped.push(fault.to_string()),
                false => return Err(fault),
            }
        }
    }
    all.whole()
}

/// The folders and the files of a folder, by name. What is hidden is not seen, nor what systems
/// leave behind.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Error> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || matches!(&*name, "Thumbs.db" | "desktop.ini") {
            continue;
        }
        if path.is_dir() { folders.push(path) } else { files.push(path) }
    }
    folders.sort();
    files.sort();
    Ok((folders, files))
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A line for each image: its path, white space, its label.
fn list(path: &Path, _: Split, options: &ImageOptions) -> Result<ImageTable, Error> {
    let root = options.root.as_deref().or(path.parent()).unwrap_or(Path::new(""));
    let (content, _) = text(path, unpacked(path, None)?.bytes, None)?;
    let mut all = ImageTable::new(path);
    for (i, line) in content.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        // Paths may hold blanks, labels do not.
        let Some((name, label)) = line.trim().rsplit_once(char::is_whitespace) else {
            return Err(Error::row(path, "line", i + 1, "is not of the form 'path label'"));
        };
        let name = name.trim_end();
        all.push(i + 1, name.into(), label.into(), ImageContent::File(root.join(name)));
    }
    all.whole()
}

/// The files of images and labels of a split in MNIST's layout; there is none for validation.
fn idx_files(folder: &Path, split: Split) -> Option<(PathBuf, PathBuf)> {
    let prefix = match split {
        Split::Train => "train",
        Split::Dev => return None,
        Split::Test => "t10k",
    };
    let find = |what: &str| {
        let names = ["-", "."].map(|dot| format!("{prefix}-{what}{dot}idx"));
        let n = if what == "images" { 3 } else { 1 };
        let candidates =
            names.iter().flat_map(|name| ["", ".gz"].map(|gz| format!("{name}{n}-ubyte{gz}")));
        candidates.map(|name| folder.join(name)).find(|p| p.is_file())
    };
    Some((find("images")?, find("labels")?))
}

fn idx(folder: &Path, split: Split, _: &ImageOptions) -> Result<ImageTable, Error> {
    let (images_path, labels_path) = idx_files(folder, split).ok_or_else(|| {
        let message = format!(
            "has no files of the {} split in MNIST's layout, such as train-images-idx3-ubyte(.gz) with train-labels-idx1-ubyte(.gz)",
            split.name()
        );
        Error::file(folder, message)
    })?;
    let bytes = |path| Ok::<_, Error>(unpacked(path, None)?.bytes);
    let (images, labels) = (bytes(&images_path)?, bytes(&labels_path)?);
    let (sides, pixels) = idx_array(&images_path, &images, 3)?;
    let (counts, labels) = idx_array(&labels_path, &labels, 1)?;
    let (n, height, width) = (sides[0], sides[1], sides[2]);
    if counts[0] != n {
        let message =
            format!("holds {} labels, but {} holds {n} images", counts[0], images_path.display());
        return Err(Error::file(labels_path, message));
    }
    if height * width == 0 {
        return Err(Error::file(images_path, format!("its images have {width} x {height} pixels")));
    }
    let mut all = ImageTable::new(&images_path);
    for (i, (pixels, label)) in pixels.chunks_exact(height * width).zip(labels).enumerate() {
        let name = format!("{}#{i}", shown(&images_path));
        let content = ImageContent::Grey { width, height, pixels: Arc::from(pixels) };
        all.push(i + 1, name, label.to_string(), content);
    }
    all.whole()
}

/// A row of comma-separated numbers for each image: the grey levels of a square row by row, then
/// the label. Levels up to 1 or 16 are stretched to 255, as their largest says.
fn pixels(path: &Path, _: Split, _: &ImageOptions) -> Result<ImageTable, Error> {
    let options = ReadOptions { header: false, ..ReadOptions::default() };
    let table = read::comma_separated(path, options)?;
    let n = table.columns.len() - 1;
    let side = n.isqrt();
    if side == 0 || side * side != n {
        let message =
            format!("has {n} columns before the label; a square number of grey levels is expected");
        return Err(Error::file(path, message));
    }
    if let Some((place, fault)) = table.bad.first.first() {
        return Err(table.fault_at(*place, fault));
    }
    let mut levels = Vec::with_capacity(table.len() * n);
    for row in 0..table.len() {
        for column in &table.columns[..n] {
            let level = column.cells[row].number().filter(|x| (0.0..=255.0).contains(x));
            levels.push(level.ok_or_else(|| {
                let cell = column.cells[row].text();
                table.fault(row, format!("'{cell}' is not a grey level from 0 to 255"))
            })? as f32);
        }
    }
    let largest = levels.iter().copied().fold(0.0, f32::max);
    let white = [1.0, 16.0].into_iter().find(|white| largest <= *white).unwrap_or(255.0);
    let mut all = ImageTable::new(path);
    for (row, levels) in levels.chunks_exact(n).enumerate() {
        let grey = levels.iter().map(|x| (x * 255.0 / white).round() as u8).collect();
        let content = ImageContent::Grey { width: side, height: side, pixels: grey };
        let place = table.places[row] as usize;
        let name = format!("{}#{place}", shown(path));
        all.push(place, name, table.cell(row, n).text().trim().into(), content);
    }
    all.whole()
}

/// Sides and elements of an array of bytes in the IDX format.
fn idx_array<'a>(path: &Path, bytes: &'a [u8], n: usize) -> Result<(Vec<usize>, &'a [u8]), Error> {
    let fault = |message: String| Error::file(path, format!("is not a file in IDX: {message}"));
    let head = 4 + 4 * n;
    if bytes.len() < head || bytes[..3] != [0, 0, 8] || usize::from(bytes[3]) != n {
        return Err(fault(format!("it does not begin as one of bytes in {n} dimensions")));
    }
    let side = |b: &[u8]| b.iter().fold(0, |sum, b| sum << 8 | usize::from(*b));
    let sides: Vec<usize> = bytes[4..head].chunks_exact(4).map(side).collect();
    let elements = sides.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
    if elements != Some(bytes.len() - head) {
        let message =
            format!("{sides:?} elements are promised, {} bytes follow", bytes.len() - head);
        return Err(fault(message));
    }
    Ok((sides, &bytes[head..]))
}
