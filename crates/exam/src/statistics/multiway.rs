use super::student::{Difference, of};

/// Standard error of an estimate Σ h_i whose parts depend on each other wherever they share a cluster of
/// any of several clusterings (Cameron, Gelbach and Miller 2011):
/// V = Σ over sets of clusterings of (−1)^{|set|+1} G / (G − means) Σ_g (Σ_{i in g} h_i)², where a cluster
/// of a set is what agrees in all of it and G counts those.
///
/// `influences` are the h_i, `means` how many means the estimate is made of. Never less than the largest
/// one-way error, so a clustering that does not matter costs nothing and none can make V negative. None
/// where a clustering has no more clusters than means.
pub fn multiway(influences: &[f64], clusterings: &[&[usize]], means: usize) -> Option<f64> {
    let mut total = 0.0;
    let mut largest: f64 = 0.0;
    for set in 1_usize..1 << clusterings.len() {
        let within: Vec<&[usize]> =
            (0..clusterings.len()).filter(|at| set >> at & 1 == 1).map(|at| clusterings[at]).collect();
        let key = |i: usize| within.iter().map(move |clusters| clusters[i]);
        let mut order: Vec<usize> = (0..influences.len()).collect();
        order.sort_by(|&a, &b| key(a).cmp(key(b)));
        let groups = order.chunk_by(|&a, &b| key(a).eq(key(b)));
        let (count, squares) = groups.fold((0_usize, 0.0), |(count, squares), group| {
            (count + 1, squares + group.iter().map(|&i| influences[i]).sum::<f64>().powi(2))
        });
        if count <= means {
            return None;
        }
        let variance = count as f64 / (count - means) as f64 * squares;
        total += if within.len() % 2 == 1 { variance } else { -variance };
        if within.len() == 1 {
            largest = largest.max(variance);
        }
    }
    Some(total.max(largest).sqrt())
}

/// A score of a group's person on an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Whether the person belongs to the first of both groups.
    pub first: bool,
    /// Share of the item's points.
    pub value: f64,
    /// The item's cluster.
    pub item: usize,
    /// What the person shares with others: the base model.
    pub base: usize,
}

/// Mean score of the first group less that of the second, with errors clustered by item and by base
/// model at once, and the fewer degrees of freedom of both. None below two bases in either group or
/// three clusters of items.
pub fn groups(scores: &[Score], alpha: f64) -> Option<Difference> {
    let of_group = |first: bool| scores.iter().filter(move |score| score.first == first);
    let distinct = |all: &mut Vec<usize>| {
        all.sort_unstable();
        all.dedup();
        all.len()
    };
    let bases = |first| distinct(&mut of_group(first).map(|score| score.base).collect());
    let items = distinct(&mut scores.iter().map(|score| score.item).collect());
    if bases(true) < 2 || bases(false) < 2 || items < 3 {
        return None;
    }
    let mean = |first| {
        let n = of_group(first).count() as f64;
        (of_group(first).map(|score| score.value).sum::<f64>() / n, n)
    };
    let ((a, n), (b, m)) = (mean(true), mean(false));
    let influence = |score: &Score| if score.first { (score.value - a) / n } else { (b - score.value) / m };
    let influences: Vec<f64> = scores.iter().map(influence).collect();
    let by_item: Vec<usize> = scores.iter().map(|score| score.item).collect();
    let by_base: Vec<usize> = scores.iter().map(|score| score.base).collect();
    let error = multiway(&influences, &[&by_item, &by_base], 2)?;
    let models = distinct(&mut scores.iter().map(|score| score.base).collect());
    let freedom = (items - 1).min(models - 2) as f64;
    Some(of(a - b, error, freedom, alpha, scores.len(), models.min(items)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::simulated::share;
    use crate::statistics::{ByCluster, golden};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn one_clustering_is_the_usual_error() {
        let values = [(0, 0.5), (0, 0.25), (1, -0.25), (2, 1.0), (2, 0.0), (2, 0.5), (3, -1.0)];
        let clustered = ByCluster::new(values);
        let (mean, n) = (clustered.mean(), values.len() as f64);
        let influences = values.map(|(_, value)| (value - mean) / n);
        let found = multiway(&influences, &[&values.map(|(cluster, _)| cluster)], 1).expect("clusters");
        assert!((found - clustered.standard_error().expect("clusters")).abs() < 1e-12);
        assert_eq!(multiway(&influences, &[&[0; 7]], 1), None);
    }

    #[test]
    fn two_clusterings_equal_statsmodels() {
        let case = &golden()["multiway"];
        let list = |name: &str| -> Vec<f64> { serde_json::from_value(case[name].clone()).expect("numbers") };
        let values = list("values");
        let (mean, n) = (values.iter().sum::<f64>() / values.len() as f64, values.len() as f64);
        let influences: Vec<f64> = values.iter().map(|value| (value - mean) / n).collect();
        let clusters = |name: &str| -> Vec<usize> { list(name).into_iter().map(|x| x as usize).collect() };
        let found = multiway(&influences, &[&clusters("first"), &clusters("second")], 1).expect("clusters");
        assert!((found - case["standard_error"].as_f64().expect("number")).abs() < 1e-9, "{found}");
    }

    /// Two groups of 10 bases, two variants of each, on 60 items; what a base and an item have in common
    /// is drawn anew each time.
    fn halls(seed: u64) -> Vec<Score> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = |spread: f64| spread * (2.0 * random.random::<f64>() - 1.0);
        let items: Vec<f64> = (0..60).map(|_| draw(0.3)).collect();
        let mut scores = Vec::new();
        for base in 0..20 {
            let strength = draw(0.15);
            for _ in 0..2 {
                for (item, ease) in items.iter().enumerate() {
                    let right = 0.5 * (1.0 + draw(1.0)) < 0.5 + ease + strength;
                    scores.push(Score { first: base < 10, value: f64::from(u8::from(right)), item, base });
                }
            }
        }
        scores
    }

    #[test]
    fn equal_groups_are_told_apart_in_one_of_twenty_exams() {
        let level = share(400, |seed| groups(&halls(seed), 0.05).expect("bases").p < 0.05);
        // 400 exams: a standard error of 0.011.
        assert!((0.025..0.08).contains(&level), "{level}");
        // By items alone, as if each variant were a sample of its own, errors are far too small.
        let naive = share(100, |seed| {
            let scores: Vec<Score> =
                halls(seed).into_iter().enumerate().map(|(i, score)| Score { base: i, ..score }).collect();
            groups(&scores, 0.05).expect("bases").p < 0.05
        });
        assert!(naive > 0.15, "{naive}");
        let one: Vec<Score> = halls(1).into_iter().filter(|score| score.base > 8).collect();
        assert!(groups(&one, 0.05).is_none());
    }
}
