use super::curve::{Fitted, fit, sigmoid};
use super::difficulty::Difficulty;
use super::table::Table;

/// The measures, and what each counts.
pub(super) const NAMES: [(&str, &str); 4] = [
    ("anomalous consistency", "correlation of difficulty and score rate, mean over subject × model × type"),
    ("fit of the curve", "R² of score rates about Eq. 1, mean over models"),
    ("variance at similar difficulty", "deviation of score rates among items of similar difficulty, mean over models"),
    ("inconsistent score rate", "share of items more than one deviation off the curve, mean over models"),
];

/// A correlation of fewer items says nothing.
const LEAST: usize = 8;

/// Classes of difficulty.
pub(super) const CLASSES: usize = 10;

/// The measures of one table.
pub(super) struct Measured {
    /// r and items of each of the table's groups; none where either does not vary.
    pub correlations: Vec<Option<(f64, usize)>>,
    /// One a person.
    pub curves: Vec<Option<Own>>,
}

pub(super) struct Own {
    pub n: usize,
    pub theta: f64,
    pub slope: f64,
    figures: [f64; 3],
}

impl Own {
    /// R², deviation at similar difficulty, share off the curve.
    pub(super) fn figures(&self) -> [f64; 3] {
        self.figures
    }
}

impl Measured {
    pub(super) fn new(table: &Table, difficulty: &Difficulty, free_slope: bool) -> Self {
        let totals = table.totals();
        let b: Vec<Vec<f64>> = (0..table.persons.len()).map(|person| difficulty.of(table, &totals, person)).collect();
        let correlations = table
            .groups
            .iter()
            .map(|group| {
                let (row, b) = (&table.rows[group.person], &b[group.person]);
                let pairs: Vec<(f64, f64)> = group.cells.iter().map(|&at| (b[at], row[at].1)).collect();
                Some((pearson(&pairs)?, pairs.len()))
            })
            .collect();
        let curves = table.rows.iter().zip(&b).map(|(row, b)| {
            let y: Vec<f64> = row.iter().map(|(_, rate)| *rate).collect();
            own(b, &y, free_slope)
        });
        Self { correlations, curves: curves.collect() }
    }

    /// Means over what they are counted on, in the order of [`NAMES`].
    pub(super) fn means(&self) -> [f64; 4] {
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let of = |at: usize| mean(self.curves.iter().flatten().map(|own| own.figures[at]).collect());
        [mean(self.correlations.iter().flatten().map(|(r, _)| *r).collect()), of(0), of(1), of(2)]
    }

    /// How many the mean is over.
    pub(super) fn count(&self, at: usize) -> usize {
        if at == 0 { self.correlations.iter().flatten().count() } else { self.curves.iter().flatten().count() }
    }
}

fn own(b: &[f64], y: &[f64], free_slope: bool) -> Option<Own> {
    let n = y.len();
    let mean = y.iter().sum::<f64>() / n as f64;
    let total: f64 = y.iter().map(|y| (y - mean).powi(2)).sum();
    if n < LEAST || total < 1e-9 {
        return None;
    }
    let Fitted { theta, slope, loss } = fit(b, y, free_slope);
    let off = |(b, y): (&f64, &f64)| y - sigmoid(slope * (theta - b));
    let deviation = (loss / n as f64).sqrt();
    let beyond = b.iter().zip(y).filter(|pair| off(*pair).abs() > deviation).count() as f64 / n as f64;
    let place = classes(b);
    let (mut sums, mut used) = ([(0.0, 0.0, 0.0); CLASSES], 0);
    b.iter().zip(y).for_each(|(b, y)| {
        let (sum, square, n) = &mut sums[place(*b)];
        (*sum, *square, *n) = (*sum + y, *square + y * y, *n + 1.0);
    });
    let mut within = 0.0;
    for (sum, square, n) in sums.iter().filter(|(_, _, n)| *n > 0.0) {
        within += square - sum * sum / n;
        used += 1;
    }
    let spread = (within / (n.saturating_sub(used)).max(1) as f64).max(0.0).sqrt();
    Some(Own { n, theta, slope, figures: [1.0 - loss / total, spread, beyond] })
}

/// The class of a difficulty: ten of equal width over those that are given.
fn classes(b: &[f64]) -> impl Fn(f64) -> usize + use<> {
    let low = b.iter().copied().fold(f64::INFINITY, f64::min);
    let width = (b.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low).max(1e-9) / CLASSES as f64;
    move |b| (((b - low) / width) as usize).min(CLASSES - 1)
}

/// Mean rate in each class of difficulty, and the items that it is the mean of.
type Rates = Vec<Option<(f64, usize)>>;

/// Middles of classes of difficulty over all items, and each person's mean rate in each.
pub(super) fn heat(table: &Table, difficulty: &Difficulty) -> (Vec<f64>, Vec<Rates>) {
    let totals = table.totals();
    let b: Vec<Vec<f64>> = (0..table.persons.len()).map(|person| difficulty.of(table, &totals, person)).collect();
    let all: Vec<f64> = b.iter().flatten().copied().collect();
    let place = classes(&all);
    let low = all.iter().copied().fold(f64::INFINITY, f64::min);
    let width = (all.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low) / CLASSES as f64;
    let middles = (0..CLASSES).map(|class| low + width * (class as f64 + 0.5)).collect();
    let rows = table.rows.iter().zip(&b).map(|(row, b)| {
        let mut sums = [(0.0, 0); CLASSES];
        row.iter().zip(b).for_each(|((_, rate), b)| {
            let (sum, n) = &mut sums[place(*b)];
            (*sum, *n) = (*sum + rate, *n + 1);
        });
        sums.iter().map(|(sum, n)| (*n > 0).then(|| (sum / *n as f64, *n))).collect()
    });
    (middles, rows.collect())
}

fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let (x, y) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum = |f: fn(f64, f64) -> f64| pairs.iter().map(|(a, b)| f(a - x, b - y)).sum::<f64>();
    let (xx, yy, xy) = (sum(|a, _| a * a), sum(|_, b| b * b), sum(|a, b| a * b));
    (pairs.len() >= LEAST && xx > 1e-9 && yy > 1e-9).then(|| xy / (xx * yy).sqrt())
}

/// 95 % interval of a correlation by Fisher's z.
pub(super) fn fisher(r: f64, n: usize) -> (f64, f64) {
    let (z, reach) = (r.clamp(-0.999_999, 0.999_999).atanh(), 1.959_964 / (n as f64 - 3.0).max(1.0).sqrt());
    ((z - reach).tanh(), (z + reach).tanh())
}
