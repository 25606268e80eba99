//! An adapter with its whole base as a folder for ONNX Runtime, in the layout that Optimum and
//! transformers.js read.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use budwood_base::encoder::InputSpec;
use budwood_base::head::HeadKind;
use budwood_formats::native::{AdapterFolder, AdapterMeta};
use budwood_formats::{BaseModel, model_folder};
use budwood_images::Processor;
use budwood_onnx::{Model, Request, SharedBase};
use budwood_tasks::Tokenizer;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::checked::{Written, check};
use crate::reader::Reader;

pub use budwood_onnx::Precision as OnnxPrecision;

/// The folder of the graphs in an export.
const GRAPHS: &str = "onnx";
/// The file of weights that graphs share.
const SHARED: &str = "base.onnx_data";
const PREPROCESSOR: &str = "preprocessor_config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// What `tokenizer_config.json` says of BERT's tokenizer.
const BERT: &[(&str, &str)] = &[
    ("tokenizer_class", "BertTokenizer"),
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];
/// The same of RoBERTa's.
const ROBERTA: &[(&str, &str)] = &[
    ("tokenizer_class", "RobertaTokenizer"),
    ("bos_token", "<s>"),
    ("eos_token", "</s>"),
    ("unk_token", "<unk>"),
    ("sep_token", "</s>"),
    ("pad_token", "<pad>"),
    ("cls_token", "<s>"),
    ("mask_token", "<mask>"),
];

/// The name of a graph's file, as transformers.js looks for it.
fn graph_name(precision: OnnxPrecision) -> &'static str {
    match precision {
        OnnxPrecision::F32 => "model.onnx",
        OnnxPrecision::Int8 => "model_quantized.onnx",
    }
}

/// Writes the files into `out`, an empty folder: `config.json` with the names of the classes, the
/// tokenizer or `preprocessor_config.json`, and for each precision `onnx/model.onnx` or
/// `onnx/model_quantized.onnx`. Returns the files' names, and what should be known of them.
///
/// # Errors
/// If the base is not the adapter's or is stored in int8, something has no form in ONNX, or a file
/// cannot be written.
pub(crate) fn export_onnx(
    folder: &AdapterFolder,
    base: &BaseModel,
    precisions: &[OnnxPrecision],
    out: &Path,
) -> Result<Written, Error> {
    let mut notes = check([folder], base)?;
    let (mut names, image) = write_small(folder, base, out, "", &mut notes)?;
    make(&out.join(GRAPHS))?;
    let usual = [OnnxPrecision::F32];
    let wanted = if precisions.is_empty() { &usual } else { precisions };
    notes.extend(folder.meta.trained_on_bytes().filter(|_| wanted.contains(&OnnxPrecision::F32)));
    for (i, &precision) in wanted.iter().enumerate() {
        if wanted[..i].contains(&precision) {
            continue;
        }
        let name = format!("{GRAPHS}/{}", graph_name(precision));
        let request = request(folder, base, precision, image);
        write_graph(&out.join(&name), &request, folder, base)?;
        names.push(name);
    }
    Ok((names, notes))
}

/// Writes graphs of several adapters of one base, by their names, into `out`, an empty folder:
/// `onnx/base.onnx_data` with the base's weights, for each adapter `onnx/NAME.onnx`, which refers
/// to them, and a folder `NAME` with what else [`crate::export`] writes. All in f32. Returns the
/// files' names, and what should be known of them.
///
/// # Errors
/// As [`crate::export`], and if a name is no plain name of a file or is there twice.
pub fn export_onnx_shared(
    adapters: &[(String, AdapterFolder)],
    base: &BaseModel,
    out: &Path,
) -> Result<Written, Error> {
    let mut names = Vec::new();
    for (i, (name, _)) in adapters.iter().enumerate() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let fault = match name {
            name if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) => {
                "holds other characters than letters, digits and -_."
            }
            name if name == GRAPHS => "is that of the folder of graphs",
            name if adapters[..i].iter().any(|(other, _)| other == name) => "is there twice",
            _ => continue,
        };
        return Err(Error::Adapter(format!(
            "the adapter's name {name:?} {fault}: rename its folder"
        )));
    }
    let mut notes = check(adapters.iter().map(|(_, folder)| folder), base)?;
    notes.extend(adapters.iter().find_map(|(_, folder)| folder.meta.trained_on_bytes()));
    make(&out.join(GRAPHS))?;
    let shared = SharedBase::new(base.spec(), SHARED);
    let name = format!("{GRAPHS}/{SHARED}");
    let fetch = |name: &str| Ok::<_, Error>(base.tensor(name)?);
    write(&out.join(&name), |file| shared.write(base.spec(), file, fetch))?;
    names.push(name);
    for (name, folder) in adapters {
        make(&out.join(name))?;
        let (files, image) = write_small(folder, base, out, &format!("{name}/"), &mut notes)?;
        names.extend(files);
        let graph = format!("{GRAPHS}/{name}.onnx");
        let request = request(folder, base, OnnxPrecision::F32, image);
        let request = Request { shared: Some(&shared), ..request };
        write_graph(&out.join(&graph), &request, folder, base)?;
        names.push(graph);
    }
    notes.dedup();
    Ok((names, notes))
}

fn request<'a>(
    folder: &'a AdapterFolder,
    base: &'a BaseModel,
    precision: OnnxPrecision,
    image: (usize, usize),
) -> Request<'a> {
    Request {
        encoder: base.spec(),
        method: &folder.meta.method,
        head: &folder.meta.head,
        tensors: &folder.tensors,
        precision,
        token_types: base.family().frame.types,
        image,
        shared: None,
    }
}

fn write_graph(
    path: &Path,
    request: &Request<'_>,
    folder: &AdapterFolder,
    base: &BaseModel,
) -> Result<(), Error> {
    let mut fetch = |name: &str| Ok::<_, Error>(base.tensor(name)?);
    let model = Model::new(request, &mut fetch)?;
    write(path, |file| model.write(file, &described(&folder.meta), fetch))
}

/// Writes the files beside the graphs below a name; theirs, and height and width of images.
fn write_small(
    folder: &AdapterFolder,
    base: &BaseModel,
    out: &Path,
    below: &str,
    notes: &mut Vec<String>,
) -> Result<(Vec<String>, (usize, usize)), Error> {
    let (files, image) = small_files(&folder.meta, base, notes)?;
    let mut names = Vec::new();
    for (name, bytes) in files {
        let name = format!("{below}{name}");
        let path = out.join(&name);
        write(&path, |file| file.write_all(&bytes).map_err(cannot_write(&path)))?;
        names.push(name);
    }
    Ok((names, image))
}

fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir(folder).map_err(cannot_write(folder))
}

/// Writes a file by what `fill` puts into it.
fn write(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut file = BufWriter::new(File::create(path).map_err(cannot_write(path))?);
    fill(&mut file).map_err(|error| match error {
        // A graph does not know where it is written.
        Error::Onnx(budwood_onnx::Error::Io(source)) => cannot_write(path)(source),
        other => other,
    })?;
    file.flush().map_err(cannot_write(path))
}

fn cannot_write(path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path: PathBuf = path.into();
    move |source| budwood_formats::Error::Io { path: path.clone(), source }.into()
}

/// What the file says of itself.
fn described(meta: &AdapterMeta) -> [(&'static str, String); 5] {
    [
        ("budwood.task", meta.task.name.clone()),
        ("budwood.method", meta.method.to_string()),
        ("budwood.base", meta.base.name.clone()),
        ("budwood.base_sha256", meta.base.weights_sha256.clone()),
        ("budwood.labels", json!(meta.labels).to_string()),
    ]
}

/// Files by name.
type Files = Vec<(String, Vec<u8>)>;

/// All files but the graphs, and height and width of images.
fn small_files(
    meta: &AdapterMeta,
    base: &BaseModel,
    notes: &mut Vec<String>,
) -> Result<(Files, (usize, usize)), Error> {
    let mut files: Files = model_folder::other_files(base)?;
    let mut config = model_folder::task_config(base, meta)?;
    config["budwood"] = task(meta);
    put(&mut files, "config.json", &config);
    match &base.spec().input {
        InputSpec::Text(_) => {
            tokenizer_files(meta, base, &mut files, notes)?;
            Ok((files, (0, 0)))
        }
        InputSpec::Image(_) => {
            let size = prepare_images(meta, base, &mut files)?;
            Ok((files, size))
        }
    }
}

/// Has the file beside a model say how the adapter's images are prepared; their height and width.
pub(crate) fn prepare_images(
    meta: &AdapterMeta,
    base: &BaseModel,
    files: &mut Files,
) -> Result<(usize, usize), Error> {
    let Reader::Images(processor, _) = Reader::of_adapter(base, &meta.task)? else {
        return Err(Error::Adapter("the adapter reads texts, its base images".into()));
    };
    let own = found(files, PREPROCESSOR)?.unwrap_or_else(
        || json!({ "image_processor_type": "ViTImageProcessor", "size": base_side(base) }),
    );
    put(files, PREPROCESSOR, &prepared_as(own, &processor)?);
    Ok(processor.output()?)
}

fn base_side(base: &BaseModel) -> usize {
    match &base.spec().input {
        InputSpec::Image(image) => image.image_size,
        InputSpec::Text(_) => 0,
    }
}

/// What an answer is made of beside the graph's outputs.
fn task(meta: &AdapterMeta) -> Value {
    let task = &meta.task;
    let stride = is_asked(meta).then(|| task.doc_stride.unwrap_or(crate::DOC_STRIDE));
    let all = json!({
        "task": task.kind,
        "max_length": task.max_length,
        "doc_stride": stride,
        "thresholds": task.thresholds,
        "none_threshold": task.none_threshold,
    });
    let kept = all.as_object().cloned().unwrap_or_default().into_iter();
    Value::Object(kept.filter(|(_, value)| !value.is_null()).collect())
}

fn is_asked(meta: &AdapterMeta) -> bool {
    meta.head.kind == HeadKind::QuestionAnswering
}

fn put(files: &mut Files, name: &str, value: &Value) {
    files.retain(|(other, _)| other != name);
    files.push((name.into(), format!("{value:#}\n").into_bytes()));
}

fn found(files: &Files, name: &str) -> Result<Option<Value>, Error> {
    let file = files.iter().find(|(other, _)| other == name);
    Ok(file.map(|(_, bytes)| serde_json::from_slice(bytes)).transpose()?)
}

/// `tokenizer.json`, and texts cut to the adapter's length.
fn tokenizer_files(
    meta: &AdapterMeta,
    base: &BaseModel,
    files: &mut Files,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let frame = base.family().frame;
    let before = files.len();
    files.retain(|(name, _)| name != TOKENIZER);
    let is_old = files.len() == before;
    // Readers of `tokenizer.json` alone see no settings beside it. Questions are read in windows.
    let length = (!is_asked(meta)).then_some(meta.task.max_length);
    match Tokenizer::open(base.folder(), frame) {
        Ok(tokenizer) => files.push((TOKENIZER.into(), tokenizer.to_json(length)?.into_bytes())),
        Err(e) => {
            notes.push(format!("no tokenizer is beside the graph: {e}"));
            return Ok(());
        }
    }
    let mut config = found(files, TOKENIZER_CONFIG)?.unwrap_or_else(|| json!({}));
    let Value::Object(fields) = &mut config else {
        let message = format!("{TOKENIZER_CONFIG} of the base is not an object");
        return Err(Error::Setting { name: "base", message });
    };
    fields.insert("model_max_length".into(), json!(meta.task.max_length));
    fields.insert("padding_side".into(), json!("right"));
    fields.insert("model_input_names".into(), json!(input_names(base)));
    // What the classes of `transformers` for the older files take for granted.
    let defaults = if frame.doubled { ROBERTA } else { BERT };
    for (name, value) in defaults.iter().filter(|_| is_old) {
        fields.entry(*name).or_insert_with(|| json!(value));
    }
    put(files, TOKENIZER_CONFIG, &config);
    Ok(())
}

/// The graph's inputs that a tokenizer gives: those of the base may be fewer.
fn input_names(base: &BaseModel) -> Vec<&'static str> {
    let several = matches!(&base.spec().input, InputSpec::Text(text) if text.token_types > 1);
    let mut names = vec!["input_ids", "attention_mask"];
    names.extend((several && base.family().frame.types).then_some("token_type_ids"));
    names
}

/// A configuration by which images are prepared as by `processor`.
fn prepared_as(mut config: Value, processor: &Processor) -> Result<Value, Error> {
    if Processor::from_config(&config)? == *processor {
        return Ok(config);
    }
    let sides = |(height, width): (usize, usize)| json!({ "height": height, "width": width });
    let fields = json!({
        "do_resize": processor.resize.is_some(),
        "size": processor.resize.map(|size| match size {
            budwood_images::Size::Exact(height, width) => sides((height, width)),
            budwood_images::Size::ShortestEdge(side) => json!({ "shortest_edge": side }),
        }),
        "do_center_crop": processor.crop.is_some(),
        "crop_size": processor.crop.map(sides),
    });
    if let (Some(config), Some(fields)) = (config.as_object_mut(), fields.as_object()) {
        let given: Map<String, Value> = fields
            .iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        config.extend(given);
    }
    if Processor::from_config(&config)? == *processor {
        return Ok(config);
    }
    let message = format!(
        "the adapter's images were prepared in a way that the base's {PREPROCESSOR} does not lead to; \
         give the base as it was in training"
    );
    Err(Error::Setting { name: "base", message })
}
