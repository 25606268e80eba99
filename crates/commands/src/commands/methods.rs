//! `budwood methods`: the tuning methods with their options.

use std::process::ExitCode;

use anyhow::Result;
use budwood_model::method::{METHODS, UNIONS};
use serde_json::json;

use crate::output::{json, say};
use crate::settings::Settings;

pub(crate) fn run(settings: &Settings) -> Result<ExitCode> {
    if settings.json {
        let method = |m: &&budwood_model::method::Method| {
            let option = |o: &budwood_model::method::OptionSpec| json!({ "name": o.name, "default": o.default, "help": o.help });
            let options: Vec<_> = m.options.iter().map(option).collect();
            json!({ "name": m.name, "aliases": m.aliases, "summary": m.summary, "options": options })
        };
        let union = |u: &budwood_model::method::Union| json!({ "name": u.name, "aliases": u.aliases, "summary": u.summary, "union": u.members });
        let all = METHODS.iter().map(method).chain(UNIONS.iter().map(union));
        json(&all.collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    for method in METHODS {
        let also = if method.aliases.is_empty() {
            String::new()
        } else {
            format!(" (also {})", method.aliases.join(", "))
        };
        say!("{}{also}\n    {}", method.name, method.summary)?;
        for option in method.options {
            say!("      {}={}  {}", option.name, option.default, option.help)?;
        }
    }
    for union in UNIONS {
        say!("{} (also {})", union.name, union.aliases.join(", "))?;
        say!("    {}\n      stands for {}", union.summary, union.members)?;
    }
    Ok(ExitCode::SUCCESS)
}
