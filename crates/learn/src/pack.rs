use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::example::Example;
use crate::ops::segments::Segments;
use crate::trie::Trie;

/// A token that is learned: the row `at` of the hidden states predicts `target`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Learned {
    /// Position in the packed row of the token before.
    pub at: u32,
    /// The token to predict.
    pub target: u32,
}

/// What is packed: at least one token to read, and those from `learned_from` on are learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence<'a> {
    /// All tokens. The last one, where it is learned, is only a target.
    pub tokens: &'a [u32],
    /// Place of the first learned token, from 1; `tokens.len()` learns nothing.
    pub learned_from: usize,
    /// Sequences of one group stand in one row. Groups are numbered from 0, without gaps.
    pub group: usize,
}

impl<'a> Sequence<'a> {
    /// An example, in a group.
    pub(crate) fn of(example: &'a Example, group: usize) -> Self {
        Self { tokens: &example.tokens, learned_from: example.learned_from, group }
    }

    /// The tokens that the model reads.
    fn read(&self) -> &'a [u32] {
        if self.learned_from < self.tokens.len() { &self.tokens[..self.tokens.len() - 1] } else { self.tokens }
    }
}

/// Several sequences in one row of tokens, which is a forest: what sequences have in common at their
/// beginning stands there once, so it is computed once, forward and backward.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// The tokens of all segments, parents before children.
    pub tokens: Vec<u32>,
    /// Position of each token in its own sequence.
    pub positions: Vec<u32>,
    /// What belongs together.
    pub segments: Segments,
    /// Each target once for the place that predicts it, however many sequences learn it there. A place
    /// where sequences part has several.
    pub learned: Vec<Learned>,
    /// For each sequence, where the targets of its completion stand in `learned`, in order.
    pub answers: Vec<Vec<Range<usize>>>,
    /// For each sequence, its number among those that were packed.
    pub sequences: Vec<usize>,
    /// For each sequence, where the last token that is read stands in the row.
    pub ends: Vec<usize>,
}

impl Row {
    /// One sequence, of which the tokens from `learned_from` on carry loss.
    pub fn single(tokens: &[u32], learned_from: usize) -> Self {
        Self::sequences(&[Sequence { tokens, learned_from, group: 0 }])
    }

    /// A sequence without targets.
    pub fn prompt(tokens: &[u32]) -> Self {
        Self::prompts(&[tokens])
    }

    /// Sequences without targets.
    pub fn prompts(prompts: &[&[u32]]) -> Self {
        let all = prompts.iter().map(|&tokens| Sequence { tokens, learned_from: tokens.len(), group: 0 });
        Self::sequences(&all.collect::<Vec<_>>())
    }

    /// Any sequences in one row, however long.
    pub fn sequences(sequences: &[Sequence<'_>]) -> Self {
        let trie = trie(sequences);
        Self::of(sequences, &trie, &trie.order)
    }

    /// A row of the sequences `members`, which stand together in their trie.
    fn of(sequences: &[Sequence<'_>], trie: &Trie, members: &[usize]) -> Self {
        let mut row = Self::default();
        // Where the nodes that the members need begin in the row, and which segments they are.
        let paths = members.iter().flat_map(|&member| trie.path(member));
        let mut placed: BTreeMap<usize, (usize, usize)> = paths.map(|node| (node, (0, 0))).collect();
        let needed: Vec<usize> = placed.keys().copied().collect();
        for at in needed {
            let node = &trie.nodes[at];
            let parent = node.parent.map(|parent| placed[&parent].1);
            placed.insert(at, (row.tokens.len(), row.segments.push(parent, node.places.len())));
            row.tokens.extend_from_slice(&sequences[node.sequence].tokens[node.places.clone()]);
            row.positions.extend(node.places.clone().map(|place| place as u32));
        }
        let mut known = HashMap::new();
        let mut places = Vec::new();
        for &member in members {
            let Sequence { tokens, learned_from, .. } = sequences[member];
            // Where each token that is read stands in the row, the last one first.
            places.clear();
            for node in trie.path(member) {
                let (start, length) = (placed[&node].0, trie.nodes[node].places.len());
                places.extend((start..start + length).rev());
            }
            places.reverse();
            row.ends.push(places[places.len() - 1]);
            let mut answer: Vec<Range<usize>> = Vec::new();
            for place in learned_from..tokens.len() {
                let learned = Learned { at: places[place - 1] as u32, target: tokens[place] };
                let index = *known.entry(learned).or_insert_with(|| {
                    row.learned.push(learned);
                    row.learned.len() - 1
                });
                match answer.last_mut().filter(|last| last.end == index) {
                    Some(last) => last.end += 1,
                    None => answer.push(index..index + 1),
                }
            }
            row.answers.push(answer);
            row.sequences.push(member);
        }
        row
    }

    /// How many answers learn each target.
    pub fn shares(&self) -> Vec<f32> {
        let mut shares = vec![0.0; self.learned.len()];
        self.answers.iter().flatten().flat_map(Range::clone).for_each(|index| shares[index] += 1.0);
        shares
    }

    /// Targets of all answers; those that answers share count for each.
    pub fn targets(&self) -> usize {
        self.answers.iter().flatten().map(Range::len).sum()
    }
}

fn trie(sequences: &[Sequence<'_>]) -> Trie {
    Trie::new(&sequences.iter().map(Sequence::read).collect::<Vec<_>>())
}

/// Packs sequences into rows of up to `row_tokens` tokens, or of one group where that is longer.
///
/// Groups are taken in the order of their first tokens, so that those that begin alike stand
/// together. There are as few rows as that order allows, their number made a multiple of `lanes`
/// where there are enough groups, and they are about equally long, so that lanes end at the same time.
pub fn pack(sequences: &[Sequence<'_>], row_tokens: usize, lanes: usize) -> Vec<Row> {
    let trie = trie(sequences);
    let groups = groups(sequences, &trie);
    let fewest = cut(&groups, &trie, row_tokens).len();
    let wanted = fewest.next_multiple_of(lanes.max(1)).min(groups.len());
    // The smallest limit that needs no more rows: `low` needs more.
    let (mut low, mut high) = (0, row_tokens);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if cut(&groups, &trie, middle).len() <= wanted { high = middle } else { low = middle }
    }
    let rows = cut(&groups, &trie, high);
    rows.iter().map(|row| Row::of(sequences, &trie, &groups[row.clone()].concat())).collect()
}

/// The sequences of each group, groups in the order in which the trie comes upon them.
fn groups(sequences: &[Sequence<'_>], trie: &Trie) -> Vec<Vec<usize>> {
    let mut place: Vec<Option<usize>> = Vec::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for &sequence in &trie.order {
        let group = sequences[sequence].group;
        if place.len() <= group {
            place.resize(group + 1, None);
        }
        match place[group] {
            Some(at) => groups[at].push(sequence),
            None => {
                place[group] = Some(groups.len());
                groups.push(vec![sequence]);
            }
        }
    }
    groups
}

/// Fills row after row with groups, in order, up to `limit` tokens or one group.
fn cut(groups: &[Vec<usize>], trie: &Trie, limit: usize) -> Vec<Range<usize>> {
    let mut rows: Vec<Range<usize>> = Vec::new();
    // The row that each node was last needed in, and the tokens of the row at hand.
    let (mut seen, mut tokens) = (vec![usize::MAX; trie.nodes.len()], 0);
    for (at, group) in groups.iter().enumerate() {
        let mut add = |row: usize| {
            let nodes = group.iter().flat_map(|&sequence| trie.path(sequence));
            let own = nodes.filter(|&node| std::mem::replace(&mut seen[node], row) != row);
            own.map(|node| trie.nodes[node].places.len()).sum::<usize>()
        };
        let added = add(rows.len());
        match rows.last_mut().filter(|_| tokens + added <= limit) {
            Some(last) => (last.end, tokens) = (at + 1, tokens + added),
            None => {
                rows.push(at..at + 1);
                tokens = add(rows.len());
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(tokens: &[u32], learned_from: usize, group: usize) -> Sequence<'_> {
        Sequence { tokens, learned_from, group }
    }

    /// What each sequence of a row reads and learns, spelled from the row.
    fn spell(row: &Row) -> Vec<(Vec<u32>, Vec<u32>)> {
        let segments = row.segments.all();
        let one = |(end, answer): (&usize, &Vec<Range<usize>>)| {
            let mut at = segments.iter().position(|s| s.tokens.contains(end));
            let mut read: Vec<u32> = Vec::new();
            while let Some(segment) = at {
                let tokens = segments[segment].tokens.clone();
                let tokens = tokens.start..tokens.end.min(if read.is_empty() { end + 1 } else { usize::MAX });
                read.splice(0..0, row.tokens[tokens].iter().copied());
                at = segments[segment].parent;
            }
            (read, answer.iter().flat_map(Range::clone).map(|i| row.learned[i].target).collect())
        };
        row.ends.iter().zip(&row.answers).map(one).collect()
    }

    /// A question, two steps that pairs share, and branches.
    fn pairs() -> Vec<(Vec<u32>, usize, usize)> {
        let question: Vec<u32> = (0..20).collect();
        let more = |steps: &[(u32, u32)]| {
            question.iter().copied().chain(steps.iter().flat_map(|&(from, to)| from..to)).collect::<Vec<u32>>()
        };
        vec![
            (more(&[(30, 42)]), 20, 0),
            (more(&[(50, 60)]), 20, 0),
            (more(&[(30, 41), (70, 80)]), 31, 1),
            (more(&[(30, 41), (90, 95)]), 31, 1),
            ((200..230).collect(), 10, 2),
        ]
    }

    #[test]
    fn a_tree_holds_shared_steps_once_and_spells_every_sequence() {
        let pairs = pairs();
        let all: Vec<_> = pairs.iter().map(|(tokens, from, group)| sequence(tokens, *from, *group)).collect();
        let row = Row::sequences(&all);
        assert_eq!(row.tokens.len(), 20 + 11 + 9 + 9 + 4 + 29);
        for (&number, (read, learned)) in row.sequences.iter().zip(spell(&row)) {
            let (tokens, from, _) = &pairs[number];
            assert_eq!((&read[..], &learned[..]), (&tokens[..tokens.len() - 1], &tokens[*from..]));
        }
        assert!(row.segments.all().iter().all(|segment| {
            let before =
                segment.parent.map_or(0, |parent| row.positions[row.segments.all()[parent].tokens.end - 1] + 1);
            row.positions[segment.tokens.clone()].iter().copied().eq((before..).take(segment.tokens.len()))
        }));
        // The last token of the question predicts two first tokens; step one is learned by one answer only.
        let at = |place: u32| row.learned.iter().filter(|l| row.tokens[l.at as usize] == place).count();
        assert_eq!((at(19), at(40)), (2, 3));
        assert_eq!(row.targets(), 12 + 10 + 10 + 5 + 20);
        assert!(row.shares().iter().all(|&share| share == 1.0));
    }

    #[test]
    fn what_answers_share_is_learned_once_and_counted_twice() {
        let (one, other) = ([1, 2, 3, 4, 5], [1, 2, 3, 4, 6]);
        let row = Row::sequences(&[sequence(&one, 2, 0), sequence(&one, 3, 1)]);
        assert_eq!((row.tokens.len(), row.learned.len(), row.targets()), (4, 3, 5));
        assert_eq!(row.shares(), [1.0, 2.0, 2.0]);
        let answers = |row: &Row| {
            let ends = |answer: &Vec<Range<usize>>| answer.iter().map(|r| (r.start, r.end)).collect::<Vec<_>>();
            row.answers.iter().map(ends).collect::<Vec<_>>()
        };
        assert_eq!(answers(&row), [[(0, 3)], [(1, 3)]]);
        // Reads the same tokens, but ends otherwise.
        let row = Row::sequences(&[sequence(&one, 3, 0), sequence(&other, 3, 1)]);
        assert_eq!((row.tokens.len(), row.shares()), (4, vec![2.0, 1.0, 1.0]));
        assert_eq!(answers(&row), [vec![(0, 2)], vec![(0, 1), (2, 3)]]);
        assert_eq!(Row::prompt(&one).ends, [4]);
        assert!(Row::prompt(&one).learned.is_empty());
    }

    #[test]
    fn groups_stay_together_and_rows_within_their_limit() {
        let pairs = pairs();
        let all: Vec<_> = pairs.iter().map(|(tokens, from, group)| sequence(tokens, *from, *group)).collect();
        for (limit, expected) in [(100, 1), (82, 1), (81, 2), (52, 3), (10, 3)] {
            let rows = pack(&all, limit, 1);
            assert_eq!(rows.len(), expected, "{limit}");
            assert!(rows.iter().all(|row| row.tokens.len() <= limit.max(50)));
            let mut seen: Vec<usize> = rows.iter().flat_map(|row| row.sequences.clone()).collect();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4]);
            for row in &rows {
                let groups: Vec<usize> = row.sequences.iter().map(|&i| all[i].group).collect();
                assert!(
                    groups.iter().all(|g| groups.iter().filter(|h| *h == g).count() == if *g == 2 { 1 } else { 2 })
                );
            }
        }
        assert!(pack(&[], 10, 8).is_empty());
    }

    #[test]
    fn lanes_get_equally_long_rows() {
        let all: Vec<Vec<u32>> = (0..50).map(|i| vec![i; 5 + i as usize * 7 % 23]).collect();
        let of: Vec<_> = all.iter().enumerate().map(|(i, tokens)| sequence(tokens, 1, i)).collect();
        let rows = pack(&of, 100, 4);
        assert_eq!(rows.len(), 8);
        let lengths: Vec<usize> = rows.iter().map(|row| row.tokens.len()).collect();
        let most = lengths.iter().max().expect("rows");
        assert!(*most <= 112, "{lengths:?}");
        let tokens: usize = all.iter().map(|tokens| tokens.len() - 1).sum();
        assert_eq!((lengths.iter().sum::<usize>(), rows.iter().map(Row::targets).sum::<usize>()), (tokens, tokens));
        assert_eq!(pack(&of[..3], 100, 8).len(), 3);
    }
}
