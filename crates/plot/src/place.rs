//! Where labels go, so that none covers another.

/// A box in pixels: left, top, right, bottom.
pub(crate) type Area = (f64, f64, f64, f64);

/// Labels beside marks, placed one after the other where there is still room.
#[derive(Debug)]
pub(crate) struct Labels {
    frame: Area,
    taken: Vec<Area>,
}

impl Labels {
    /// Room within a frame; marks that no label may cover are given beforehand.
    pub fn new(frame: Area, marks: impl IntoIterator<Item = Area>) -> Self {
        Self { frame, taken: marks.into_iter().collect() }
    }

    /// Left end and baseline for a label of this width (12-pixel letters) beside a mark of this radius,
    /// if it has room at any of its sides; the room is taken then.
    pub fn place(&mut self, (x, y): (f64, f64), radius: f64, width: f64) -> Option<(f64, f64)> {
        const HEIGHT: f64 = 14.0;
        let gap = radius + 4.0;
        let diagonal = 0.7 * radius + 2.0;
        let corners = [
            (x + gap, y - 0.5 * HEIGHT),
            (x - gap - width, y - 0.5 * HEIGHT),
            (x - 0.5 * width, y - gap - HEIGHT + 2.0),
            (x - 0.5 * width, y + gap - 2.0),
            (x + diagonal, y - diagonal - HEIGHT),
            (x + diagonal, y + diagonal),
            (x - diagonal - width, y - diagonal - HEIGHT),
            (x - diagonal - width, y + diagonal),
        ];
        let (left, top) =
            corners.into_iter().find(|(left, top)| self.free((*left, *top, left + width, top + HEIGHT)))?;
        self.taken.push((left - 3.0, top, left + width + 3.0, top + HEIGHT));
        Some((left, top + 11.0))
    }

    fn free(&self, area: Area) -> bool {
        let (left, top, right, bottom) = area;
        let inside = left >= self.frame.0 && top >= self.frame.1 && right <= self.frame.2 && bottom <= self.frame.3;
        inside && !self.taken.iter().any(|t| left < t.2 && right > t.0 && top < t.3 && bottom > t.1)
    }
}

/// Moves places along one line apart until neighbours have a gap between them and all lie in
/// low..=high, as little as that takes; the order stays. All must have room: n·gap ≤ high − low.
pub(crate) fn spread(places: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
    // Without the gaps the places need only be in order: pool neighbours that are not (isotonic fit).
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for (rank, at) in order.iter().enumerate() {
        let mut block = (places[*at] - rank as f64 * gap, 1);
        while let Some((mean, count)) = blocks.pop_if(|last| last.0 > block.0) {
            let whole = count + block.1;
            block = ((mean * count as f64 + block.0 * block.1 as f64) / whole as f64, whole);
        }
        blocks.push(block);
    }
    let room = (high - (places.len().max(1) - 1) as f64 * gap).max(low);
    let mut moved = vec![0.0; places.len()];
    let shifted = blocks.into_iter().flat_map(|(mean, count)| std::iter::repeat_n(mean.clamp(low, room), count));
    for ((rank, at), place) in order.into_iter().enumerate().zip(shifted) {
        moved[at] = place + rank as f64 * gap;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_labels_keep_their_order_their_gap_and_their_bounds() {
        let places = [50.0, 51.0, 49.0, 200.0, 0.0, 50.5, 199.0];
        let moved = spread(&places, 14.0, 5.0, 195.0);
        let mut sorted = moved.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] > 13.999), "{sorted:?}");
        assert!(sorted[0] >= 5.0 && sorted[6] <= 195.0);
        assert!(moved[2] < moved[0] && moved[0] < moved[5] && moved[5] < moved[1]);
        assert_eq!(spread(&[10.0, 90.0], 14.0, 0.0, 100.0), [10.0, 90.0]);
        assert!(spread(&[], 14.0, 0.0, 100.0).is_empty());
    }

    #[test]
    fn a_label_without_room_is_not_placed() {
        let mut labels = Labels::new((0.0, 0.0, 100.0, 40.0), []);
        assert_eq!(labels.place((20.0, 20.0), 3.0, 50.0), Some((27.0, 24.0)));
        let placed: Vec<_> = (0..9).filter_map(|_| labels.place((20.0, 20.0), 3.0, 50.0)).collect();
        assert!(placed.len() < 4, "{placed:?}");
        assert_eq!(labels.place((20.0, 20.0), 3.0, 150.0), None);
    }
}
