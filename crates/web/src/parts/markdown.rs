//! Descriptions, which people write in Markdown.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html::push_html};

use super::link::web;

/// A description as HTML. Raw HTML in it is text; pictures are links; links lead to the web or
/// nowhere.
pub(crate) fn markdown(text: &str) -> Markup {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    // One entry for each open link or picture: whether it is a link here.
    let mut open: Vec<bool> = Vec::new();
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Heading { .. }) => Some(Event::InlineHtml("<p><strong>".into())),
        Event::End(TagEnd::Heading(_)) => Some(Event::InlineHtml("</strong></p>\n".into())),
        Event::Start(
            Tag::Link { link_type, dest_url, id, .. } | Tag::Image { link_type, dest_url, id, .. },
        ) => {
            let to = web(&dest_url).map(str::to_owned);
            open.push(to.is_some());
            let dest_url = CowStr::from(to?);
            Some(Event::Start(Tag::Link { link_type, dest_url, title: "".into(), id }))
        }
        Event::End(TagEnd::Link | TagEnd::Image) => {
            open.pop().unwrap_or(false).then_some(Event::End(TagEnd::Link))
        }
        other => Some(other),
    });
    push_html(&mut out, events);
    PreEscaped(out)
}

/// Its first words without marks, for lists.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut out = String::new();
    for event in Parser::new(text) {
        match event {
            Event::Text(t) | Event::Code(t) => out.push_str(&t),
            Event::SoftBreak
            | Event::HardBreak
            | Event::End(
                TagEnd::Paragraph
                | TagEnd::Heading(_)
                | TagEnd::Item
                | TagEnd::CodeBlock
                | TagEnd::TableCell,
            ) if !out.ends_with(' ') => out.push(' '),
            _ => {}
        }
        if out.len() > most * 5 {
            break;
        }
    }
    let out = out.trim();
    match out.char_indices().nth(most) {
        None => out.to_owned(),
        Some((end, _)) => {
            let cut = &out[..end];
            format!("{}…", cut.rsplit_once(' ').map_or(cut, |c| c.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_runs() {
        for bad in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "[x](javascript:alert(1))",
            "![x](javascript:alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD4=)",
            "<javascript:alert(1)>",
            "<div onclick=\"alert(1)\">\n\nx\n\n</div>",
            "[a]: javascript:alert(1)\n[a]",
            "[![x](http://a/b.png)](javascript:alert(1))",
            "```\"><script>alert(1)</script>\nx\n```",
        ] {
            let html = markdown(bad).into_string();
            let tags: Vec<&str> = html.split('<').skip(1).collect();
            assert!(
                !html.contains("<script") && !html.contains("<img") && !html.contains("<div"),
                "{html}"
            );
            assert!(
                tags.iter().all(|t| !t.split('>').next().unwrap_or("").contains("on")),
                "{html}"
            );
            assert!(!html.contains("href=\"javascript") && !html.contains("href=\"data"), "{html}");
        }
    }

    #[test]
    fn marks_are_kept() {
        let html = markdown("# T\nA *b* [c](https://d.org/?a=1&b=\"2\") `e<f`").into_string();
        assert!(html.contains("<em>b</em>") && html.contains("<code>e&lt;f</code>"), "{html}");
        assert!(
            html.contains("<a href=\"https://d.org/?a=1&amp;b=") && html.contains("<strong>T"),
            "{html}"
        );
        assert_eq!(plain("# A\nb *c* [d](x)", 50), "A b c d");
        assert_eq!(plain("one two three", 9), "one two…");
    }
}
