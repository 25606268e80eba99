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
figure { margin: 2rem 0; } figure svg { max-width: 100%; height: auto; }
.note { color: color-mix(in srgb, var(--ink) 65%, var(--paper)); font-size: 13px; }
";

/// A page with the table and all figures.
pub fn page(title: &str, table: &Table, figures: &[Figure]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{0}</title><style>{STYLE}</style></head><body><h1>{0}</h1>\n<div class=\"wide\"><table><thead><tr>",
        escape(title)
    );
    for column in &table.columns {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(column));
    }
    out += "</tr></thead><tbody>\n";
    for row in &table.rows {
        out += "<tr>";
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escape(cell));
        }
        out += "</tr>\n";
    }
    out += "</tbody></table></div>\n";
    for line in &table.caption {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(line));
    }
    for figure in figures {
        let _ = writeln!(out, "<figure>{}</figure>", figure.svg);
    }
    out += "</body></html>\n";
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
