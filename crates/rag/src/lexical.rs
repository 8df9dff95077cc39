use std::collections::HashMap;

use record::Chunk;

use crate::{Config, terms};

/// A BM25 index over chunks.
///
/// score(q, d) = Σ over the distinct terms t of q of
/// idf(t) · f(t, d) · (k1 + 1) / (f(t, d) + k1 · (1 − b + b · |d| / mean |d|)), with
/// idf(t) = ln(1 + (N − n(t) + ½) / (n(t) + ½)), where f(t, d) counts t in the chunk's headings and
/// sentences, |d| is the chunk's number of terms, N the number of chunks and n(t) those that hold t
/// (Robertson and Zaragoza 2009, with the idf that is never negative).
#[derive(Debug, Clone)]
pub struct Lexical {
    /// For each term the chunks that hold it and how often, in the order of the chunks.
    postings: HashMap<String, Vec<(usize, f64)>>,
    /// Terms in each chunk.
    lengths: Vec<f64>,
    mean_length: f64,
    k1: f64,
    b: f64,
}

impl Lexical {
    /// Indexes the chunks with the default settings.
    pub fn new(chunks: &[Chunk]) -> Self {
        Self::with(chunks, &Config::default())
    }

    /// Indexes the chunks.
    pub fn with(chunks: &[Chunk], config: &Config) -> Self {
        let mut postings: HashMap<String, Vec<(usize, f64)>> = HashMap::new();
        let mut lengths = Vec::with_capacity(chunks.len());
        for (index, chunk) in chunks.iter().enumerate() {
            let mut length = 0.0;
            let texts = chunk.headings.iter().chain(chunk.sentences.iter().map(|s| &s.text));
            for term in texts.flat_map(|text| terms(text)) {
                length += 1.0;
                let posting = postings.entry(term).or_default();
                match posting.last_mut() {
                    Some((last, count)) if *last == index => *count += 1.0,
                    _ => posting.push((index, 1.0)),
                }
            }
            lengths.push(length);
        }
        let mean_length = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
        Self { postings, lengths, mean_length, k1: config.k1, b: config.b }
    }

    /// The `k` best chunks with a score above 0: (index of the chunk, score), best first; equal
    /// scores in the order of the chunks.
    pub fn search(&self, query: &str, k: usize) -> Vec<(usize, f64)> {
        let mut scores = vec![0.0; self.lengths.len()];
        for term in distinct(terms(query)) {
            let idf = self.idf(&term);
            for &(chunk, count) in self.postings.get(&term).into_iter().flatten() {
                let length = 1.0 - self.b + self.b * self.lengths[chunk] / self.mean_length;
                scores[chunk] += idf * count * (self.k1 + 1.0) / (count + self.k1 * length);
            }
        }
        let mut hits: Vec<_> = scores.into_iter().enumerate().filter(|(_, score)| *score > 0.0).collect();
        hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        hits.truncate(k);
        hits
    }

    /// Weight of a term: the rarer the higher, above 0 even for a term in every chunk.
    pub fn idf(&self, term: &str) -> f64 {
        let holding = self.postings.get(term).map_or(0, Vec::len) as f64;
        (1.0 + (self.lengths.len() as f64 - holding + 0.5) / (holding + 0.5)).ln()
    }
}

/// Each term once, in the order of first appearance, so that sums have one order.
pub(crate) fn distinct(terms: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    terms.into_iter().filter(|term| seen.insert(term.clone())).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use record::Sentence;

    pub(crate) fn chunk(id: &str, headings: &[&str], sentences: &[&str]) -> Chunk {
        let sentence = |(i, text): (usize, &&str)| Sentence { number: i as u32 + 1, text: text.to_string() };
        Chunk {
            id: id.into(),
            document: "d".into(),
            headings: headings.iter().map(|h| h.to_string()).collect(),
            sentences: sentences.iter().enumerate().map(sentence).collect(),
        }
    }

    #[test]
    fn scores_follow_the_equation() {
        let chunks = [chunk("0", &[], &["apple apple pear"]), chunk("1", &[], &["pear"])];
        // By hand: N = 2, n(apple) = 1, idf = ln(1 + 1.5/1.5); |d| = 3, mean 2, f = 2.
        let expected = 2f64.ln() * 2.0 * 2.2 / (2.0 + 1.2 * (0.25 + 0.75 * 1.5));
        let hits = Lexical::new(&chunks).search("What is an apple?", 5);
        assert_eq!(hits.len(), 1);
        assert!((hits[0].1 - expected).abs() < 1e-12, "{hits:?} {expected}");
    }

    #[test]
    fn identifiers_headings_and_numbers_are_found() {
        let chunks = [
            chunk("0", &["Limits"], &["The default of SQLITE_MAX_COLUMN is 2000."]),
            chunk("1", &["Limits"], &["The default of SQLITE_MAX_LENGTH is 1,000,000,000."]),
            chunk("2", &["Hovercraft"], &["It is full of eels."]),
        ];
        let index = Lexical::new(&chunks);
        let first = |query: &str| index.search(query, 1).first().map(|hit| hit.0);
        assert_eq!(first("default of SQLITE_MAX_LENGTH?"), Some(1));
        assert_eq!(first("maximum length: 1000000000"), Some(1));
        assert_eq!(first("max column"), Some(0));
        assert_eq!(first("Where are the hovercrafts?"), Some(2));
        assert_eq!(first("what is the"), None);
    }

    #[test]
    fn equal_scores_come_in_the_order_of_the_chunks() {
        let chunks: Vec<_> = (0..40).map(|i| chunk(&i.to_string(), &[], &["same words here"])).collect();
        let order: Vec<_> = Lexical::new(&chunks).search("same words", 40).into_iter().map(|hit| hit.0).collect();
        assert_eq!(order, (0..40).collect::<Vec<_>>());
        assert!(Lexical::new(&[]).search("same", 3).is_empty());
    }
}
