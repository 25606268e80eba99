//! How files are read.

use super::encoding::Encoding;

/// How a file is read, where its content does not say everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// How bytes become text; by default as the first bytes say.
    pub encoding: Option<Encoding>,
    /// Whether the first row names the columns; files without get the names `1`, `2`, ...
    pub header: bool,
    /// Whether quotes in tab-separated files are ordinary characters, as in GLUE's files.
    pub literal_quotes: bool,
    /// What stands between fields; by default a tab in `.tsv`, and in `.csv` what is found.
    pub separator: Option<u8>,
    /// Most bytes that a packed file may become; by default 20 times its size, or 32 MB where that
    /// is more.
    pub max_unpacked: Option<u64>,
    /// Whether text files hold plain text, a text in each line, and no table.
    pub plain: bool,
    /// Whether texts of plain text are paragraphs, with empty lines between them.
    pub paragraphs: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            encoding: None,
            header: true,
            literal_quotes: true,
            separator: None,
            max_unpacked: None,
            plain: false,
            paragraphs: false,
        }
    }
}
