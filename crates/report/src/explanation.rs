//! Answers with the words that they hang on, as one page that needs nothing else.

use std::fmt::Write as _;

use crate::html::{self, escape};

/// An answer with its texts.
pub struct Explained {
    /// What is explained, with its number.
    pub title: String,
    /// The texts; of each the words as bytes `start..end`, with their effects, in order.
    pub texts: Vec<(String, Vec<Marked>)>,
}

/// A word of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marked {
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// How much larger the number is with the word.
    pub effect: f32,
}

/// A page of explanations. Words that make the number larger are marked in blue, those that make it
/// smaller in orange: the stronger the effect beside the largest one of the same answer, the
/// darker.
pub fn explanation_page(title: &str, note: &str, all: &[Explained]) -> String {
    let mut body = String::new();
    for explained in all {
        let _ = writeln!(body, "<h2>{}</h2>", escape(&explained.title));
        let words = || explained.texts.iter().flat_map(|(_, words)| words);
        let largest = words().map(|w| w.effect.abs()).fold(0.0, f32::max);
        for (text, words) in &explained.texts {
            body += "<p class=\"explained\">";
            let mut place = 0;
            for word in words {
                body += &escape(&text[place..word.start]);
                let share = if largest > 0.0 { word.effect.abs() / largest } else { 0.0 };
                let colour = if word.effect >= 0.0 { "31, 119, 180" } else { "230, 97, 1" };
                let _ = write!(
                    body,
                    "<span style=\"background: rgba({colour}, {:.2})\" title=\"{:+.4}\">{}</span>",
                    0.6 * share,
                    word.effect,
                    escape(&text[word.start..word.end])
                );
                place = word.end;
            }
            let _ = writeln!(body, "{}</p>", escape(&text[place..]));
        }
    }
    html::with_body(title, note, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_text_and_the_strongest_word_is_the_darkest() {
        let text = "<b>warm</b> film & story";
        let words = vec![
            Marked { start: 0, end: 11, effect: 0.5 },
            Marked { start: 12, end: 16, effect: -0.25 },
            Marked { start: 19, end: 24, effect: 0.0 },
        ];
        let texts = vec![(text.to_string(), words)];
        let page = explanation_page("<x>", "note", &[Explained { title: "a > b".into(), texts }]);
        assert!(!page.contains("<b>") && !page.contains("<x>"), "{page}");
        assert!(
            page.contains("rgba(31, 119, 180, 0.60)\" title=\"+0.5000\">&lt;b&gt;warm&lt;/b&gt;")
        );
        assert!(
            page.contains("rgba(230, 97, 1, 0.30)\" title=\"-0.2500\">film</span> &amp; <span")
        );
        let nothing = vec![("x".to_string(), vec![Marked { start: 0, end: 1, effect: 0.0 }])];
        let page = explanation_page("t", "", &[Explained { title: "t".into(), texts: nothing }]);
        assert!(page.contains("0.00)") && !page.contains("NaN"));
    }
}
