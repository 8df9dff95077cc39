//! Which texts agree? TF-IDF vectors and k-means.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Beginnings of k-means.
const TRIES: usize = 10;

/// Texts in clusters, largest cluster first; among equals the one whose first text comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clusters {
    /// The cluster of each text.
    pub labels: Vec<usize>,
    /// How many texts each cluster holds.
    pub sizes: Vec<usize>,
}

impl Clusters {
    /// C: the share of all texts that lie in each text's cluster.
    pub fn alignment(&self) -> Vec<f64> {
        let n = self.labels.len() as f64;
        self.labels.iter().map(|label| self.sizes[*label] as f64 / n).collect()
    }

    /// The share of the largest cluster; 0 without texts.
    pub fn largest_share(&self) -> f64 {
        self.sizes.first().map_or(0.0, |size| *size as f64 / self.labels.len() as f64)
    }

    /// Orders clusters by size and drops empty ones.
    fn new(raw: &[usize]) -> Self {
        let mut members: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for (i, label) in raw.iter().enumerate() {
            members.entry(*label).or_insert((0, i)).0 += 1;
        }
        let mut order: Vec<(usize, (usize, usize))> = members.into_iter().collect();
        order.sort_by_key(|(_, (size, first))| (std::cmp::Reverse(*size), *first));
        let place: BTreeMap<usize, usize> = order.iter().enumerate().map(|(i, (label, _))| (*label, i)).collect();
        Self {
            labels: raw.iter().map(|label| place[label]).collect(),
            sizes: order.iter().map(|(_, (size, _))| *size).collect(),
        }
    }
}

/// At most `k` clusters of texts by their vectors, one a text. Equal texts share a cluster; with no
/// more different texts than clusters each has its own.
pub(crate) fn cluster(texts: &[&str], vectors: &[Vec<f64>], k: usize, rng: &mut ChaCha8Rng) -> Clusters {
    let different: BTreeSet<&str> = texts.iter().copied().collect();
    if different.len() <= k {
        let place: BTreeMap<&str, usize> = different.into_iter().enumerate().map(|(i, text)| (text, i)).collect();
        return Clusters::new(&texts.iter().map(|text| place[text]).collect::<Vec<_>>());
    }
    // Lloyd's algorithm ends where it began badly: the tightest of several beginnings, the first
    // among equals.
    let tries: Vec<(f64, Vec<usize>)> = (0..TRIES).map(|_| k_means(vectors, k, rng)).collect();
    let tight: Vec<f64> = tries.iter().map(|(spread, _)| -spread).collect();
    Clusters::new(&tries[crate::weigh::largest(&tight).unwrap_or(0)].1)
}

/// TF-IDF vectors of norm 1: a word's count in the text times ln((1 + n) / (1 + texts with it)) + 1.
/// A word is a run of letters and digits, in lower case; other visible characters count alone, since
/// in formulas they carry the meaning. A text without words is the zero vector.
pub(crate) fn tf_idf(texts: &[&str]) -> Vec<Vec<f64>> {
    let counted: Vec<BTreeMap<String, f64>> = texts
        .iter()
        .map(|text| {
            let mut counts = BTreeMap::new();
            for word in words(text) {
                *counts.entry(word).or_insert(0.0) += 1.0;
            }
            counts
        })
        .collect();
    let vocabulary: BTreeSet<&String> = counted.iter().flat_map(BTreeMap::keys).collect();
    let n = texts.len() as f64;
    let rarity: Vec<f64> = vocabulary
        .iter()
        .map(|word| ((1.0 + n) / (1.0 + counted.iter().filter(|c| c.contains_key(*word)).count() as f64)).ln() + 1.0)
        .collect();
    counted
        .iter()
        .map(|counts| {
            let mut vector: Vec<f64> =
                vocabulary.iter().zip(&rarity).map(|(word, idf)| counts.get(*word).unwrap_or(&0.0) * idf).collect();
            let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
            if norm > 0.0 {
                vector.iter_mut().for_each(|x| *x /= norm);
            }
            vector
        })
        .collect()
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if !c.is_whitespace() {
            words.push(c.to_string());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}

/// Lloyd's algorithm from centres that k-means++ draws. Equal distances go to the lower centre, so
/// equal vectors are never apart. The sum of squared distances, and the labels.
fn k_means(vectors: &[Vec<f64>], k: usize, rng: &mut ChaCha8Rng) -> (f64, Vec<usize>) {
    let mut centres = vec![vectors[rng.random_range(0..vectors.len())].clone()];
    while centres.len() < k {
        let far = |v: &Vec<f64>| centres.iter().map(|c| distance(v, c)).fold(f64::INFINITY, f64::min);
        let weights: Vec<f64> = vectors.iter().map(far).collect();
        if weights.iter().all(|w| *w == 0.0) {
            break;
        }
        let next = crate::weigh::draw(&weights, 1, rng)[0];
        centres.push(vectors[next].clone());
    }
    let mut labels = vec![usize::MAX; vectors.len()];
    // Each pass lowers the sum of distances, so it ends; the bound is for rounding.
    for _ in 0..100 {
        let nearest = |v: &Vec<f64>| {
            let distances: Vec<f64> = centres.iter().map(|c| -distance(v, c)).collect();
            crate::weigh::largest(&distances).unwrap_or(0)
        };
        let new: Vec<usize> = vectors.iter().map(nearest).collect();
        if new == labels {
            break;
        }
        labels = new;
        for (label, centre) in centres.iter_mut().enumerate() {
            let members: Vec<&Vec<f64>> =
                vectors.iter().zip(&labels).filter(|(_, l)| **l == label).map(|(v, _)| v).collect();
            if !members.is_empty() {
                for (d, x) in centre.iter_mut().enumerate() {
                    *x = members.iter().map(|v| v[d]).sum::<f64>() / members.len() as f64;
                }
            }
        }
    }
    (vectors.iter().zip(&labels).map(|(v, label)| distance(v, &centres[*label])).sum(), labels)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn clusters(texts: &[&str], k: usize, seed: u64) -> Clusters {
        cluster(texts, &tf_idf(texts), k, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    #[test]
    fn as_many_clusters_as_texts_gives_singletons() {
        let texts = ["a b", "b a", "c", "d e"];
        for k in 4..8 {
            let found = clusters(&texts, k, 1);
            assert_eq!((found.labels.as_slice(), found.sizes.as_slice()), (&[0, 1, 2, 3][..], &[1; 4][..]));
            assert_eq!(found.alignment(), [0.25; 4]);
        }
    }

    #[test]
    fn equal_texts_share_a_cluster_and_all_equal_ones_fill_it() {
        let found = clusters(&["x = 1"; 9], 3, 1);
        assert_eq!((found.alignment(), found.largest_share()), (vec![1.0; 9], 1.0));
        for seed in 0..50 {
            let texts = ["one two", "three", "one two", "four", "five six", "three", "seven"];
            let found = clusters(&texts, 3, seed);
            assert_eq!(found.labels[0], found.labels[2]);
            assert_eq!(found.labels[1], found.labels[5]);
            assert_eq!(found.sizes.iter().sum::<usize>(), 7);
            assert!(found.sizes.is_sorted_by(|a, b| a >= b), "largest first: {found:?}");
            assert_eq!(found, clusters(&texts, 3, seed), "the same seed, the same clusters");
        }
    }

    #[test]
    fn a_label_is_the_place_of_the_text_itself() {
        // The wrong index would give the odd one out the large cluster's share.
        let texts = ["whale in the sea", "add 3 and 4 gives 7", "add 3 and 4 gives 8", "add 3 and 5 gives 8"];
        for seed in 0..20 {
            let alignment = clusters(&texts, 2, seed).alignment();
            assert_eq!(alignment, [0.25, 0.75, 0.75, 0.75]);
        }
    }

    #[test]
    fn no_letter_is_eaten_and_signs_count() {
        assert_eq!(words("The answer: Sea-level, naïve\n"), ["the", "answer", ":", "sea", "-", "level", ",", "naïve"]);
        let vectors = tf_idf(&["3+4", "3-4", ""]);
        assert!(distance(&vectors[0], &vectors[1]) > 0.1);
        assert!(vectors[2].iter().all(|x| *x == 0.0));
        let norm: f64 = vectors[0].iter().map(|x| x * x).sum();
        assert!((norm - 1.0).abs() < 1e-12);
    }
}
