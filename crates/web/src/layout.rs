//! The frame of every page.

use budwood_board::query::Attribution;
use maud::{DOCTYPE, Markup, html};

use crate::ask::{Ask, Theme};
use crate::assets;
use crate::parts::link::web;
use crate::reply::Reply;

/// What a page says of itself.
#[derive(Default)]
pub(crate) struct Page<'a> {
    pub(crate) title: &'a str,
    /// A sentence for search engines.
    pub(crate) about: &'a str,
    /// The entry of the navigation that it belongs to.
    pub(crate) part: &'a str,
    /// Where data on it comes from.
    pub(crate) sources: &'a [Attribution],
}

impl Page<'_> {
    /// The page with its content.
    pub(crate) fn reply(&self, ask: &Ask, content: Markup) -> Reply {
        let title = if self.title.is_empty() {
            "Budwood board".into()
        } else {
            format!("{} · Budwood board", self.title)
        };
        Reply::html(html! {
            (DOCTYPE)
            html lang="en" data-theme=(ask.theme.name()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) }
                    @if !self.about.is_empty() { meta name="description" content=(self.about); }
                    link rel="stylesheet" href=(assets::address("board.css"));
                    link rel="icon" href=(assets::address("icon.svg")) type="image/svg+xml";
                    link rel="alternate" type="application/atom+xml" title="Changes" href="/feed.atom";
                    script src=(assets::address("board.js")) defer {}
                }
                body {
                    a.skip href="#main" { "Skip to content" }
                    (self.header(ask))
                    main #main tabindex="-1" { (content) }
                    (self.footer(ask))
                }
            }
        })
    }

    fn header(&self, ask: &Ask) -> Markup {
        html! {
            header.top {
                a.brand href="/" {
                    img src=(assets::address("icon.svg")) alt="" width="28" height="28";
                    span { "Budwood " span { "board" } }
                }
                nav aria-label="Board" {
                    ul { @for &(path, name) in &ask.app.navigation {
                        li { a href=(path) aria-current=[(self.part == path).then_some("page")] { (name) } }
                    } }
                }
                form.search action="/search" role="search" {
                    label.hidden for="q" { "Search the board" }
                    input #q type="search" name="q" placeholder="Search" maxlength="200" autocomplete="off"
                        value=[(ask.path == "/search").then(|| ask.get("q")).flatten()];
                    button { "Search" }
                }
            }
        }
    }

    fn footer(&self, ask: &Ask) -> Markup {
        let back = ask.with(&[]);
        let to = |theme: Theme| {
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("to", theme.name()), ("back", back.as_str())])
                .finish();
            format!("/theme?{query}")
        };
        html! {
            footer.bottom {
                @if !self.sources.is_empty() {
                    section.sources aria-label="Sources" {
                        @for (whom, terms, archives) in grouped(self.sources) { p {
                            "Data from " strong { (whom) } " (" (archives.join(", ")) "). Licence: " (licence(terms)) "."
                        } }
                    }
                }
                div.foot {
                    p {
                        a href="/feed.atom" { "Feed" } " · " a href="/api/v1/" { "API" } " · "
                        a href="/about" { "What a verified row means" }
                    }
                    p.themes {
                        span { "Theme:" }
                        @for (theme, name) in [(Theme::System, "System"), (Theme::Light, "Light"), (Theme::Dark, "Dark")] {
                            a href=(to(theme)) rel="nofollow" data-theme-to=(theme.name())
                                aria-current=[(ask.theme == theme).then_some("true")] { (name) }
                        }
                    }
                }
            }
        }
    }
}

/// Archives by whom they come from and their terms.
fn grouped(sources: &[Attribution]) -> Vec<(&str, &str, Vec<&str>)> {
    let mut groups: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for source in sources {
        let known = groups.iter_mut().find(|g| g.0 == source.attribution && g.1 == source.licence);
        match known {
            Some(group) => group.2.push(&source.archive),
            None => groups.push((&source.attribution, &source.licence, vec![&source.archive])),
        }
    }
    groups
}

fn licence(name: &str) -> Markup {
    let url = match name.to_ascii_lowercase().replace(' ', "-").as_str() {
        "cc-by-sa-4.0" => "https://creativecommons.org/licenses/by-sa/4.0/",
        _ => name,
    };
    html! { @if let Some(url) = web(url) { a href=(url) rel="license noopener" { (name) } } @else { (name) } }
}

/// A trail of links to a page.
pub(crate) fn trail(steps: &[(String, &str)]) -> Markup {
    html! {
        nav.trail aria-label="Trail" {
            ol { @for (path, name) in steps { li { a href=(path) { (name) } } } }
        }
    }
}
