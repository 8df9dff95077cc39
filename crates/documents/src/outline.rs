use record::{Chunk, Sentence};

use crate::Config;
use crate::sentence::split;

/// Level of a heading that is none by mark-up: a paragraph of bold words, a defined term.
pub(crate) const LOOSE: u8 = 7;

/// What a reader of one format finds, in reading order. Texts may hold any white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    /// A heading of a level from 1; an empty one only closes the headings of its level and deeper.
    Heading(u8, String),
    /// A paragraph or a list entry: sentences.
    Text(String),
    /// A table row, a definition, a line of code: one sentence.
    Line(String),
}

/// A document as its format's reader found it.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// The title that the format itself names.
    pub title: Option<String>,
    /// Blocks in reading order.
    pub blocks: Vec<Block>,
}

impl Content {
    /// The title: the format's own, the first heading, or the file's name.
    pub fn title(&self, id: &str) -> String {
        let heading = self.blocks.iter().find_map(|block| match block {
            Block::Heading(level, text) if *level < LOOSE && !text.trim().is_empty() => Some(text),
            _ => None,
        });
        let title = self.title.as_ref().filter(|t| !t.trim().is_empty()).or(heading);
        title.map_or_else(|| id.rsplit('/').next().unwrap_or(id).to_string(), |t| collapse(t))
    }

    /// Adds `term: definition` if that is one short sentence, else the term as a loose heading over
    /// the definition.
    pub fn define(&mut self, term: &str, definition: &str) {
        let (term, definition) = (collapse(term), collapse(definition));
        if definition.split(' ').count() <= 25 && split(&definition).len() == 1 {
            self.blocks.push(Block::Line(format!("{term}: {definition}")));
        } else {
            self.blocks.push(Block::Heading(LOOSE, term));
            self.blocks.push(Block::Text(definition));
            self.blocks.push(Block::Heading(LOOSE, String::new()));
        }
    }
}

/// White space collapsed to single spaces, none at the ends.
pub(crate) fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Puts blocks into chunks: a new one at each heading and before `config.chunk_words` are passed.
pub(crate) fn chunks(document: &str, blocks: &[Block], config: &Config) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut headings: Vec<(u8, String)> = Vec::new();
    let mut open = false;
    let mut words = 0;
    let mut number = 0;
    let mut add = |text: String, headings: &[(u8, String)], open: &mut bool| {
        let count = text.split(' ').count();
        if !*open || words + count > config.chunk_words {
            chunks.push(Chunk {
                id: format!("{document}#{}", chunks.len()),
                document: document.to_string(),
                headings: headings.iter().map(|(_, text)| text.clone()).collect(),
                sentences: Vec::new(),
            });
            (*open, words) = (true, 0);
        }
        words += count;
        number += 1;
        if let Some(chunk) = chunks.last_mut() {
            chunk.sentences.push(Sentence { number, text });
        }
    };
    for block in blocks {
        match block {
            Block::Heading(level, text) => {
                headings.retain(|(above, _)| above < level);
                let text = collapse(text);
                if !text.is_empty() {
                    headings.push((*level, text));
                }
                open = false;
            }
            Block::Text(text) => {
                for sentence in split(&collapse(text)) {
                    add(sentence.to_string(), &headings, &mut open);
                }
            }
            Block::Line(text) => {
                let text = collapse(text);
                if !text.is_empty() {
                    add(text, &headings, &mut open);
                }
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_ends_at_a_heading_and_before_the_limit() {
        let blocks = [
            Block::Heading(1, "A".into()),
            Block::Text("One two three. Four five six. Seven.".into()),
            Block::Heading(2, "B".into()),
            Block::Line("x: y".into()),
            Block::Heading(1, "C".into()),
            Block::Text("Last.".into()),
        ];
        let chunks = chunks("d", &blocks, &Config { chunk_words: 6, ..Config::default() });
        let seen: Vec<_> = chunks.iter().map(|c| (c.headings.join("/"), c.text())).collect();
        let expected = [("A", "One two three. Four five six."), ("A", "Seven."), ("A/B", "x: y"), ("C", "Last.")];
        assert_eq!(seen, expected.map(|(h, t)| (h.to_string(), t.to_string())));
    }

    #[test]
    fn a_long_definition_stands_under_its_term() {
        let mut content = Content::default();
        content.define("Sked", "a call at a fixed time");
        content.define("abs(X)", "It returns a number. It takes X.");
        let chunks = chunks("d", &content.blocks, &Config::default());
        assert_eq!(chunks[0].sentences[0].text, "Sked: a call at a fixed time");
        assert_eq!((chunks[1].headings[0].as_str(), chunks[1].sentences.len()), ("abs(X)", 2));
    }
}
