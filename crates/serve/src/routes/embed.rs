//! The base alone: vectors of texts.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use budwood::Input;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::{App, Asked};
use crate::fault::Fault;
use crate::given::Form;
use crate::keys::Scope;
use crate::reply::{json, reply, with_cut};
use crate::shape::normalized;

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Embed {
    inputs: Value,
    #[serde(default = "yes")]
    normalize: bool,
    #[serde(default = "yes")]
    truncate: bool,
}

#[derive(Deserialize)]
struct Embeddings {
    input: Value,
    #[serde(default)]
    model: Value,
    encoding_format: Option<String>,
    dimensions: Option<u64>,
}

/// Vectors of some texts, tokens, and how many were cut.
async fn vectors(
    app: &App,
    asked: &Asked,
    inputs: Value,
    cut: bool,
) -> Result<(Vec<Vec<f32>>, usize, usize), Fault> {
    let form = match app.vectors.as_ref().map(|v| v.reader().processor().is_some()) {
        Some(true) => Form::Image,
        _ => Form::Text,
    };
    let (values, _) = form.split(inputs);
    app.check_count(values.len())?;
    if values.is_empty() {
        return Err(Fault::bad("there is no input"));
    }
    let pixels = app.limits.pixels;
    let inputs: Vec<Input> = match form {
        Form::Image => app.work(asked, true, move || form.inputs(values, pixels)).await?,
        _ => form.inputs(values, pixels)?,
    };
    let under_way = app.begin_vectors(asked, inputs, cut).await?;
    let (encoded, outputs) = app.finish(asked, under_way).await?;
    let tokens = encoded.all_tokens();
    let outputs = encoded.checked(outputs)?.outputs;
    Ok((outputs, tokens, encoded.truncated()))
}

/// `POST /embed`, as text-embeddings-inference has it.
pub(super) async fn embed(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let answer = async {
        let mut asked = app.ask(request, Scope::Predict).await?;
        let body: Embed = app.json(&mut asked).await?;
        let (vectors, _, cut) = vectors(&app, &asked, body.inputs, body.truncate).await?;
        let vectors: Vec<Vec<f32>> = match body.normalize {
            true => vectors.iter().map(|v| normalized(v)).collect(),
            false => vectors,
        };
        Ok(with_cut(json(&json!(vectors)), cut))
    };
    reply(answer.await)
}

/// `POST /v1/embeddings`, as OpenAI has it.
pub(super) async fn embeddings(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Response<Body> {
    let answer = async {
        let mut asked = app.ask(request, Scope::Predict).await?;
        let body: Embeddings = app.json(&mut asked).await?;
        let base64 = match body.encoding_format.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(other) => {
                return Err(Fault::unfit(format!(
                    "encoding_format '{other}': float or base64 is wanted"
                )));
            }
        };
        if body
            .dimensions
            .is_some_and(|n| app.vectors.as_ref().is_none_or(|v| v.width() as u64 != n))
        {
            return Err(Fault::unfit("dimensions: the vectors of this model cannot be shortened"));
        }
        let (vectors, tokens, cut) = vectors(&app, &asked, body.input, true).await?;
        let one = |(i, vector): (usize, &Vec<f32>)| {
            let vector = normalized(vector);
            let embedding = match base64 {
                true => {
                    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                    json!(STANDARD.encode(bytes))
                }
                false => json!(vector),
            };
            json!({ "object": "embedding", "index": i, "embedding": embedding })
        };
        let data: Vec<Value> = vectors.iter().enumerate().map(one).collect();
        let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
        let answer = json!({ "object": "list", "data": data, "model": body.model, "usage": usage });
        Ok(with_cut(json(&answer), cut))
    };
    reply(answer.await)
}
