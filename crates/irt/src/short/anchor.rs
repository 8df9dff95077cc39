use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::Whole;

/// Rounds of moving centres at most.
const ROUNDS: usize = 25;

/// `k` anchor points: items are gathered by the responses that they got (k-means from a k-means++ start,
/// Arthur and Vassilvitskii 2007), the item nearest to each centre stands for its group, with the
/// group's share of all items as its weight (Vivek and others 2024; Polo and others 2024). Items rise.
pub(super) fn anchors(whole: &Whole, persons: &[usize], k: usize, seed: u64) -> (Vec<usize>, Vec<f64>) {
    let (items, width) = (whole.items(), persons.len());
    let mut points = vec![0.0_f32; items * width];
    for (at, &person) in persons.iter().enumerate() {
        for (item, share) in whole.of(person).iter().enumerate() {
            points[item * width + at] = *share as f32;
        }
    }
    let point = |item: usize| &points[item * width..(item + 1) * width];
    let distance = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum() };

    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut centres: Vec<Vec<f32>> = vec![point(random.random_range(0..items)).to_vec()];
    let mut near = vec![f32::INFINITY; items];
    while centres.len() < k {
        let last = &centres[centres.len() - 1];
        near.par_iter_mut().enumerate().for_each(|(item, near)| *near = near.min(distance(point(item), last)));
        let mut left = random.random::<f64>() * near.iter().map(|d| f64::from(*d)).sum::<f64>();
        let next = near.iter().position(|d| {
            left -= f64::from(*d);
            left < 0.0
        });
        // Fewer different items than centres: any item will do.
        centres.push(point(next.unwrap_or_else(|| random.random_range(0..items))).to_vec());
    }

    let nearest = |centres: &[Vec<f32>], item: usize| {
        let distances = centres.iter().map(|centre| distance(point(item), centre)).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, f32::INFINITY))
    };
    let mut groups: Vec<(usize, f32)> = Vec::new();
    for _ in 0..ROUNDS {
        let mut next: Vec<(usize, f32)> = (0..items).into_par_iter().map(|item| nearest(&centres, item)).collect();
        fill_empty(&mut next, k);
        if groups == next {
            break;
        }
        groups = next;
        let mut sums = vec![vec![0.0_f32; width]; k];
        let mut counts = vec![0.0_f32; k];
        for (item, (group, _)) in groups.iter().enumerate() {
            sums[*group].iter_mut().zip(point(item)).for_each(|(to, more)| *to += more);
            counts[*group] += 1.0;
        }
        centres = sums.into_iter().zip(counts).map(|(sum, n)| sum.into_iter().map(|x| x / n).collect()).collect();
    }
    let mut chosen: Vec<(usize, f64)> = (0..k)
        .filter_map(|group| {
            let members: Vec<usize> = (0..items).filter(|&item| groups[item].0 == group).collect();
            let from = |item: &usize| distance(point(*item), &centres[group]);
            let best = members.iter().copied().min_by(|a, b| from(a).total_cmp(&from(b)))?;
            Some((best, members.len() as f64 / items as f64))
        })
        .collect();
    chosen.sort_unstable_by_key(|(item, _)| *item);
    chosen.into_iter().unzip()
}

/// Gives each group without an item the one that lies farthest from its centre.
fn fill_empty(groups: &mut [(usize, f32)], k: usize) {
    let mut counts = vec![0_usize; k];
    groups.iter().for_each(|(group, _)| counts[*group] += 1);
    for empty in 0..k {
        if counts[empty] > 0 {
            continue;
        }
        let shared = (0..groups.len()).filter(|&item| counts[groups[item].0] > 1);
        if let Some(item) = shared.max_by(|&a, &b| groups[a].1.total_cmp(&groups[b].1).then(b.cmp(&a))) {
            counts[groups[item].0] -= 1;
            groups[item] = (empty, 0.0);
            counts[empty] = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_items_have_one_anchor_each_weighted_by_their_number() {
        // Three kinds: all right, right for the first half, right for the second half.
        let kinds = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2];
        let right = |person: usize, kind: usize| match kind {
            0 => 1.0,
            1 => f64::from(u8::from(person < 5)),
            _ => f64::from(u8::from(person >= 5)),
        };
        let shares = (0..10).flat_map(|person| kinds.map(|kind| right(person, kind))).collect();
        let whole = Whole::new(shares, &[1.0; 10]).expect("a table");
        let persons: Vec<usize> = (0..10).collect();
        let (items, weights) = anchors(&whole, &persons, 3, 1);
        assert_eq!(items.iter().map(|item| kinds[*item]).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(weights.iter().zip([0.6, 0.3, 0.1]).all(|(found, wanted)| (found - wanted).abs() < 1e-12));
        // More anchors than kinds: all different, and weights still sum to 1.
        let (items, weights) = anchors(&whole, &persons, 6, 1);
        assert!(items.windows(2).all(|pair| pair[0] < pair[1]) && items.len() == 6);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
