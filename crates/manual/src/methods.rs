//! The tuning methods as a page in Markdown: titles, sources and options from the table of methods,
//! formulas from the head of each method's own file.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use budwood_model::method::{METHODS, Method, UNIONS};

/// The page.
pub(crate) fn page() -> io::Result<String> {
    let mut out = String::from(
        "# Methods\n\nMade from the table of methods. A method is written as \
         `--method NAME` or `--method \"NAME[OPTION=VALUE,...]\"`; `A|B` is a union of two.\n\n\
         | method | since | what |\n|---|---|---|\n",
    );
    for method in METHODS {
        let Method { name, title, year, summary, .. } = method;
        let _ = writeln!(out, "| [`{name}`](#{}) | {year} | {summary} |", anchor(title));
    }
    for union in UNIONS {
        let _ =
            writeln!(out, "| [`{}`](#unions) | {} | {} |", union.name, union.year, union.summary);
    }
    let mut told = String::new();
    for method in METHODS {
        let file = home(method.name)?;
        let _ = write!(out, "\n## {}\n\n", method.title);
        let _ = write!(out, "`{}`. {}", also(method), method.summary);
        match method.url {
            "" => out.push_str("\n\n"),
            url => drop(write!(out, " [Source]({url}).\n\n")),
        }
        // Variants stand in one file.
        if file != told {
            let _ = write!(out, "{}\n\n", head(&file));
            told = file;
        }
        out.push_str("| option | default | what |\n|---|---|---|\n");
        for option in method.options {
            let default = option.default.replace('|', "\\|");
            let _ = writeln!(out, "| `{}` | `{default}` | {} |", option.name, option.help);
        }
    }
    out.push_str("\n## Unions\n\n| union | stands for | source |\n|---|---|---|\n");
    for union in UNIONS {
        let members = union.members.replace('|', "\\|");
        let _ =
            writeln!(out, "| `{}` | `{members}` | [{}]({}) |", union.name, union.title, union.url);
    }
    Ok(out)
}

fn also(method: &Method) -> String {
    let names = std::iter::once(&method.name).chain(method.aliases);
    names.copied().collect::<Vec<_>>().join("`, `")
}

/// The part of an address that a heading has in the book.
fn anchor(title: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

/// The file of the method of this name.
fn home(name: &str) -> io::Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/src/method");
    for entry in fs::read_dir(folder)? {
        let text = fs::read_to_string(entry?.path())?;
        if text.contains(&format!("name: \"{name}\",\n    title:")) {
            return Ok(text);
        }
    }
    Err(io::Error::other(format!("no file of crates/model/src/method is of the method '{name}'")))
}

/// The comment at the head of a file. Names of the code are no links here.
fn head(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_section_with_a_source_and_a_formula() {
        let text = page().unwrap_or_default();
        for method in METHODS {
            assert!(text.contains(&format!("\n## {}\n", method.title)), "{}", method.name);
            // These two are nobody's.
            let common = ["linear", "full"].contains(&method.name);
            let source = method.url.starts_with("https://") || common;
            assert!(source, "{}", method.name);
            let own = head(&home(method.name).unwrap_or_default());
            assert!(own.len() > 40, "{}: {own}", method.name);
        }
        assert_eq!(anchor("(IA)³"), "ia³");
    }
}
