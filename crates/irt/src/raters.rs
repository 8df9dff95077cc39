//! Do markers agree? Coefficients over markers × things marked, with gaps wherever they are defined.

/// κ = (p_o − p_e) / (1 − p_e) of two markers (Cohen 1960) over what both marked; with `quadratic`,
/// disagreements weigh by the square of their distance. Categories are numbers from 0. None without
/// two common marks or without any variation.
pub fn cohen(a: &[Option<usize>], b: &[Option<usize>], quadratic: bool) -> Option<f64> {
    let pairs: Vec<(usize, usize)> = a.iter().zip(b).filter_map(|(a, b)| Some(((*a)?, (*b)?))).collect();
    let categories = pairs.iter().map(|(a, b)| a.max(b) + 1).max()?;
    if pairs.len() < 2 {
        return None;
    }
    let (mut first, mut second) = (vec![0.0; categories], vec![0.0; categories]);
    let off = |a: usize, b: usize| match quadratic {
        true => (a as f64 - b as f64).powi(2),
        false => f64::from(a != b),
    };
    let mut seen = 0.0;
    for &(a, b) in &pairs {
        (first[a], second[b]) = (first[a] + 1.0, second[b] + 1.0);
        seen += off(a, b);
    }
    let n = pairs.len() as f64;
    let mut chance = 0.0;
    for (a, first) in first.iter().enumerate() {
        for (b, second) in second.iter().enumerate() {
            chance += off(a, b) * first * second / n;
        }
    }
    (chance > 0.0).then(|| 1.0 - seen / chance)
}

/// Fleiss' κ (1971) of any number of markers; every row (thing) must have the same number of marks, at
/// least two. None otherwise, or where everything got one category.
pub fn fleiss(rows: &[Vec<usize>]) -> Option<f64> {
    let marks = rows.first()?.len();
    if marks < 2 || rows.iter().any(|row| row.len() != marks) {
        return None;
    }
    let categories = rows.iter().flatten().max()? + 1;
    let (m, n) = (marks as f64, rows.len() as f64);
    let mut totals = vec![0.0; categories];
    let mut agreed = 0.0;
    for row in rows {
        let mut counts = vec![0.0; categories];
        row.iter().for_each(|&mark| counts[mark] += 1.0);
        agreed += counts.iter().map(|c| c * (c - 1.0)).sum::<f64>() / (m * (m - 1.0));
        totals.iter_mut().zip(counts).for_each(|(to, c)| *to += c);
    }
    let chance: f64 = totals.iter().map(|t| (t / (n * m)).powi(2)).sum();
    (chance < 1.0).then(|| (agreed / n - chance) / (1.0 - chance))
}

/// How far apart two marks are, for [`krippendorff`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Equal or not.
    Nominal,
    /// By how many marks lie between.
    Ordinal,
    /// By the square of the difference.
    Interval,
}

/// Krippendorff's α = 1 − D_o / D_e, with gaps. `rows` are the marks of each thing, whoever gave them.
/// None without two things that have two marks each, or without variation.
pub fn krippendorff(rows: &[Vec<f64>], scale: Scale) -> Option<f64> {
    let mut values: Vec<f64> = rows.iter().filter(|row| row.len() > 1).flatten().copied().collect();
    let n = values.len() as f64;
    values.sort_by(f64::total_cmp);
    values.dedup();
    let index = |value: f64| values.iter().position(|v| *v == value);
    let k = values.len();
    let mut coincidences = vec![0.0; k * k];
    for row in rows.iter().filter(|row| row.len() > 1) {
        let weight = 1.0 / (row.len() as f64 - 1.0);
        for (i, &a) in row.iter().enumerate() {
            for (j, &b) in row.iter().enumerate() {
                if i != j {
                    coincidences[index(a)? * k + index(b)?] += weight;
                }
            }
        }
    }
    let totals: Vec<f64> = (0..k).map(|a| coincidences[a * k..(a + 1) * k].iter().sum()).collect();
    let off = |a: usize, b: usize| match scale {
        Scale::Nominal => f64::from(a != b),
        Scale::Interval => (values[a] - values[b]).powi(2),
        Scale::Ordinal => {
            let (low, high) = (a.min(b), a.max(b));
            (totals[low..=high].iter().sum::<f64>() - (totals[low] + totals[high]) / 2.0).powi(2)
        }
    };
    let (mut seen, mut chance) = (0.0, 0.0);
    for a in 0..k {
        for b in 0..k {
            seen += coincidences[a * k + b] * off(a, b);
            chance += totals[a] * totals[b] * off(a, b);
        }
    }
    (chance > 0.0).then(|| 1.0 - (n - 1.0) * seen / chance)
}

/// Intraclass correlations of a complete table (Shrout and Fleiss 1979).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Icc {
    /// ICC(2,1): one marker drawn from many, absolute agreement.
    pub single: f64,
    /// ICC(2,k): the mean of these markers.
    pub mean: f64,
    /// ICC(3,1): consistency of these markers, their severity aside.
    pub consistency: f64,
}

/// ICC of things × markers, without gaps; none with fewer than two of either.
pub fn icc(rows: &[Vec<f64>]) -> Option<Icc> {
    let (n, k) = (rows.len(), rows.first()?.len());
    if n < 2 || k < 2 || rows.iter().any(|row| row.len() != k) {
        return None;
    }
    let (nf, kf) = (n as f64, k as f64);
    let grand = rows.iter().flatten().sum::<f64>() / (nf * kf);
    let row_means: Vec<f64> = rows.iter().map(|row| row.iter().sum::<f64>() / kf).collect();
    let column_means: Vec<f64> = (0..k).map(|j| rows.iter().map(|row| row[j]).sum::<f64>() / nf).collect();
    let between = kf * row_means.iter().map(|m| (m - grand).powi(2)).sum::<f64>() / (nf - 1.0);
    let columns = nf * column_means.iter().map(|m| (m - grand).powi(2)).sum::<f64>() / (kf - 1.0);
    let rest = |i: usize, j: usize| rows[i][j] - row_means[i] - column_means[j] + grand;
    let error: f64 = (0..n).flat_map(|i| (0..k).map(move |j| (i, j))).map(|(i, j)| rest(i, j).powi(2)).sum::<f64>()
        / ((nf - 1.0) * (kf - 1.0));
    Some(Icc {
        single: (between - error) / (between + (kf - 1.0) * error + kf * (columns - error) / nf),
        mean: (between - error) / (between + (columns - error) / nf),
        consistency: (between - error) / (between + (kf - 1.0) * error),
    })
}

/// Kendall's W of markers (rows) who rank the same things: 1 is full agreement, 0 none; ties are
/// corrected for. None without two markers and two things, or where a ranking has no differences at all.
pub fn kendall(rankings: &[Vec<f64>]) -> Option<f64> {
    let (m, n) = (rankings.len() as f64, rankings.first()?.len());
    if rankings.len() < 2 || n < 2 || rankings.iter().any(|row| row.len() != n) {
        return None;
    }
    let mut sums = vec![0.0; n];
    let mut ties = 0.0;
    for row in rankings {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
        let mut at = 0;
        while at < n {
            let same = order[at..].iter().take_while(|&&i| row[i] == row[order[at]]).count();
            let rank = at as f64 + (same as f64 + 1.0) / 2.0;
            order[at..at + same].iter().for_each(|&i| sums[i] += rank);
            ties += (same as f64).powi(3) - same as f64;
            at += same;
        }
    }
    let nf = n as f64;
    let mean = sums.iter().sum::<f64>() / nf;
    let s: f64 = sums.iter().map(|r| (r - mean).powi(2)).sum();
    let most = m * m * (nf.powi(3) - nf) - m * ties;
    (most > 0.0).then(|| 12.0 * s / most)
}

/// Bland and Altman's limits of agreement of two markers: mean difference and mean ± 1.96 deviations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Mean of first less second.
    pub bias: f64,
    /// Below it lie 2.5 % of differences, if they are normal.
    pub low: f64,
    /// Above it lie 2.5 %.
    pub high: f64,
}

/// Limits of agreement; none with fewer than two pairs.
pub fn bland_altman(pairs: &[(f64, f64)]) -> Option<Limits> {
    let n = pairs.len() as f64;
    if pairs.len() < 2 {
        return None;
    }
    let bias = pairs.iter().map(|(a, b)| a - b).sum::<f64>() / n;
    let deviation = (pairs.iter().map(|(a, b)| (a - b - bias).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    Some(Limits { bias, low: bias - 1.96 * deviation, high: bias + 1.96 * deviation })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Option<f64>, wanted: f64) {
        assert!((found.expect("a coefficient") - wanted).abs() < 5e-4, "{found:?}, not {wanted}");
    }

    #[test]
    fn textbook_examples() {
        // Cohen's κ from a 2 × 2 table of 20, 5, 10, 15: 0.4.
        let table = [(0, 0, 20), (0, 1, 5), (1, 0, 10), (1, 1, 15)];
        let marks: Vec<(usize, usize)> = table.iter().flat_map(|&(a, b, n)| vec![(a, b); n]).collect();
        let column = |of: fn(&(usize, usize)) -> usize| marks.iter().map(|m| Some(of(m))).collect::<Vec<_>>();
        near(cohen(&column(|m| m.0), &column(|m| m.1), false), 0.4);
        near(cohen(&column(|m| m.0), &column(|m| m.1), true), 0.4);
        // Fleiss 1971 as in its usual worked example: 14 markers, 10 things, 5 categories: 0.210.
        let counts = [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ];
        let rows: Vec<Vec<usize>> =
            counts.iter().map(|row| row.iter().enumerate().flat_map(|(k, &n)| vec![k; n]).collect()).collect();
        near(fleiss(&rows), 0.210);
        // Shrout and Fleiss 1979, table 2: ICC(2,1) .29, ICC(2,4) .62, ICC(3,1) .71.
        let marks = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]];
        let rows: Vec<Vec<f64>> = marks.iter().map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect();
        let found = icc(&rows).expect("icc");
        for (found, wanted) in [(found.single, 0.29), (found.mean, 0.62), (found.consistency, 0.71)] {
            assert!((found - wanted).abs() < 5e-3, "{found} is not {wanted}");
        }
    }

    #[test]
    fn krippendorff_with_gaps() {
        // Krippendorff's own example of four observers and twelve units: .743 nominal, .815 ordinal, .849 interval.
        let observers = [
            "1 2 3 3 2 1 4 1 2 . . .",
            "1 2 3 3 2 2 4 1 2 5 . 3",
            ". 3 3 3 2 3 4 2 2 5 1 .",
            "1 2 3 3 2 4 4 1 2 5 1 .",
        ];
        let of: Vec<Vec<Option<f64>>> =
            observers.iter().map(|row| row.split(' ').map(|mark| mark.parse().ok()).collect()).collect();
        let rows: Vec<Vec<f64>> = (0..12).map(|unit| of.iter().filter_map(|row| row[unit]).collect()).collect();
        near(krippendorff(&rows, Scale::Nominal), 0.743);
        near(krippendorff(&rows, Scale::Ordinal), 0.815);
        near(krippendorff(&rows, Scale::Interval), 0.849);
    }

    #[test]
    fn rankings_and_limits() {
        near(kendall(&[vec![1.0, 2.0, 3.0], vec![1.0, 2.0, 3.0]]), 1.0);
        near(kendall(&[vec![1.0, 2.0, 3.0], vec![3.0, 2.0, 1.0]]), 0.0);
        let tied = kendall(&[vec![1.0, 1.0, 3.0], vec![1.0, 1.0, 3.0]]);
        near(tied, 1.0);
        let limits = bland_altman(&[(1.0, 0.0), (3.0, 2.0), (5.0, 4.0)]).expect("limits");
        assert_eq!(limits, Limits { bias: 1.0, low: 1.0, high: 1.0 });
        assert_eq!((bland_altman(&[]), kendall(&[]), icc(&[]), fleiss(&[])), (None, None, None, None));
        assert_eq!(krippendorff(&[vec![1.0, 1.0]], Scale::Nominal), None, "no variation");
    }
}
