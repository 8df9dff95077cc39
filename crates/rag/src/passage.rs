use record::Chunk;

use crate::lexical::distinct;
use crate::{Config, Lexical, terms};

/// A piece of a chunk that was found for a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// Index of the chunk in [`Retriever::chunks`].
    pub chunk: usize,
    /// BM25 score of the whole chunk.
    pub score: f64,
    /// Headings, then the best sentences in reading order; ` … ` where sentences were left out.
    pub text: String,
}

/// Chunks and their index, ready to answer queries with passages.
#[derive(Debug, Clone)]
pub struct Retriever {
    chunks: Vec<Chunk>,
    index: Lexical,
    config: Config,
}

impl Retriever {
    /// Indexes the chunks and keeps them.
    pub fn new(chunks: Vec<Chunk>, config: Config) -> Self {
        let index = Lexical::with(&chunks, &config);
        Self { chunks, index, config }
    }

    /// The chunks, in the order in which they were given.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The best passages for a query, best first; none if no term of it occurs anywhere.
    pub fn passages(&self, query: &str) -> Vec<Passage> {
        let cut = |(chunk, score)| Passage { chunk, score, text: self.cut(&self.chunks[chunk], query) };
        self.index.search(query, self.config.passages).into_iter().map(cut).collect()
    }

    /// Trims a chunk to the word budget. Sentences are taken by the summed weight of the query's
    /// terms in them, then by nearness to the best one, as long as they fit.
    fn cut(&self, chunk: &Chunk, query: &str) -> String {
        let heading = chunk.headings.join(" › ");
        let budget = self.config.words.saturating_sub(words(&heading)).max(1);
        let query = distinct(terms(query));
        let weight = |text: &str| -> f64 {
            let here = terms(text);
            query.iter().filter(|term| here.contains(term)).map(|term| self.index.idf(term)).sum()
        };
        let weights: Vec<f64> = chunk.sentences.iter().map(|s| weight(&s.text)).collect();
        let best = (0..weights.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b]).then(b.cmp(&a))).unwrap_or(0);
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.abs_diff(best).cmp(&b.abs_diff(best))));

        let mut taken: Vec<usize> = Vec::new();
        let mut left = budget;
        for index in order {
            let length = words(&chunk.sentences[index].text);
            if length <= left || taken.is_empty() {
                left = left.saturating_sub(length);
                taken.push(index);
            }
        }
        taken.sort_unstable();
        let mut text = String::new();
        let mut next = 0;
        for (position, &index) in taken.iter().enumerate() {
            let gap = index != next;
            text.push_str(match (position, gap) {
                (0, false) => "",
                (0, true) => "… ",
                (_, false) => " ",
                (_, true) => " … ",
            });
            text.push_str(&first_words(&chunk.sentences[index].text, budget));
            next = index + 1;
        }
        if heading.is_empty() { text } else { format!("{heading}: {text}") }
    }
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A single sentence or table row may be longer than the whole budget.
fn first_words(text: &str, limit: usize) -> String {
    if words(text) <= limit {
        return text.into();
    }
    text.split_whitespace().take(limit).collect::<Vec<_>>().join(" ") + " …"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexical::tests::chunk;

    fn retriever(words: usize, sentences: &[&str]) -> Retriever {
        let other = chunk("1", &["Other"], &["Nothing to see here."]);
        Retriever::new(vec![chunk("0", &["Radio"], sentences), other], Config { words, ..Config::default() })
    }

    const MAST: [&str; 5] = [
        "The log is green.",
        "It is written in ink.",
        "Six stays hold it.",
        "The mast is 42 metres high.",
        "Nobody climbs it.",
    ];

    #[test]
    fn the_best_sentence_and_its_neighbours_fit_the_budget() {
        let passages = retriever(13, &MAST).passages("How high is the mast?");
        assert_eq!(passages.len(), 1);
        assert_eq!(passages[0].text, "Radio: … Six stays hold it. The mast is 42 metres high.");
        let whole = retriever(100, &MAST).passages("How high is the mast?");
        assert_eq!(whole[0].text, format!("Radio: {}", MAST.join(" ")));
    }

    #[test]
    fn sentences_left_out_show_as_a_gap_and_an_endless_one_is_cut() {
        let passages = retriever(11, &MAST).passages("mast log");
        assert_eq!(passages[0].text, "Radio: The log is green. … The mast is 42 metres high.");
        let cut = retriever(4, &["mast one two three four five six"]).passages("mast");
        assert_eq!(cut[0].text, "Radio: mast one two …");
    }
}
