use std::ops::Range;

/// A shared beginning that is shorter than this is computed once for each branch: a branch of its own
/// costs some hundred small products in attention, which is as much as a few tokens cost.
const LEAST: usize = 8;

/// A stretch of tokens that some sequences share, behind all that its parents hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// What it continues.
    pub parent: Option<usize>,
    /// A sequence that runs through it.
    pub sequence: usize,
    /// Its tokens in that sequence.
    pub places: Range<usize>,
}

/// The common beginnings of sequences: parents stand before children, and the first child of a node
/// right behind it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Trie {
    pub nodes: Vec<Node>,
    /// For each sequence the node in which it ends.
    pub ends: Vec<usize>,
    /// The sequences in the order of the nodes in which they end.
    pub order: Vec<usize>,
}

impl Trie {
    /// The trie of sequences of at least one token.
    pub fn new(sequences: &[&[u32]]) -> Self {
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by_key(|&i| sequences[i]);
        let mut trie = Self { nodes: Vec::new(), ends: vec![0; sequences.len()], order: Vec::new() };
        trie.grow(sequences, &order, 0, None);
        trie.order = order;
        trie
    }

    /// Adds what sorted sequences hold behind their first `depth` tokens, which `parent` ends.
    fn grow(&mut self, sequences: &[&[u32]], sorted: &[usize], depth: usize, parent: Option<usize>) {
        let [first, .., last] = sorted else {
            return sorted.iter().for_each(|&only| self.end(&[only], depth..sequences[only].len(), parent));
        };
        // Between the first and the last of sorted sequences all others share what these two share.
        let (first, last) = (sequences[*first], sequences[*last]);
        let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        if shared == last.len() {
            return self.end(sorted, depth..shared, parent);
        }
        let (mut depth, mut parent) = (depth, parent);
        if shared - depth >= LEAST {
            parent = Some(self.push(sorted[0], depth..shared, parent));
            depth = shared;
        }
        for branch in sorted.chunk_by(|&a, &b| sequences[a].get(shared) == sequences[b].get(shared)) {
            self.grow(sequences, branch, depth, parent);
        }
    }

    /// Ends equal sequences with a node of what is left of them.
    fn end(&mut self, equal: &[usize], rest: Range<usize>, parent: Option<usize>) {
        let node = match parent {
            Some(parent) if rest.is_empty() => parent,
            _ => self.push(equal[0], rest, parent),
        };
        equal.iter().for_each(|&sequence| self.ends[sequence] = node);
    }

    fn push(&mut self, sequence: usize, places: Range<usize>, parent: Option<usize>) -> usize {
        self.nodes.push(Node { parent, sequence, places });
        self.nodes.len() - 1
    }

    /// The nodes of a sequence, the last one first.
    pub fn path(&self, sequence: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(self.ends[sequence]), |&node| self.nodes[node].parent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(range: Range<u32>, then: &[u32]) -> Vec<u32> {
        range.chain(then.iter().copied()).collect()
    }

    #[test]
    fn long_beginnings_are_shared_and_every_path_spells_its_sequence() {
        let all = [
            numbers(0..20, &[7]),
            numbers(0..20, &[5, 6]),
            numbers(0..30, &[]),
            numbers(0..20, &[]),
            numbers(0..4, &[9, 9]),
            numbers(0..20, &[5, 6]),
            numbers(50..51, &[]),
            numbers(0..30, &[3]),
        ];
        let of: Vec<&[u32]> = all.iter().map(|s| &s[..]).collect();
        let trie = Trie::new(&of);
        for (i, sequence) in all.iter().enumerate() {
            let mut path: Vec<usize> = trie.path(i).collect();
            path.reverse();
            assert!(path.windows(2).all(|w| w[0] < w[1]));
            let spelled: Vec<u32> = path
                .iter()
                .flat_map(|&n| all[trie.nodes[n].sequence][trie.nodes[n].places.clone()].iter().copied())
                .collect();
            assert_eq!(&spelled, sequence);
        }
        // The root of 20 tokens with three branches; four common tokens are not shared, ten are.
        let tokens: usize = trie.nodes.iter().map(|n| n.places.len()).sum();
        assert_eq!(tokens, 20 + 1 + 2 + 10 + 1 + 6 + 1);
        assert_eq!((trie.ends[1], trie.path(3).count()), (trie.ends[5], 1));
    }
}
