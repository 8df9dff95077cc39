//! Which tokens of a packed row belong together, and how attention walks over them.

use std::ops::Range;

/// A stretch of tokens of one or several sequences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it stands in the row.
    pub tokens: Range<usize>,
    /// The segment that it continues, by number; none where a sequence begins.
    pub parent: Option<usize>,
}

/// A forest of segments that cover a row in order, without gaps; parents stand before their children.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Segments {
    all: Vec<Segment>,
}

/// A block of queries of one segment, and the keys that they see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub queries: Range<usize>,
    /// Stretches of neighbouring keys, in order; the last one ends with the queries themselves.
    pub keys: Vec<Range<usize>>,
}

/// Neighbouring pieces whose gradients are summed by one task.
#[derive(Debug)]
pub(super) struct Bundle {
    pub pieces: Vec<Piece>,
    /// All their queries.
    pub rows: Range<usize>,
    /// Keys that they see and that stand before `rows`: stretches in order, apart from each other.
    pub before: Vec<Range<usize>>,
}

impl Segments {
    /// Adds a segment of `tokens` tokens behind the others, which continues `parent`, and gives its number.
    ///
    /// # Panics
    /// If it is empty or its parent is not there yet.
    pub fn push(&mut self, parent: Option<usize>, tokens: usize) -> usize {
        assert!(
            tokens > 0 && parent.is_none_or(|parent| parent < self.all.len()),
            "an empty segment or no such parent"
        );
        let start = self.tokens();
        self.all.push(Segment { tokens: start..start + tokens, parent });
        self.all.len() - 1
    }

    /// All tokens of the row.
    pub fn tokens(&self) -> usize {
        self.all.last().map_or(0, |last| last.tokens.end)
    }

    /// The segments in order.
    pub fn all(&self) -> &[Segment] {
        &self.all
    }

    /// Blocks of at most `most` queries; all tokens of the row in order.
    pub(super) fn pieces(&self, most: usize) -> Vec<Piece> {
        // Stretches that the last token of each segment sees.
        let mut seen: Vec<Vec<Range<usize>>> = Vec::with_capacity(self.all.len());
        let mut pieces = Vec::new();
        for Segment { tokens, parent } in &self.all {
            let mut keys = parent.map_or(Vec::new(), |parent| seen[parent].clone());
            match keys.last_mut().filter(|last| last.end == tokens.start) {
                Some(last) => last.end = tokens.end,
                None => keys.push(tokens.clone()),
            }
            for start in tokens.clone().step_by(most) {
                let queries = start..(start + most).min(tokens.end);
                let mut keys = keys.clone();
                keys.iter_mut().for_each(|keys| keys.end = keys.end.min(queries.end));
                pieces.push(Piece { queries, keys });
            }
            seen.push(keys);
        }
        pieces
    }
}

impl Piece {
    /// Number of keys.
    pub fn count(&self) -> usize {
        self.keys.iter().map(Range::len).sum()
    }

    /// Keys that the first query sees; each further one sees one more.
    pub fn seen(&self) -> usize {
        self.count() + 1 - self.queries.len()
    }
}

impl Bundle {
    fn new(pieces: Vec<Piece>) -> Self {
        let rows = pieces[0].queries.start..pieces[pieces.len() - 1].queries.end;
        let outside = |keys: &Range<usize>| keys.start..keys.end.min(rows.start);
        let mut all: Vec<_> =
            pieces.iter().flat_map(|p| p.keys.iter().map(outside)).filter(|k| !k.is_empty()).collect();
        all.sort_by_key(|keys| keys.start);
        let mut before: Vec<Range<usize>> = Vec::new();
        for keys in all {
            match before.last_mut().filter(|last| last.end >= keys.start) {
                Some(last) => last.end = last.end.max(keys.end),
                None => before.push(keys),
            }
        }
        Self { pieces, rows, before }
    }

    /// Number of keys before its rows.
    pub fn outer(&self) -> usize {
        self.before.iter().map(Range::len).sum()
    }

    /// Where a key before its rows stands among all such.
    pub fn place(&self, key: usize) -> usize {
        self.before.iter().map(|keys| key.clamp(keys.start, keys.end) - keys.start).sum()
    }
}

/// Pieces go by fours at least, so that the sums of outer keys cost little, into eight bundles at most.
const LEAST: usize = 4;
const MOST: usize = 8;

/// Cuts pieces into bundles of about equal work. It depends on the segments alone, and so does the
/// order of the sums of the gradients of keys.
pub(super) fn bundles(pieces: Vec<Piece>) -> Vec<Bundle> {
    let work = |piece: &Piece| piece.queries.len() * piece.count();
    let total: usize = pieces.iter().map(work).sum();
    let count = (pieces.len() / LEAST).clamp(1, MOST);
    let mut bundles: Vec<Vec<Piece>> = vec![Vec::new(); count];
    let mut done = 0;
    for piece in pieces {
        let middle = done + work(&piece) / 2;
        done += work(&piece);
        bundles[(middle * count / total.max(1)).min(count - 1)].push(piece);
    }
    bundles.into_iter().filter(|pieces| !pieces.is_empty()).map(Bundle::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_neighbours_is_one_stretch_of_keys() {
        let mut segments = Segments::default();
        let root = segments.push(None, 3);
        let child = segments.push(Some(root), 5);
        segments.push(Some(child), 2);
        segments.push(Some(root), 1);
        segments.push(Some(child), 2);
        segments.push(None, 2);
        let ends = |range: &Range<usize>| (range.start, range.end);
        let view =
            |piece: &Piece| (ends(&piece.queries), piece.seen(), piece.keys.iter().map(ends).collect::<Vec<_>>());
        let expected = [
            ((0, 3), 1, vec![(0, 3)]),
            ((3, 7), 4, vec![(0, 7)]),
            ((7, 8), 8, vec![(0, 8)]),
            ((8, 10), 9, vec![(0, 10)]),
            ((10, 11), 4, vec![(0, 3), (10, 11)]),
            ((11, 13), 9, vec![(0, 8), (11, 13)]),
            ((13, 15), 1, vec![(13, 15)]),
        ];
        assert_eq!(segments.pieces(4).iter().map(view).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn bundles_hold_every_piece_once_and_know_what_stands_before_them() {
        let mut segments = Segments::default();
        let root = segments.push(None, 70);
        let child = segments.push(Some(root), 40);
        for length in [33, 8, 5, 20] {
            segments.push(Some(child), length);
            segments.push(Some(root), length + 1);
        }
        segments.push(None, 50);
        let pieces = segments.pieces(8);
        let bundles = bundles(pieces.clone());
        assert_eq!(bundles.iter().flat_map(|b| b.pieces.clone()).collect::<Vec<_>>(), pieces);
        assert!(bundles.len() > 3 && bundles.windows(2).all(|w| w[0].rows.end == w[1].rows.start));
        for bundle in &bundles {
            let mut outer: Vec<usize> = bundle.before.iter().cloned().flatten().collect();
            assert!(outer.iter().enumerate().all(|(place, &key)| bundle.place(key) == place));
            assert_eq!(outer.len(), bundle.outer());
            let mut seen: Vec<usize> = bundle.pieces.iter().flat_map(|p| p.keys.iter().cloned().flatten()).collect();
            seen.retain(|&key| key < bundle.rows.start);
            seen.sort_unstable();
            seen.dedup();
            outer.sort_unstable();
            assert_eq!(outer, seen);
        }
    }
}
