//! The report as one page that needs nothing else.

use std::fmt::Write as _;

use crate::{Figure, Table};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #ffffff; --line: #d8d8d8; --soft: #f4f4f4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #161616; --line: #3a3a3a; --soft: #222222; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { background: var(--soft); white-space: normal; vertical-align: bottom; }
td.long { white-space: normal; text-align: left; min-width: 20rem; }
figure { margin: 2rem 0; } figure svg { max-width: 100%; height: auto; }
.explained { white-space: pre-wrap; } .explained span { border-radius: 3px; padding: 0 1px; }
.note { color: color-mix(in srgb, var(--ink) 65%, var(--paper)); font-size: 13px; }
";

/// A part of a page.
pub(crate) struct Section<'a> {
    pub(crate) title: &'a str,
    pub(crate) note: &'a str,
    pub(crate) table: Option<&'a Table>,
    pub(crate) figure: Option<&'a Figure>,
}

/// A page with the table and all figures.
pub fn page(title: &str, table: &Table, figures: &[Figure]) -> String {
    let plain = |figure| Section { title: "", note: "", table: None, figure };
    let mut all = vec![Section { table: Some(table), ..plain(None) }];
    all.extend(figures.iter().map(|figure| plain(Some(figure))));
    sections(title, &all)
}

/// A page with sections one after another.
pub(crate) fn sections(title: &str, sections: &[Section<'_>]) -> String {
    let mut out = head(title);
    for section in sections {
        if !section.title.is_empty() {
            let _ = writeln!(out, "<h2>{}</h2>", escape(section.title));
        }
        if !section.note.is_empty() {
            let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(section.note));
        }
        if let Some(figure) = section.figure {
            let _ = writeln!(out, "<figure>{}</figure>", figure.svg);
        }
        if let Some(table) = section.table {
            write_table(&mut out, table);
        }
    }
    out += "</body></html>\n";
    out
}

/// A page of other HTML, in which what others wrote is escaped already.
pub(crate) fn with_body(title: &str, note: &str, body: &str) -> String {
    let note = escape(note);
    format!("{}<p class=\"note\">{note}</p>\n{body}</body></html>\n", head(title))
}

fn head(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{0}</title><style>{STYLE}</style>\
         </head><body><h1>{0}</h1>\n",
        escape(title)
    )
}

fn write_table(out: &mut String, table: &Table) {
    *out += "<div class=\"wide\"><table>";
    if !table.columns.is_empty() {
        *out += "<thead><tr>";
        for column in &table.columns {
            let _ = write!(out, "<th scope=\"col\">{}</th>", escape(column));
        }
        *out += "</tr></thead>";
    }
    *out += "<tbody>\n";
    for row in &table.rows {
        *out += "<tr>";
        for cell in row {
            let long = if cell.chars().count() > 60 { " class=\"long\"" } else { "" };
            let _ = write!(out, "<td{long}>{}</td>", escape(cell));
        }
        *out += "</tr>\n";
    }
    *out += "</tbody></table></div>\n";
    for line in &table.caption {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(line));
    }
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
