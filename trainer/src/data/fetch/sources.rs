//! The data sets that can be fetched: their files, sizes, hashes and mirrors.

use super::{RemoteFile, Source};

/// Every data set that [`fetch`](super::fetch) knows.
pub const SOURCES: &[Source<'static>] = &[MNIST, FASHION_MNIST, CIFAR10];

/// The data set of that name.
pub fn source(name: &str) -> Option<&'static Source<'static>> {
    SOURCES.iter().find(|s| s.name == name)
}

const fn file(
    name: &'static str,
    bytes: u64,
    sha256: &'static str,
    content_sha256: Option<&'static str>,
) -> RemoteFile<'static> {
    RemoteFile { name, bytes, sha256, content_sha256 }
}

// The original site, yann.lecun.com, refuses downloads; both mirrors serve its files. Hashes of the gzipped files: as
// published in many places since 2016 (TensorFlow Datasets' checksums, Julia's MLDatasets, red-datasets). Hashes of the
// content: of the files themselves, which decompress to these bytes however they were gzipped.
const MNIST: Source<'static> = Source {
    name: "mnist",
    mirrors: &[
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ],
    files: &[
        file(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            Some("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        ),
        file(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            Some("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        ),
        file(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            Some("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        ),
        file(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            Some("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        ),
    ],
};

// Mirrors: the authors' bucket and their repository (zalandoresearch/fashion-mnist, which publishes the MD5 sums). Hashes:
// as found beside those MD5 sums in Julia's Flux and MLDatasets and in other loaders, all alike.
const FASHION_MNIST: Source<'static> = Source {
    name: "fashion-mnist",
    mirrors: &[
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
    ],
    files: &[
        file(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            None,
        ),
        file(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            None,
        ),
        file(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            None,
        ),
        file(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            None,
        ),
    ],
};

// The author's page gives the MD5 sum c32a1d4ab5d03f1284b67883e8d87530; the SHA-256 is the one that red-datasets and
// TensorFlow Datasets check.
const CIFAR10: Source<'static> = Source {
    name: "cifar10",
    mirrors: &["https://www.cs.toronto.edu/~kriz"],
    files: &[file(
        "cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        None,
    )],
};
