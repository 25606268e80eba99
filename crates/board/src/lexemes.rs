//! Words as a server's indexes hold them, made by whoever brings many texts: what a piece of a text
//! becomes is asked of the server once, not for each text that has it.
//!
//! What comes out is what the server's functions `named` and `indexed` make of the same texts, in
//! the form in which a `tsvector` travels.

use std::collections::{HashMap, HashSet};

use budwood_database::{Connection, params};

use crate::error::OfDatabase;

/// Bytes that are kept; beyond them all is asked anew.
const MOST: usize = 32 << 20;
/// About what a piece takes beside its letters.
const PIECE: usize = 120;
/// The largest position that there is; all that come later have it too.
const LAST: u16 = (1 << 14) - 1;
/// Positions of a word in one text, and in all of a row's.
const IN_TEXT: usize = 255;
const IN_ROW: usize = 256;

/// Where a word stands; what is found in titles counts more.
#[derive(Clone, Copy)]
enum Mark {
    Text = 0,
    Author = 2,
    Title = 3,
}

/// What pieces of texts become.
#[derive(Default)]
pub(crate) struct Lexemes {
    known: HashMap<Box<str>, Vec<Lexeme>>,
    size: usize,
}

struct Lexeme {
    word: Box<[u8]>,
    /// The same as the word of an author.
    by: Box<[u8]>,
    /// From 1.
    place: u16,
}

/// The pieces of a text. They end at signs that the server's function `plain` makes blanks.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let is_end = |c: char| c.is_ascii_punctuation() || c.is_ascii_whitespace();
    text.split(is_end).filter(|piece| !piece.is_empty())
}

impl Lexemes {
    /// Asks for what is not known of texts.
    pub(crate) fn learn<'t>(
        &mut self,
        sql: &Connection,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> OfDatabase<()> {
        if self.size > MOST {
            *self = Self::default();
        }
        let all = texts.into_iter().flat_map(pieces);
        let new: HashSet<&str> = all.filter(|piece| !self.known.contains_key(*piece)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let new: Vec<&str> = new.into_iter().collect();
        let mut found: Vec<Vec<Lexeme>> = new.iter().map(|_| Vec::new()).collect();
        let query = "SELECT w.n - 1, convert_to(l.lexeme, 'UTF8'), CAST(p.place AS BIGINT)
             FROM unnest(string_to_array(?1, ' ')) WITH ORDINALITY w (piece, n)
             CROSS JOIN LATERAL unnest(named(w.piece)) l
             CROSS JOIN LATERAL unnest(l.positions) p (place)";
        sql.query(query, params![new.join(" ")], |r| {
            let word: Vec<u8> = r.get(1)?;
            let by = [b"a:", &word[..]].concat().into();
            let place = r.get::<i64>(2)? as u16;
            found[r.get::<i64>(0)? as usize].push(Lexeme { word: word.into(), by, place });
            Ok(())
        })?;
        for (piece, lexemes) in new.into_iter().zip(found) {
            self.size += PIECE + 3 * piece.len();
            self.known.insert(piece.into(), lexemes);
        }
        Ok(())
    }

    /// The words of a name, as `named` makes them. None if a piece of it is not known.
    pub(crate) fn named(&self, name: &str) -> Option<Vec<u8>> {
        let mut vector = Vector::default();
        vector.add(self, name, Mark::Text)?;
        Some(vector.bytes())
    }

    /// The words of a paper, as `indexed` makes them. None if a piece of its texts is not known.
    pub(crate) fn indexed(&self, title: &str, authors: &str, body: &str) -> Option<Vec<u8>> {
        let mut vector = Vector::default();
        vector.add(self, title, Mark::Title)?;
        vector.add(self, authors, Mark::Author)?;
        vector.add(self, body, Mark::Text)?;
        Some(vector.bytes())
    }
}

/// Words with their positions.
#[derive(Default)]
struct Vector<'l> {
    /// A word's first bytes, by which most are told apart, it, its position and its mark.
    words: Vec<(u64, &'l [u8], u32, u16)>,
    /// Positions so far.
    end: u32,
}

impl<'l> Vector<'l> {
    fn add(&mut self, lexemes: &'l Lexemes, text: &str, mark: Mark) -> Option<()> {
        let (first_word, start) = (self.words.len(), self.end);
        for piece in pieces(text) {
            let of_piece = lexemes.known.get(piece)?;
            let mut last = 0;
            for Lexeme { word, by, place } in of_piece {
                let word = if matches!(mark, Mark::Author) { by } else { word };
                let mut first = [0; 8];
                let known = word.len().min(first.len());
                first[..known].copy_from_slice(&word[..known]);
                let place = u32::from(*place);
                self.words.push((
                    u64::from_be_bytes(first),
                    word,
                    self.end + place,
                    (mark as u16) << 14,
                ));
                last = last.max(place);
            }
            self.end += last;
        }
        if self.end - start > IN_TEXT as u32 {
            // What comes after it is counted from the last position that is kept.
            let text = &mut self.words[first_word..];
            text.sort_unstable();
            let same = text.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
            let kept = same.map(|same| same[same.len().min(IN_TEXT) - 1].2);
            self.end = kept.max().unwrap_or(start).min(LAST.into());
        }
        Some(())
    }

    /// In the form in which the server takes it.
    fn bytes(mut self) -> Vec<u8> {
        self.words.sort_unstable();
        let mut out = vec![0; 4];
        let mut count = 0_u32;
        for same in self.words.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            count += 1;
            out.extend_from_slice(same[0].1);
            out.push(0);
            let mut places: Vec<u16> = Vec::with_capacity(same.len().min(IN_ROW));
            for of_text in same.chunk_by(|a, b| a.3 == b.3) {
                let first = places.len();
                for (.., place, mark) in of_text {
                    let is_over = places.last().is_some_and(|p| p & LAST == LAST);
                    if is_over || places.len() == IN_ROW || places.len() - first == IN_TEXT {
                        break;
                    }
                    let place = u16::try_from(*place).map_or(LAST, |place| place.min(LAST));
                    places.push(place | mark);
                }
            }
            out.extend_from_slice(&(places.len() as u16).to_be_bytes());
            places.iter().for_each(|place| out.extend_from_slice(&place.to_be_bytes()));
        }
        out[..4].copy_from_slice(&count.to_be_bytes());
        out
    }
}
