use std::collections::BTreeMap;

/// Values gathered by what makes them dependent: for each cluster the sum of its values and their number.
///
/// The estimate is the mean of all values, x̄ = Σ s_g / Σ n_g. Clusters are the units that are drawn
/// again, flipped or counted as degrees of freedom; a value whose cluster nobody knows is one of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ByCluster {
    pub(super) sums: Vec<f64>,
    pub(super) counts: Vec<f64>,
}

impl ByCluster {
    /// From (cluster, value); clusters may have any numbers, and keep the order of these.
    pub fn new(values: impl IntoIterator<Item = (usize, f64)>) -> Self {
        let mut all: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for (cluster, value) in values {
            let (sum, count) = all.entry(cluster).or_default();
            *sum += value;
            *count += 1.0;
        }
        let (sums, counts) = all.into_values().unzip();
        Self { sums, counts }
    }

    /// Each value a cluster of its own.
    pub fn independent(values: impl IntoIterator<Item = f64>) -> Self {
        let sums: Vec<f64> = values.into_iter().collect();
        Self { counts: vec![1.0; sums.len()], sums }
    }

    /// Sum of each cluster's values.
    pub fn sums(&self) -> &[f64] {
        &self.sums
    }

    /// Number of each cluster's values.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// Values.
    pub fn n(&self) -> usize {
        self.counts.iter().sum::<f64>() as usize
    }

    /// Clusters.
    pub fn clusters(&self) -> usize {
        self.sums.len()
    }

    /// Mean of all values; not a number without any.
    pub fn mean(&self) -> f64 {
        self.sums.iter().sum::<f64>() / self.counts.iter().sum::<f64>()
    }

    /// Standard error of the mean, SE² = G / (G − 1) · Σ_g (s_g − x̄ n_g)² / n² (CR1); none below two
    /// clusters.
    pub fn standard_error(&self) -> Option<f64> {
        let (g, n, mean) = (self.clusters() as f64, self.counts.iter().sum::<f64>(), self.mean());
        if self.clusters() < 2 {
            return None;
        }
        let squares: f64 = self.sums.iter().zip(&self.counts).map(|(s, c)| (s - mean * c).powi(2)).sum();
        let variance = g / (g - 1.0) * squares / (n * n);
        // Sums of equal values leave rounding behind, not variance.
        Some(if variance < 1e-20 { 0.0 } else { variance.sqrt() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::golden;

    #[test]
    fn mean_and_error_equal_statsmodels() {
        for case in golden()["clustered"].as_array().expect("cases") {
            let values: Vec<(String, f64)> = serde_json::from_value(case["values"].clone()).expect("values");
            let number = |name: &str| name[1..].parse::<usize>().expect("a number");
            let found = ByCluster::new(values.iter().map(|(cluster, value)| (number(cluster), *value)));
            let want = |name: &str| case[name].as_f64().expect("number");
            assert!((found.mean() - want("mean")).abs() < 1e-9);
            assert!((found.standard_error().expect("clusters") - want("standard_error")).abs() < 1e-9);
        }
    }

    #[test]
    fn too_little_has_no_error() {
        assert_eq!(ByCluster::new([(3, 1.0), (3, 0.0)]).standard_error(), None);
        let alike = ByCluster::independent([0.1; 60]);
        assert_eq!((alike.standard_error(), alike.n(), alike.clusters()), (Some(0.0), 60, 60));
        assert!(ByCluster::independent([]).mean().is_nan());
    }
}
