//! The service without a network: answers are those of the library, whatever stands beside them.
#![allow(clippy::unwrap_used, clippy::default_trait_access)]

#[path = "../../budwood/tests/world/mod.rs"]
mod world;

use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use budwood::{Answer, Base, Input};
use budwood_model::method::METHODS;
use budwood_serve::{Folder, Keys, Limits, Place, Settings, Source, service};
use serde_json::{Value, json};
use tower_service::Service as _;
use world::{NUMBER, TAGS, THREE, TWO, World};

struct Reply {
    status: u16,
    headers: HeaderMap,
    json: Value,
    text: String,
}

fn settings(world: &World) -> Settings {
    Settings {
        base: world.base(),
        adapters: Box::new(Folder::open(&world.path("")).unwrap()),
        cache: u64::MAX,
        threads: 2,
        keys: Keys::default(),
        limits: Limits::default(),
        tls: None,
    }
}

async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().call(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Reply { status, headers, json: serde_json::from_str(&text).unwrap_or_default(), text }
}

async fn ask(router: &Router, method: Method, path: &str, body: &Value) -> Reply {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    send(router, Request::builder().method(method).uri(path).body(body).unwrap()).await
}

async fn post(router: &Router, path: &str, body: Value) -> Reply {
    ask(router, Method::POST, path, &body).await
}

async fn get(router: &Router, path: &str) -> Reply {
    ask(router, Method::GET, path, &Value::Null).await
}

/// Labels with probabilities, largest first.
fn labelled(answer: &Answer) -> Value {
    let Answer::Class { scores, .. } = answer else { panic!("{answer:?}") };
    let mut scores = scores.clone();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    scores.into_iter().map(|(label, score)| json!({ "label": label, "score": score })).collect()
}

const TEXTS: [&str; 6] =
    ["good", "a film so good", "it was very poor and bad and awful", "the the the", "", "unknown"];

/// Adapters of PEFT as they are, listed and answered as the library answers.
#[tokio::test]
async fn folders_of_other_libraries_are_served() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/peft/bert");
    let world = World::new();
    let folder = world.path("peft-base");
    std::fs::create_dir(&folder).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(golden.join("base").join(file), folder.join(file)).unwrap();
    }
    std::fs::write(folder.join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\ngood\nfilm\n").unwrap();
    let base = Base::open(&folder).unwrap();
    let settings = Settings {
        base: base.clone(),
        adapters: Box::new(Folder::open(&golden).unwrap()),
        ..settings(&world)
    };
    let router = service(settings);
    let name = "lora/adapter";
    let listed = get(&router, "/adapters").await;
    let names: Vec<_> =
        listed.json["adapters"].as_array().unwrap().iter().map(|a| &a["name"]).collect();
    assert!(names.contains(&&json!(name)), "{}", listed.text);
    let wanted = base.adapter(golden.join(name)).unwrap();
    let wanted = wanted.predict(&[Input::Text(TEXTS[0].into())]).unwrap();
    let reply = post(&router, "/predict", json!({ "inputs": TEXTS[0], "adapter": name })).await;
    assert_eq!(reply.json, labelled(&wanted[0]), "{}", reply.text);
    let known = get(&router, &format!("/adapters/{name}")).await.json;
    assert_eq!((&known["in_memory"], &known["method"]), (&json!(true), &json!("lora")), "{known}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_a_mixed_crowd_are_those_of_each_adapter_alone() {
    let world = World::new();
    // Every method there is.
    let mut names = Vec::new();
    for (i, method) in METHODS.iter().enumerate() {
        let name = format!("team/{}", method.name);
        world.adapter(&name, method.examples[0], i as u64, TWO);
        names.push(name);
    }
    let router = service(settings(&world));
    let base = world.base();
    let mut wanted = Vec::new();
    for name in &names {
        let adapter = base.adapter(world.path(name)).unwrap();
        let texts: Vec<Input> = TEXTS.iter().map(|t| Input::Text((*t).into())).collect();
        wanted.push(adapter.predict(&texts).unwrap());
    }
    let mut asked = tokio::task::JoinSet::new();
    for round in 0..12 {
        for (i, name) in names.iter().enumerate() {
            let (router, name, text) = (router.clone(), name.clone(), (i + round) % TEXTS.len());
            asked.spawn(async move {
                let body = json!({ "inputs": TEXTS[text], "adapter": name });
                (i, text, post(&router, "/predict", body).await)
            });
        }
    }
    while let Some(done) = asked.join_next().await {
        let (i, text, reply) = done.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json, labelled(&wanted[i][text]), "{} {text}", names[i]);
    }
    // The same in one request: an adapter for each input, and one input to all.
    let inputs: Vec<Value> =
        names.iter().map(|n| json!({ "text": TEXTS[1], "adapter": n })).collect();
    let each = post(&router, "/predict", json!({ "inputs": inputs })).await;
    let all = post(&router, "/predict", json!({ "inputs": TEXTS[1], "adapter": "team/*" })).await;
    for (i, name) in names.iter().enumerate() {
        assert_eq!(each.json[i], labelled(&wanted[i][1]));
        assert_eq!(all.json[name], labelled(&wanted[i][1]));
    }
    // A request of many bytes has its tokens made on another thread.
    let long = json!({ "inputs": TEXTS[1], "adapter": names[0], "note": " ".repeat(2000) });
    assert_eq!(post(&router, "/predict", long).await.json, labelled(&wanted[0][1]));
    let metrics = get(&router, "/metrics").await.text;
    let counted = format!("budwood_requests_total{{adapter=\"{}\"}} 15\n", names[0]);
    assert!(metrics.contains(&counted), "{metrics}");
}

#[tokio::test]
async fn shapes_are_those_of_other_servers() {
    let world = World::new();
    world.adapter("two", "lora", 1, TWO);
    world.adapter("pairs", "lora", 2, THREE);
    world.adapter("stars", "lora", 3, NUMBER);
    world.adapter("tags", "lora", 4, TAGS);
    let router = service(settings(&world));
    let base = world.base();
    let open = |name: &str| base.adapter(world.path(name)).unwrap();
    let two = open("two").predict(&[Input::Text("good".into())]).unwrap();
    // Text-embeddings-inference: a text, a list, a list of lists.
    let single = post(&router, "/predict", json!({ "inputs": "good", "adapter": "two" })).await;
    assert_eq!(single.json, labelled(&two[0]));
    assert_eq!(single.headers["x-generation"], "1");
    for inputs in [json!(["good", "bad"]), json!([["good"], ["bad"]])] {
        let list = post(&router, "/predict", json!({ "inputs": inputs, "model": "two" })).await;
        assert_eq!(list.json[0], labelled(&two[0]));
        assert_eq!(list.json.as_array().unwrap().len(), 2);
    }
    let pair = Input::Pair("good".into(), "bad".into());
    let wanted = open("pairs").predict(&[pair]).unwrap();
    for inputs in [json!(["good", "bad"]), json!({ "text": "good", "text_pair": "bad" })] {
        let pair = post(&router, "/predict", json!({ "inputs": inputs, "adapter": "pairs" })).await;
        assert_eq!(pair.json, labelled(&wanted[0]));
    }
    let raw = json!({ "inputs": "good", "adapter": "two", "raw_scores": true });
    let raw = post(&router, "/predict", raw).await.json;
    let logit = |i: usize| raw[i]["score"].as_f64().unwrap();
    let share = 1.0 / (1.0 + (logit(1) - logit(0)).exp());
    assert!((share - single.json[0]["score"].as_f64().unwrap()).abs() < 1e-6);
    let stars = post(&router, "/predict", json!({ "inputs": "good", "adapter": "stars" })).await;
    let Answer::Value { value } = open("stars").predict(&[Input::Text("good".into())]).unwrap()[0]
    else {
        panic!()
    };
    assert_eq!(stars.json, json!([{ "label": "value", "score": value }]));
    // Hugging Face: labels of one text are a list in a list, entities have places in the text.
    let hf = post(&router, "/models/two", json!({ "inputs": "good" })).await;
    assert_eq!(hf.json, json!([labelled(&two[0])]));
    let text = "The film, so  good.";
    let hf = post(&router, "/models/tags", json!({ "inputs": text })).await;
    let entities = hf.json.as_array().unwrap();
    assert!(!entities.is_empty(), "the adapter of this seed marks something");
    for entity in entities {
        let place = |name: &str| entity[name].as_u64().unwrap() as usize;
        let shown = text[place("start")..place("end")].split_whitespace().collect::<String>();
        assert_eq!(shown, entity["word"].as_str().unwrap().replace(' ', ""));
    }
    // vLLM.
    let body = json!({ "model": "two", "input": ["good", "bad"] });
    let vllm = post(&router, "/classify", body).await.json;
    let Answer::Class { label, .. } = &two[0] else { panic!() };
    assert_eq!(vllm["data"][0]["label"], json!(label));
    assert_eq!(vllm["data"][1]["num_classes"], 2);
    // Vectors: the mean of the last hidden states has length 1 after dividing, in both forms.
    let embed = post(&router, "/embed", json!({ "inputs": ["good", "a film"] })).await.json;
    let vector: Vec<f64> =
        embed[0].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    assert!((vector.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-5);
    for format in ["float", "base64"] {
        let body = json!({ "input": "good", "model": "m", "encoding_format": format });
        let open_ai = post(&router, "/v1/embeddings", body).await.json;
        let given = &open_ai["data"][0]["embedding"];
        let numbers: Vec<f64> = match given {
            Value::String(text) => {
                let bytes = STANDARD.decode(text).unwrap();
                let four = |c: &[u8]| f64::from(f32::from_le_bytes(c.try_into().unwrap()));
                bytes.chunks(4).map(four).collect()
            }
            _ => given.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect(),
        };
        assert_eq!(numbers.len(), vector.len());
        assert!(numbers.iter().zip(&vector).all(|(a, b)| (a - b).abs() < 1e-6));
    }
    let models = get(&router, "/v1/models").await.json;
    let names: Vec<&Value> = models["data"].as_array().unwrap().iter().map(|m| &m["id"]).collect();
    assert_eq!(names, ["pairs", "stars", "tags", "two"]);
}

#[tokio::test]
async fn what_is_wrong_is_said_and_harms_nobody_else() {
    let world = World::new();
    world.adapter("good", "lora", 1, TWO);
    world.adapter("broken", "lora", 2, TWO);
    let weights = world.path("broken/adapter.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let mut settings = settings(&world);
    settings.limits = Limits { body: 10_000, inputs: 3, ..settings.limits };
    let router = service(settings);
    let to = |name: &str| json!({ "inputs": "good", "adapter": name });
    let long = "good ".repeat(100);
    let cut = json!({ "inputs": long, "adapter": "good", "truncate": false });
    let named = |text: Value| json!({ "inputs": text, "adapter": "good" });
    let third_is_bad = json!({ "inputs": [named("a".into()), named("b".into()), named(3.into())] });
    for (body, status, word) in [
        (to("nobody"), 404, "nobody"),
        (to("../base"), 404, "names have"),
        (to("base"), 404, "base"),
        (to("/etc"), 404, "names have"),
        (to(""), 404, "names have"),
        (to("nobody*"), 404, "begins so"),
        (to("broken"), 424, "broken"),
        (json!({ "inputs": 3, "adapter": "good" }), 422, "a text"),
        (json!({ "inputs": ["a", 3], "adapter": "good" }), 422, "input 1 (the first is 0): this"),
        (json!({ "inputs": 3, "adapter": ["good"] }), 422, "adapter 'good': this"),
        (third_is_bad, 422, "adapter 'good': input 2 (the first is 0): this"),
        (json!({ "inputs": "a", "adapter": 3 }), 400, "a name or a list of names"),
        (json!({ "inputs": "a", "adapter": [] }), 400, "the list of names is empty"),
        (json!(["good", "good"]), 400, "a JSON object is wanted"),
        (json!({ "inputs": ["a", "b", "c", "d"], "adapter": "good" }), 413, "4 inputs"),
        (json!({ "adapter": "good" }), 400, "inputs"),
        (json!({ "inputs": "a" }), 400, "adapter"),
        (json!({ "inputs": [{ "text": "a", "adapter": "good" }, "b"] }), 400, "others do not"),
        (json!({ "inputs": "a".repeat(20_000), "adapter": "good" }), 413, "10000 bytes"),
        (cut, 413, "24 tokens"),
    ] {
        let reply = post(&router, "/predict", body.clone()).await;
        assert_eq!(reply.status, status, "{} to {body}", reply.text);
        let message = reply.json["error"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
        assert!(!message.contains(&*world.path("").to_string_lossy()), "a path: {message}");
        assert_eq!(post(&router, "/predict", to("good")).await.status, 200);
    }
    let deep = Body::from(format!("{{\"inputs\":{}", "[".repeat(5000)));
    let request = Request::post("/predict").body(deep).unwrap();
    assert_eq!(send(&router, request).await.status, 400);
    for time in ["0", "x", "-1"] {
        let bad = Request::post("/predict").header("x-timeout-ms", time);
        let bad = send(&router, bad.body(to("good").to_string().into()).unwrap()).await;
        assert_eq!(bad.status, 400, "{}", bad.text);
    }
    assert_eq!(get(&router, "/predict").await.status, 405);
    assert_eq!(get(&router, "/nothing").await.status, 404);
    assert_eq!(get(&router, "/adapters?limit=x").await.status, 400);
    let cut = post(&router, "/predict", json!({ "inputs": long, "adapter": "good" })).await;
    assert_eq!((cut.status, &cut.headers["x-cut-inputs"]), (200, &1.into()));
    let empty = post(&router, "/predict", json!({ "inputs": [], "adapter": "good" })).await;
    assert_eq!((empty.status, empty.json), (200, json!([])));
}

#[tokio::test]
async fn names_are_replaced_by_compare_and_swap() {
    let world = World::new();
    world.adapter("a", "lora", 1, TWO);
    world.adapter("next", "lora", 2, TWO);
    let router = service(settings(&world));
    let say = json!({ "inputs": "good", "adapter": "a" });
    let first = post(&router, "/predict", say.clone()).await;
    let change = json!({ "folder": "next", "if_generation": 1 });
    let changed = ask(&router, Method::PUT, "/adapters/a", &change).await;
    assert_eq!((changed.status, &changed.json["generation"]), (200, &json!(2)), "{}", changed.text);
    let second = post(&router, "/predict", say.clone()).await;
    let next = post(&router, "/predict", json!({ "inputs": "good", "adapter": "next" })).await;
    assert_eq!(second.json, next.json);
    assert_ne!(first.json, second.json);
    assert_eq!(second.headers["x-generation"], "2");
    // The same change again comes too late; the folder of the name brings the old one back.
    assert_eq!(ask(&router, Method::PUT, "/adapters/a", &change).await.status, 409);
    let back = ask(&router, Method::PUT, "/adapters/a", &Value::Null).await;
    assert_eq!((back.status, &back.json["generation"]), (200, &json!(3)));
    assert_eq!(post(&router, "/predict", say.clone()).await.json, first.json);
    // One that cannot be used changes nothing.
    let missing = json!({ "folder": "missing" });
    assert_eq!(ask(&router, Method::PUT, "/adapters/a", &missing).await.status, 404);
    assert_eq!(post(&router, "/predict", say.clone()).await.json, first.json);
    let gone = ask(&router, Method::DELETE, "/adapters/a", &Value::Null).await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    assert_eq!(post(&router, "/predict", say.clone()).await.status, 404);
    assert_eq!(get(&router, "/adapters/a").await.status, 404);
    let list = get(&router, "/adapters").await.json;
    assert_eq!(list["adapters"].as_array().unwrap().len(), 1);
    let again = ask(&router, Method::PUT, "/adapters/a", &Value::Null).await;
    assert_eq!((again.status, &again.json["generation"]), (200, &json!(4)));
    assert_eq!(post(&router, "/predict", say).await.json, first.json);
}

/// A folder in which the first reader of a name waits until it is told to go on.
struct Waiting {
    folder: Folder,
    name: &'static str,
    /// Told that it waits, and what it waits for.
    first: Mutex<Option<(Sender<()>, Receiver<()>)>>,
}

impl Source for Waiting {
    fn open(&self, name: &str) -> Result<Option<Place>, String> {
        if name == self.name
            && let Some((waits, go_on)) = self.first.lock().unwrap().take()
        {
            waits.send(()).unwrap();
            go_on.recv().unwrap();
        }
        self.folder.open(name)
    }

    fn has(&self, name: &str) -> Result<bool, String> {
        self.folder.has(name)
    }

    fn description(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        self.folder.description(name)
    }

    fn spoiled(&self, place: Place) {
        self.folder.spoiled(place);
    }

    fn names(&self, after: &str, beginning: &str, most: usize) -> Result<Vec<String>, String> {
        self.folder.names(after, beginning, most)
    }

    fn is_here(&self) -> bool {
        self.folder.is_here()
    }

    fn only(&self) -> Option<String> {
        self.folder.only()
    }
}

/// An adapter that a request is still reading does not take the place of one that a `PUT` gave its
/// name meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_late_does_not_undo_a_change() {
    let world = World::new();
    world.adapter("a", "lora", 1, TWO);
    world.adapter("next", "lora", 2, TWO);
    let ((waits, waiting), (tell, go_on)) = (channel(), channel());
    let folder = Folder::open(&world.path("")).unwrap();
    let first = Mutex::new(Some((waits, go_on)));
    let adapters = Box::new(Waiting { folder, name: "a", first });
    let router = service(Settings { adapters, ..settings(&world) });
    let say = |name: &str| json!({ "inputs": "good", "adapter": name });
    let (at, body) = (router.clone(), say("a"));
    let early = tokio::spawn(async move { post(&at, "/predict", body).await });
    tokio::task::spawn_blocking(move || waiting.recv().unwrap()).await.unwrap();
    let at = router.clone();
    let change = json!({ "folder": "next" });
    let mut put = tokio::spawn(async move { ask(&at, Method::PUT, "/adapters/a", &change).await });
    // It may be done before the reader, or wait for it.
    let done = tokio::time::timeout(Duration::from_millis(300), &mut put).await;
    tell.send(()).unwrap();
    assert_eq!(early.await.unwrap().status, 200);
    let put = match done {
        Ok(put) => put,
        Err(_) => put.await,
    };
    let put = put.unwrap();
    assert_eq!((put.status, &put.json["generation"]), (200, &json!(2)));
    let (late, next) = (post(&router, "/predict", say("a")).await, say("next"));
    assert_eq!(late.headers["x-generation"], "2");
    assert_eq!(late.json, post(&router, "/predict", next).await.json);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adapters_leave_memory_and_come_back_the_same() {
    let world = World::new();
    for i in 0..20 {
        world.adapter(&format!("a{i}"), "lora", i, TWO);
    }
    let everything = service(settings(&world));
    let look = post(&everything, "/predict", json!({ "inputs": "good", "adapter": "a0" })).await;
    assert_eq!(look.status, 200);
    let about = get(&everything, "/adapters/a0").await.json;
    assert_eq!(about["method"], "lora");
    assert_eq!(about["labels"], json!(["bad", "good"]));
    let bytes = about["bytes"].as_u64().unwrap();
    let mut settings = settings(&world);
    settings.cache = bytes * 3;
    let few = service(settings);
    for text in &TEXTS[..3] {
        for i in 0..20 {
            let body = json!({ "inputs": text, "adapter": format!("a{i}") });
            let here = post(&few, "/predict", body.clone()).await;
            assert_eq!(here.status, 200, "{}", here.text);
            assert_eq!(here.json, post(&everything, "/predict", body).await.json);
        }
    }
    let metrics = get(&few, "/metrics").await.text;
    assert!(metrics.contains("budwood_adapters_held 3\n"), "{metrics}");
    assert!(metrics.contains(&format!("budwood_adapters_held_bytes {}\n", bytes * 3)));
    assert!(metrics.contains("budwood_adapter_loads_total 60\n"));
    // However many ask for a cold one at the same time, it is read once.
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let few = few.clone();
        asked.spawn(async move {
            post(&few, "/predict", json!({ "inputs": "good", "adapter": "a0" })).await.status
        });
    }
    while let Some(status) = asked.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert!(get(&few, "/metrics").await.text.contains("budwood_adapter_loads_total 61\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_said_and_clients_that_leave_give_their_place_back() {
    let world = World::new();
    world.adapter("a", "lora", 1, TWO);
    let mut settings = settings(&world);
    settings.limits = Limits { tokens: 2000, inputs: 100_000, ..settings.limits };
    settings.threads = 1;
    let router = service(settings);
    let many =
        json!({ "inputs": vec!["it was very poor and bad and awful"; 24_000], "adapter": "a" });
    // Much larger than the queue: taken as nothing else waits. A question before it is there could
    // have it refused, so `metrics`, which does not wait in the queue, say that it is.
    let first = {
        let (router, many) = (router.clone(), many.clone());
        tokio::spawn(async move { post(&router, "/predict", many).await.status })
    };
    while get(&router, "/metrics").await.text.contains("budwood_queue_tokens 0\n") {
        assert!(!first.is_finished(), "the texts were never seen in the queue");
        tokio::task::yield_now().await;
    }
    let refused = post(&router, "/predict", json!({ "inputs": "good", "adapter": "a" })).await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(first.await.unwrap(), 200);
    let late = Request::post("/predict").header("x-timeout-ms", "20");
    let late = send(&router, late.body(many.to_string().into()).unwrap()).await;
    assert_eq!(late.status, 504, "{}", late.text);
    // A client that goes away.
    let gone = {
        let (router, many) = (router.clone(), many);
        tokio::spawn(async move { post(&router, "/predict", many).await.status })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    gone.abort();
    let mut status = 429;
    for _ in 0..100 {
        status =
            post(&router, "/predict", json!({ "inputs": "good", "adapter": "a" })).await.status;
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status, 200);
    assert!(get(&router, "/metrics").await.text.contains("budwood_queue_tokens 0\n"));
}

#[tokio::test]
async fn keys_say_who_may_do_what() {
    let world = World::new();
    world.adapter("mine", "lora", 1, TWO);
    world.adapter("theirs", "lora", 2, TWO);
    let mut settings = settings(&world);
    let keys = "predicting-key-1 predict mine\nmanaging-key-123 manage\n";
    settings.keys = Keys::parse(keys).unwrap();
    let router = service(settings);
    let with = |key: &str, method: Method, path: &str, body: Value| {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
        let (router, request) = (router.clone(), request.body(body).unwrap());
        async move { send(&router, request).await.status }
    };
    let say = |name: &str| json!({ "inputs": "good", "adapter": name });
    let (predict, manage) = ("predicting-key-1", "managing-key-123");
    for (key, method, path, body, status) in [
        ("", Method::POST, "/predict", say("mine"), 401),
        ("wrong-key-wrong-key", Method::POST, "/predict", say("mine"), 401),
        (predict, Method::POST, "/predict", say("mine"), 200),
        (predict, Method::POST, "/predict", say("theirs"), 403),
        (predict, Method::PUT, "/adapters/mine", Value::Null, 403),
        (predict, Method::DELETE, "/adapters/mine", Value::Null, 403),
        (predict, Method::GET, "/adapters/theirs", Value::Null, 403),
        (manage, Method::PUT, "/adapters/mine", Value::Null, 200),
        (manage, Method::POST, "/predict", say("theirs"), 200),
        ("", Method::GET, "/adapters", Value::Null, 401),
        ("", Method::GET, "/metrics", Value::Null, 401),
        ("", Method::GET, "/health", Value::Null, 200),
        ("", Method::GET, "/ready", Value::Null, 200),
    ] {
        assert_eq!(with(key, method.clone(), path, body).await, status, "{key} {method} {path}");
    }
}

#[tokio::test]
async fn the_description_lists_every_address() {
    let world = World::new();
    world.adapter("a", "lora", 1, TWO);
    let router = service(settings(&world));
    let described = get(&router, "/openapi.json").await.json;
    assert_eq!(described["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let reply =
                ask(&router, method.clone(), &path.replace("{name}", "a"), &json!({})).await;
            assert!(![404, 405, 500].contains(&reply.status), "{method} {path}: {}", reply.text);
        }
    }
    let routes = include_str!("../src/routes/mod.rs");
    for line in routes.lines().filter(|l| l.trim().starts_with("\"/") || l.contains(".route(\"/")) {
        let path = line.split('"').nth(1).unwrap().replace("{*name}", "{name}");
        let of_people = ["/", "/try", "/openapi.json"].contains(&&*path);
        assert!(of_people || described["paths"].get(&path).is_some(), "{path}");
    }
    let page = get(&router, "/").await.text;
    assert!(page.contains("<title>") && page == get(&router, "/try").await.text);
}
