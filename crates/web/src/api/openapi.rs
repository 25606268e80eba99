//! The description of the interface (OpenAPI 3.1), made from the table that routes it.

use budwood_board::Board;
use serde_json::{Map, Value, json};

use super::READ;
use super::endpoint::{Endpoint, ROOT, one};
use crate::ask::Ask;
use crate::fault::Fault;
use crate::reply::Reply;

/// Both of this file.
const OWN: &[Endpoint] =
    &[one("", index, "What there is here"), one("/openapi.json", show, "This description")];

/// Everything that programs can read.
pub(crate) fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    OWN.iter().chain(READ)
}

fn index(_: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let lists = endpoints().filter(|e| !e.path.contains('{') && !e.path.is_empty());
    let link = |e: &Endpoint| {
        let end = if e.path.contains('.') { "" } else { "/" };
        (
            e.path.trim_start_matches('/').to_owned(),
            json!(ask.absolute(&format!("{ROOT}{}{end}", e.path))),
        )
    };
    Ok(Reply::json(&lists.map(link).collect::<serde_json::Map<_, _>>()))
}

fn show(_: &Board, ask: &Ask) -> Result<Reply, Fault> {
    let mut paths = Map::new();
    for endpoint in endpoints() {
        let names = endpoint.path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
        let in_path = names.map(|n| json!({ "name": n, "in": "path", "required": true, "schema": { "type": "string" } }));
        let in_query = endpoint.query.iter().map(|n| {
            let kind =
                if n.starts_with("page") || n.starts_with("items") { "integer" } else { "string" };
            json!({ "name": n, "in": "query", "schema": { "type": kind } })
        });
        let parameters: Vec<Value> = in_path.chain(in_query).collect();
        let get = json!({ "summary": endpoint.summary, "parameters": parameters, "responses": responses(&["200", "404", "429"]) });
        let end = if endpoint.path.contains('.') { "" } else { "/" };
        paths.insert(format!("{}{end}", endpoint.path), json!({ "get": get }));
    }
    let json_or_form = json!({
        "required": true,
        "content": {
            "application/json": { "schema": { "type": "object", "description": "The record" } },
            "multipart/form-data": { "schema": { "type": "object", "required": ["record"], "properties": {
                "record": { "type": "string", "description": "The record as JSON" },
                "weights": { "type": "string", "format": "binary", "description": "adapter.safetensors" },
                "description": { "type": "string", "format": "binary", "description": "adapter.json" },
            } } },
        },
    });
    paths.insert(
        "/submit/".into(),
        write("Submit a result, with its adapter or without", &json_or_form),
    );
    let body = json!({ "required": true, "content": { "application/json": { "schema": { "type": "object" } } } });
    let summary = "Bring a leaderboard up to date from elsewhere; calling it again changes nothing";
    paths.insert("/rpc/evaluation-synchronize/".into(), write(summary, &body));
    let object = |properties: Value, required: Value| {
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        json!({ "required": true, "content": { "application/json": { "schema": schema } } })
    };
    let text = json!({ "type": "string" });
    let named = object(
        json!({ "leaderboard": text, "sha256": text, "split": text, "reason": text }),
        json!(["leaderboard"]),
    );
    let summary = "Name the data of a leaderboard by digest and split, or none; for moderators";
    paths.insert("/rpc/leaderboard-data/".into(), write(summary, &named));
    let taken = object(
        json!({ "result": { "type": "integer" }, "reason": text }),
        json!(["result", "reason"]),
    );
    let summary = "Take a result back; for its submitter and moderators";
    paths.insert("/rpc/retract/".into(), write(summary, &taken));
    Ok(Reply::json(&json!({
        "openapi": "3.1.0",
        "info": { "title": "Budwood board", "version": "1", "description": "Reading is open; writing needs a token." },
        "servers": [{ "url": ask.absolute(ROOT) }],
        "paths": paths,
        "components": { "securitySchemes": { "token": {
            "type": "apiKey", "in": "header", "name": "Authorization", "description": "Token <secret>",
        } } },
    })))
}

fn write(summary: &str, body: &Value) -> Value {
    json!({ "post": {
        "summary": summary,
        "security": [{ "token": [] }],
        "requestBody": body,
        "responses": responses(&["200", "201", "400", "401", "403", "404", "409", "413", "429"]),
    } })
}

fn responses(codes: &[&str]) -> Value {
    let of = |code: &&str| {
        let text = match *code {
            "200" => "As asked",
            "201" => "New on the board",
            "400" => "The message says what is wrong and where",
            "401" => "No token, or one that is unknown or revoked",
            "403" => "The token may not do this",
            "404" => "Not on the board",
            "409" => "It contradicts what is on the board",
            "413" => "Too large",
            _ => "Too often; Retry-After says when",
        };
        ((*code).to_owned(), json!({ "description": text }))
    };
    Value::Object(codes.iter().map(of).collect())
}
