use crate::example::Example;
use crate::ops::attention::Segments;

/// A token that is learned: the row `at` of the hidden states predicts `target`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// Position in the packed row of the token before.
    pub at: u32,
    /// The token to predict.
    pub target: u32,
}

/// Several samples in one row of tokens, behind a prefix that they share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// The prefix, then each sample's own tokens. The last token of a sample, which only serves as a
    /// target, is left out.
    pub tokens: Vec<u32>,
    /// Position of each token in its own sequence.
    pub positions: Vec<u32>,
    /// What belongs together.
    pub segments: Segments,
    /// Targets, in order.
    pub learned: Vec<Learned>,
}

impl Row {
    /// One sequence, of which the tokens from `learned_from` on carry loss.
    pub fn single(tokens: &[u32], learned_from: usize) -> Self {
        let mut row = Self::default();
        row.push(tokens, learned_from);
        row
    }

    /// Several sequences with nothing in common, each with the place of its first learned token.
    pub fn sequences(sequences: &[(Vec<u32>, usize)]) -> Self {
        let mut row = Self::default();
        sequences.iter().for_each(|(tokens, learned_from)| row.push(tokens, *learned_from));
        row
    }

    /// A sequence without targets, whole.
    pub fn prompt(tokens: &[u32]) -> Self {
        let mut row = Self::default();
        row.append(tokens);
        row
    }

    /// Adds the own tokens of a sequence.
    fn append(&mut self, tokens: &[u32]) {
        let (start, prefix) = (self.tokens.len(), self.segments.prefix);
        self.tokens.extend_from_slice(&tokens[prefix..]);
        self.positions.extend(prefix as u32..tokens.len() as u32);
        self.segments.samples.push(start..self.tokens.len());
    }

    /// Adds a sequence that begins with the row's prefix.
    fn push(&mut self, tokens: &[u32], learned_from: usize) {
        let before = self.tokens.len();
        self.append(&tokens[..tokens.len() - 1]);
        let prefix = self.segments.prefix;
        let learned = (learned_from..tokens.len())
            .map(|at| Learned { at: (before + at - 1 - prefix) as u32, target: tokens[at] });
        self.learned.extend(learned);
    }

    /// An empty row behind a prefix.
    fn behind(prefix: &[u32]) -> Self {
        Self {
            tokens: prefix.to_vec(),
            positions: (0..prefix.len() as u32).collect(),
            segments: Segments { prefix: prefix.len(), samples: Vec::new() },
            learned: Vec::new(),
        }
    }

    /// Sequences without targets behind what they have in common; the last token of each is its own.
    pub fn prompts(sequences: &[&[u32]]) -> Self {
        let shared = shared(sequences.iter().map(|s| (*s, s.len())));
        let mut row = Self::behind(sequences.first().map_or(&[], |s| &s[..shared]));
        sequences.iter().for_each(|tokens| row.append(tokens));
        row
    }
}

/// Length of the longest common beginning that leaves each sequence a token of its own before
/// `learned_from`: the one that predicts its first learned token.
fn shared<'a>(sequences: impl Iterator<Item = (&'a [u32], usize)> + Clone) -> usize {
    let Some((first, _)) = sequences.clone().next() else { return 0 };
    let common = |tokens: &[u32]| tokens.iter().zip(first).take_while(|(a, b)| a == b).count();
    sequences.map(|(tokens, learned_from)| common(tokens).min(learned_from - 1)).min().unwrap_or(0)
}

/// Length of the beginning that all `examples` share and that can be stored once a row.
pub(crate) fn shared_prefix(examples: &[Example]) -> usize {
    // One sample alone has nothing to share with.
    if examples.len() < 2 { 0 } else { shared(examples.iter().map(|e| (&e.tokens[..], e.learned_from))) }
}

/// Packs examples, in order, into rows of up to `row_tokens` tokens: each goes into the first row
/// with room, longest first, so that few rows are needed. All share their first `prefix` tokens.
pub(crate) fn pack(examples: &[&Example], prefix: usize, row_tokens: usize) -> Vec<Row> {
    let mut order: Vec<&Example> = examples.to_vec();
    order.sort_by_key(|example| std::cmp::Reverse(example.tokens.len()));
    let mut rows: Vec<Row> = Vec::new();
    for example in order {
        let own = example.tokens.len() - 1 - prefix;
        let place = match rows.iter().position(|row| row.tokens.len() + own <= row_tokens) {
            Some(place) => place,
            None => {
                rows.push(Row::behind(&example.tokens[..prefix]));
                rows.len() - 1
            }
        };
        rows[place].push(&example.tokens, example.learned_from);
    }
    rows
}

/// Packs examples into rows of about `row_tokens` tokens, at most the longest example more, whose
/// number is a multiple of `lanes` where there are enough: longest first, each into the shortest row
/// (the first of equals), so that rows are equally long and lanes end at the same time.
pub(crate) fn spread(examples: &[&Example], row_tokens: usize, lanes: usize) -> Vec<Row> {
    let mut order: Vec<&Example> = examples.to_vec();
    order.sort_by_key(|example| std::cmp::Reverse(example.tokens.len()));
    let tokens: usize = order.iter().map(|example| example.tokens.len() - 1).sum();
    let rows = tokens.div_ceil(row_tokens).next_multiple_of(lanes).min(order.len());
    let mut rows: Vec<Row> = (0..rows).map(|_| Row::default()).collect();
    for example in order {
        if let Some(row) = rows.iter_mut().min_by_key(|row| row.tokens.len()) {
            row.push(&example.tokens, example.learned_from);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(tokens: &[u32], learned_from: usize) -> Example {
        Example { id: String::new(), tokens: tokens.into(), learned_from }
    }

    #[test]
    fn rows_share_the_prefix_and_keep_every_target() {
        let all = [example(&[1, 2, 3, 4, 5, 6], 4), example(&[1, 2, 3, 9], 3), example(&[1, 2, 3, 4, 7], 4)];
        // The second example's token 3 predicts its first learned token, so it must be its own.
        assert_eq!(shared_prefix(&all), 2);
        let rows = pack(&all.iter().collect::<Vec<_>>(), 2, 8);
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!(row.tokens, [1, 2, 3, 4, 5, 3, 4, 3]);
        assert_eq!(row.positions, [0, 1, 2, 3, 4, 2, 3, 2]);
        assert_eq!(row.segments, Segments { prefix: 2, samples: vec![2..5, 5..7, 7..8] });
        let learned: Vec<_> = row.learned.iter().map(|l| (l.at, l.target)).collect();
        assert_eq!(learned, [(3, 5), (4, 6), (6, 7), (7, 9)]);
        assert_eq!(pack(&all.iter().collect::<Vec<_>>(), 2, 7).len(), 2);
    }

    #[test]
    fn a_common_prompt_is_shared_but_for_its_last_token() {
        let all = [example(&[1, 2, 3, 4], 3), example(&[1, 2, 3, 5], 3)];
        assert_eq!(shared_prefix(&all), 2);
        assert_eq!(Row::prompts(&[&[1, 2, 3], &[1, 2, 3]]).tokens, [1, 2, 3, 3]);
    }

    #[test]
    fn spread_rows_are_equally_long_and_hold_every_token() {
        let all: Vec<Example> = (0..50).map(|i| example(&vec![i; 5 + i as usize * 7 % 23], 1)).collect();
        let of: Vec<&Example> = all.iter().collect();
        let rows = spread(&of, 100, 4);
        assert_eq!(rows.len(), 8);
        let lengths: Vec<usize> = rows.iter().map(|row| row.tokens.len()).collect();
        let (least, most) = (lengths.iter().min().expect("rows"), lengths.iter().max().expect("rows"));
        assert!(most - least <= 10 && *most <= 100 + 27, "{lengths:?}");
        assert_eq!(rows.iter().map(|row| row.segments.samples.len()).sum::<usize>(), 50);
        let tokens: usize = all.iter().map(|e| e.tokens.len() - 1).sum();
        assert_eq!(
            (lengths.iter().sum::<usize>(), rows.iter().map(|r| r.learned.len()).sum::<usize>()),
            (tokens, tokens)
        );
        assert_eq!(spread(&of[..3], 100, 8).len(), 3);
    }
}
