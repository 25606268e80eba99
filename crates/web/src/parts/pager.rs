//! Steps through a long list.

use maud::{Markup, html};

use super::number::count;
use crate::ask::Ask;

/// Links to the page before and after, and where the reader stands.
pub(crate) fn pager(ask: &Ask, entries: u64, size: u64) -> Markup {
    let pages = entries.div_ceil(size).max(1);
    let here = ask.page();
    let to = |page: u64| ask.with(&[("page", &page.to_string())]);
    html! {
        @if pages > 1 {
            nav.pager aria-label="Pages" {
                @if here > 1 { a rel="prev" href=(to((here - 1).min(pages))) { "← Previous" } }
                span { "Page " (count(here)) " of " (count(pages)) }
                @if here < pages { a rel="next" href=(to(here + 1)) { "Next →" } }
            }
        }
    }
}
