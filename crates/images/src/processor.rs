//! What a model's `preprocessor_config.json` asks for: resize, crop, scale, normalise, in this
//! order, as the image processors of `transformers` do it on arrays.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Filter, PIXELS_MAX, Rgb, resize};

/// The largest side that images are resized to.
const SIDE_MAX: usize = 8192;

/// How an image becomes a model's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Processor {
    /// The size that images are resized to, if they are.
    pub resize: Option<Size>,
    /// The filter for that.
    pub filter: Filter,
    /// Height and width of the part around the middle that is kept.
    pub crop: Option<(usize, usize)>,
    /// What grey levels are multiplied by.
    pub rescale: Option<f64>,
    /// Mean and standard deviation of the channels, red, green, blue: `(x - mean) / std`.
    pub normalize: Option<([f32; 3], [f32; 3])>,
    /// Whether of an odd number of black lines around an image that is smaller than the crop, the
    /// odd one is below and to the right, as in the library's fast processors. Elsewhere it is
    /// above and to the left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pads_end: bool,
}

/// A size to resize to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Height and width, whatever the image's shape.
    Exact(usize, usize),
    /// The shorter side; the image keeps its shape.
    ShortestEdge(usize),
}

/// What a kind of processor does where its file says nothing.
struct Kind {
    name: &'static str,
    size: Size,
    filter: Filter,
    crop: Option<usize>,
    mean: [f32; 3],
    std: [f32; 3],
}

const HALF: [f32; 3] = [0.5; 3];
const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Fields beside `do_` ones that change pixels and are not followed.
const NOT_FOLLOWED: &[&str] = &["crop_pct", "use_square_size", "size_divisor", "max_num_patches"];

/// Steps that are followed, or that change nothing of images in red, green and blue.
const STEPS: &[&str] = &[
    "do_resize",
    "do_center_crop",
    "do_rescale",
    "do_normalize",
    "do_convert_rgb",
    "do_reduce_labels",
];

/// The kind whose images are resized after they were scaled, without rounding to grey levels.
const UNROUNDED: &str = "DINOv3ViT";

const KINDS: &[Kind] = &[
    Kind {
        name: "ViT",
        size: Size::Exact(224, 224),
        filter: Filter::Bilinear,
        crop: None,
        mean: HALF,
        std: HALF,
    },
    Kind {
        name: "DeiT",
        size: Size::Exact(256, 256),
        filter: Filter::Bicubic,
        crop: Some(224),
        mean: HALF,
        std: HALF,
    },
    Kind {
        name: "Bit",
        size: Size::ShortestEdge(224),
        filter: Filter::Bicubic,
        crop: Some(224),
        mean: CLIP_MEAN,
        std: CLIP_STD,
    },
    Kind {
        name: "CLIP",
        size: Size::ShortestEdge(224),
        filter: Filter::Bicubic,
        crop: Some(224),
        mean: CLIP_MEAN,
        std: CLIP_STD,
    },
    Kind {
        name: "Siglip",
        size: Size::Exact(224, 224),
        filter: Filter::Bicubic,
        crop: None,
        mean: HALF,
        std: HALF,
    },
    Kind {
        name: UNROUNDED,
        size: Size::Exact(224, 224),
        filter: Filter::Bilinear,
        crop: None,
        mean: IMAGENET_MEAN,
        std: IMAGENET_STD,
    },
];

/// The largest configuration that is read, in bytes: a hundred times those that exist.
const BYTES: u64 = 1 << 20;

impl Processor {
    /// The processor of a model's folder; without a `preprocessor_config.json` that of ViT, to
    /// squares of `side`.
    ///
    /// # Errors
    /// If the file cannot be read or followed.
    pub fn open(folder: &Path, side: usize) -> Result<Self, Error> {
        let path = folder.join("preprocessor_config.json");
        if !path.exists() {
            return Self::from_config(&serde_json::json!({ "size": side }));
        }
        let fault = |e: &dyn std::fmt::Display| Error::Config(format!("{}: {e}", path.display()));
        let text = budwood_base::files::read_plain_text(&path, BYTES).map_err(|e| fault(&e))?;
        if let Some(what) = budwood_base::files::foreign(text.as_bytes()) {
            return Err(fault(&what));
        }
        budwood_base::json::check(text.as_bytes()).map_err(|e| fault(&e))?;
        let config = serde_json::from_str(&text).map_err(|e| fault(&e))?;
        Self::from_config(&config).map_err(|e| fault(&e))
    }

    /// Reads a configuration in either form: `size` a number or sides by name; fields may be
    /// missing.
    ///
    /// # Errors
    /// If a field is not of its kind, or the processor is one that is not known.
    pub fn from_config(config: &Value) -> Result<Self, Error> {
        let config = config.as_object().ok_or_else(|| wrong("is not an object"))?;
        let (kind, fast) = kind(config)?;
        check_settings(config)?;
        let flag = |name: &str, default: bool| match config.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| wrong(&format!("{name} is {value}"))),
        };
        let filter = match given(config, "resample") {
            None => kind.filter,
            Some(value) => value
                .as_u64()
                .and_then(Filter::from_number)
                .ok_or_else(|| wrong(&format!("resample {value} is not a filter of Pillow")))?,
        };
        if kind.name == UNROUNDED && filter == Filter::Bicubic {
            return Err(wrong(
                "resample is 3 (bicubic), by which this processor makes values beyond black and white: \
                 not built here; 2 (bilinear) is",
            ));
        }
        let size = match given(config, "size") {
            None => kind.size,
            Some(value) => match (whole(value, "size")?, kind.size) {
                (Size::Exact(n, _), Size::ShortestEdge(_)) if value.is_u64() => {
                    Size::ShortestEdge(n)
                }
                (size, _) => size,
            },
        };
        let crop = match (given(config, "crop_size"), kind.crop) {
            (Some(value), _) => match whole(value, "crop_size")? {
                Size::Exact(height, width) => (height, width),
                Size::ShortestEdge(side) => (side, side),
            },
            (None, side) => (side.unwrap_or(224), side.unwrap_or(224)),
        };
        let rescale = match given(config, "rescale_factor") {
            None => 1.0 / 255.0,
            Some(value) => value
                .as_f64()
                .filter(|x| x.is_finite() && *x > 0.0)
                .ok_or_else(|| wrong(&format!("rescale_factor is {value}")))?,
        };
        let mean = channels(config, "image_mean", kind.mean)?;
        let std = channels(config, "image_std", kind.std)?;
        if std.iter().any(|s| *s <= 0.0) {
            return Err(wrong("image_std holds a number that is not above 0"));
        }
        let mut processor = Self {
            resize: flag("do_resize", true)?.then_some(size),
            filter,
            crop: flag("do_center_crop", kind.crop.is_some())?.then_some(crop),
            rescale: flag("do_rescale", true)?.then_some(rescale),
            normalize: flag("do_normalize", true)?.then_some((mean, std)),
            pads_end: false,
        };
        processor.pads_end = fast && processor.may_pad();
        processor.check()?;
        Ok(processor)
    }

    /// The processor that an adapter's description holds, as this type is written.
    ///
    /// # Errors
    /// If it is not one, or asks for what no image can be.
    pub fn recorded(value: &Value) -> Result<Self, Error> {
        let processor: Self = serde_json::from_value(value.clone())
            .map_err(|e| wrong(&format!("is not how images are prepared: {e}")))?;
        processor.check()?;
        Ok(processor)
    }

    /// Whether an image can be smaller than the crop.
    fn may_pad(&self) -> bool {
        let Some((height, width)) = self.crop else { return false };
        match self.resize {
            None => true,
            Some(Size::Exact(h, w)) => h < height || w < width,
            Some(Size::ShortestEdge(side)) => side < height.max(width),
        }
    }

    /// Refuses sizes beyond bounds, and factors from which pixels come out that are no numbers.
    ///
    /// # Errors
    /// Naming what cannot be followed.
    pub fn check(&self) -> Result<(), Error> {
        let resize = self.resize.map(|size| match size {
            Size::Exact(height, width) => (height, width),
            Size::ShortestEdge(side) => (side, side),
        });
        for (height, width) in [resize, self.crop].into_iter().flatten() {
            if !(1..=SIDE_MAX).contains(&height) || !(1..=SIDE_MAX).contains(&width) {
                return Err(wrong(&format!(
                    "a size is {height} x {width}; sides of 1 to {SIDE_MAX} are possible"
                )));
            }
        }
        if let Some((_, std)) = self.normalize
            && let Some(bad) = std.iter().find(|s| !(s.is_finite() && **s > 0.0))
        {
            return Err(wrong(&format!(
                "image_std holds {bad}, by which pixels cannot be divided"
            )));
        }
        if (0..3).any(|channel| self.levels(channel).iter().any(|x| !x.is_finite())) {
            return Err(wrong(
                "rescale_factor, image_mean and image_std make pixels that are no numbers",
            ));
        }
        Ok(())
    }

    /// The same for images of another size: the crop, or the size where there is none, becomes a
    /// square of `side`; what is cut off keeps its share.
    #[must_use]
    pub fn with_side(mut self, side: usize) -> Self {
        let scaled = |n: usize, before: usize| (n * side + before / 2) / before.max(1);
        self.resize = Some(match (self.resize, self.crop) {
            (Some(Size::Exact(h, w)), Some((ch, cw))) => Size::Exact(scaled(h, ch), scaled(w, cw)),
            (Some(Size::ShortestEdge(n)), Some((ch, cw))) => {
                Size::ShortestEdge(scaled(n, ch.min(cw)))
            }
            (Some(Size::ShortestEdge(_)), None) => Size::ShortestEdge(side),
            (Some(Size::Exact(..)) | None, _) => Size::Exact(side, side),
        });
        let square = matches!(self.resize, Some(Size::Exact(..))) && self.crop.is_none();
        self.crop = (!square).then_some((side, side));
        self
    }

    /// Height and width of every prepared image.
    ///
    /// # Errors
    /// If they differ from image to image.
    pub fn output(&self) -> Result<(usize, usize), Error> {
        match (self.crop, self.resize) {
            (Some(sides), _) => Ok(sides),
            (None, Some(Size::Exact(height, width))) => Ok((height, width)),
            _ => Err(wrong(
                "it leaves images of different sizes; say which one all should have (--image-size)",
            )),
        }
    }

    /// Resizes and crops.
    #[must_use]
    pub fn prepare(&self, image: &Rgb) -> Rgb {
        let resized = self.resize.map(|size| {
            let (height, width) = size.of(image);
            resize(image, width, height, self.filter)
        });
        let image = resized.as_ref().unwrap_or(image);
        match self.crop {
            None => image.clone(),
            Some((height, width)) => {
                let offset = |image: usize, crop: usize| {
                    let outside = image as isize - crop as isize;
                    if self.pads_end { outside / 2 } else { outside.div_euclid(2) }
                };
                let (left, top) = (offset(image.width, width), offset(image.height, height));
                image.crop(left, top, width, height)
            }
        }
    }

    /// Scales and normalises: `[3, height, width]` from `[height, width, 3]`.
    ///
    /// # Panics
    /// If `out` has another size.
    pub fn normalize(&self, image: &Rgb, out: &mut [f32]) {
        let n = image.width * image.height;
        assert_eq!(out.len(), 3 * n, "three channels");
        for (channel, out) in out.chunks_exact_mut(n).enumerate() {
            let levels = self.levels(channel);
            for (out, pixel) in out.iter_mut().zip(image.pixels.chunks_exact(3)) {
                *out = levels[usize::from(pixel[channel])];
            }
        }
    }

    /// What each grey level of a channel becomes.
    fn levels(&self, channel: usize) -> [f32; 256] {
        std::array::from_fn(|level| {
            let x = match self.rescale {
                Some(factor) => (level as f64 * factor) as f32,
                None => level as f32,
            };
            match self.normalize {
                Some((mean, std)) => (x - mean[channel]) / std[channel],
                None => x,
            }
        })
    }
}

impl Size {
    /// Height and width of an image in this size.
    fn of(self, image: &Rgb) -> (usize, usize) {
        match self {
            Self::Exact(height, width) => (height, width),
            Self::ShortestEdge(side) => {
                let (short, long) = (image.width.min(image.height), image.width.max(image.height));
                // A line of pixels would become an image of any size.
                let most = (PIXELS_MAX as usize / side.max(1)).max(1);
                let long = (side * long / short.max(1)).clamp(1, most);
                if image.width <= image.height { (long, side) } else { (side, long) }
            }
        }
    }
}

/// Refuses steps and sizes that are not followed.
fn check_settings(config: &Map<String, Value>) -> Result<(), Error> {
    for (name, value) in config {
        let known_step = !name.starts_with("do_") || STEPS.contains(&name.as_str());
        let acts = !matches!(value, Value::Null | Value::Bool(false));
        if acts && (!known_step || NOT_FOLLOWED.contains(&name.as_str())) {
            return Err(wrong(&format!("{name} is {value}, which is not followed here")));
        }
    }
    Ok(())
}

/// The kind of processor, and whether it is a fast one of the library.
fn kind(config: &Map<String, Value>) -> Result<(&'static Kind, bool), Error> {
    let name = ["image_processor_type", "feature_extractor_type"]
        .iter()
        .find_map(|key| config.get(*key).and_then(Value::as_str));
    let Some(name) = name else { return Ok((&KINDS[0], false)) };
    let plain = name.trim_end_matches("Fast");
    let plain = plain.trim_end_matches("ImageProcessor").trim_end_matches("FeatureExtractor");
    let fast = name.ends_with("Fast");
    KINDS.iter().find(|k| k.name == plain).map(|kind| (kind, fast)).ok_or_else(|| {
        let known: Vec<_> = KINDS.iter().map(|k| k.name).collect();
        wrong(&format!(
            "the image processor {name} is not known; known are those of {}",
            known.join(", ")
        ))
    })
}

fn given<'a>(config: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    config.get(name).filter(|v| !v.is_null())
}

/// A size: a number, a list of height and width, or sides by name.
fn whole(value: &Value, name: &str) -> Result<Size, Error> {
    let side = |value: &Value| {
        let n = value.as_u64().and_then(|n| usize::try_from(n).ok());
        n.filter(|n| (1..=SIDE_MAX).contains(n)).ok_or_else(|| {
            wrong(&format!("{name} has a side of {value}; 1 to {SIDE_MAX} are possible"))
        })
    };
    match value {
        Value::Number(_) => Ok(Size::Exact(side(value)?, side(value)?)),
        Value::Array(sides) if sides.len() == 2 => {
            Ok(Size::Exact(side(&sides[0])?, side(&sides[1])?))
        }
        Value::Object(sides) => {
            match (sides.get("height"), sides.get("width"), sides.get("shortest_edge")) {
                (Some(height), Some(width), _) => Ok(Size::Exact(side(height)?, side(width)?)),
                (_, _, Some(edge)) if !sides.contains_key("longest_edge") => {
                    Ok(Size::ShortestEdge(side(edge)?))
                }
                _ => Err(wrong(&format!(
                    "{name} {value} is neither height and width nor shortest_edge"
                ))),
            }
        }
        _ => Err(wrong(&format!("{name} is {value}"))),
    }
}

fn channels(config: &Map<String, Value>, name: &str, default: [f32; 3]) -> Result<[f32; 3], Error> {
    let number = |value: &Value| value.as_f64().map(|x| x as f32).filter(|x| x.is_finite());
    let found = match given(config, name) {
        None => Some(default),
        Some(Value::Array(list)) => {
            let list: Option<Vec<f32>> = list.iter().map(number).collect();
            list.and_then(|list| list.try_into().ok())
        }
        Some(one) => number(one).map(|x| [x; 3]),
    };
    found.ok_or_else(|| wrong(&format!("{name} is not one number or three")))
}

fn wrong(message: &str) -> Error {
    Error::Config(message.into())
}
