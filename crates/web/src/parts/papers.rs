//! A list of papers.

use budwood_board::query::PaperItem;
use maud::{Markup, html};

use super::link::{To, address};
use super::number::of;

/// Papers as entries with their authors and first words.
pub(crate) fn papers(items: &[PaperItem]) -> Markup {
    html! {
        ul.entries {
            @for paper in items {
                li {
                    a.title href=(address(To::Paper, &paper.slug)) { (paper.title) }
                    p.facts {
                        @if !paper.authors.is_empty() {
                            span { (authors(&paper.authors)) }
                        }
                        @if let Some(date) = &paper.date { span { (date) } }
                        @if paper.results > 0 { span { (of(paper.results, "result")) } }
                        @if paper.codes > 0 { span { (of(paper.codes, "repository").replace("repositorys", "repositories")) } }
                    }
                    @if !paper.summary.is_empty() { p.summary { (cut(&paper.summary)) } }
                }
            }
        }
    }
}

/// Up to four names, then "et al.".
fn authors(names: &[String]) -> String {
    match names {
        [first, second, third, fourth, _, ..] => {
            format!("{first}, {second}, {third}, {fourth} et al.")
        }
        few => few.join(", "),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(230) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}
