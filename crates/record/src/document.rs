use serde::{Deserialize, Serialize};

/// The file format that a document was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// HTML, boilerplate removed.
    Html,
    /// Markdown (CommonMark with pipe tables).
    Markdown,
    /// Plain text.
    Text,
    /// PDF with a text layer.
    Pdf,
}

/// One sentence, list entry or table row, numbered from 1 within its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// Position in the document, from 1.
    pub number: u32,
    /// The sentence, white space collapsed. A table row reads `header: cell; header: cell`.
    pub text: String,
}

/// A passage under one heading: the unit of retrieval and of synthesis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// `document#k`, k from 0.
    pub id: String,
    /// Id of the document that it belongs to.
    pub document: String,
    /// Headings above the passage, outermost first.
    pub headings: Vec<String>,
    /// Its sentences in reading order.
    pub sentences: Vec<Sentence>,
}

impl Chunk {
    /// The passage as running text, without headings.
    pub fn text(&self) -> String {
        self.sentences.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// A document as read: its chunks, and where they came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Path relative to the documents' folder, with `/` on every system.
    pub id: String,
    /// Title element, first heading, or the file name.
    pub title: String,
    /// SHA-256 of the file's bytes, in hex.
    pub sha256: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// What the file was taken for.
    pub format: Format,
    /// Name of the detected text encoding, e.g. `UTF-8`.
    pub encoding: String,
    /// The passages in reading order.
    pub chunks: Vec<Chunk>,
}

/// The sentence that supports a fact, a sample or an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Citation {
    /// Id of the document.
    pub document: String,
    /// Number of the sentence in it, from 1.
    pub sentence: u32,
    /// The sentence's text.
    pub text: String,
}
