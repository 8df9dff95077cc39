/// Points and weights that stand for a standard normal distribution.
#[derive(Debug, Clone, PartialEq)]
pub struct Quadrature {
    /// Points on the scale of ability.
    pub nodes: Vec<f64>,
    /// Their weights; the sum is 1.
    pub weights: Vec<f64>,
}

impl Quadrature {
    /// As many points as keep their distance below the posterior deviation of a person who met so many
    /// steps at slopes near 1, which is about 1 / √(1 + ¼ steps): at least 61, at most 1001.
    pub fn for_length(steps: f64) -> Self {
        Self::normal(((12.0 * (1.0 + 0.25 * steps).sqrt()) as usize).clamp(61, 1001))
    }

    /// The same for a normal distribution of this mean and deviation.
    pub fn moved(&self, mean: f64, deviation: f64) -> Self {
        Self { nodes: self.nodes.iter().map(|z| mean + deviation * z).collect(), weights: self.weights.clone() }
    }

    /// `count` equally spaced points from −6 to 6, weighted by the density. For smooth functions that
    /// fall off at both ends this converges as fast as Gauss–Hermite, and its points are dense where
    /// posteriors of long tests are narrow.
    pub fn normal(count: usize) -> Self {
        let nodes: Vec<f64> = (0..count).map(|i| -6.0 + 12.0 * i as f64 / (count - 1) as f64).collect();
        let density: Vec<f64> = nodes.iter().map(|x| (-0.5 * x * x).exp()).collect();
        let sum: f64 = density.iter().sum();
        Self { nodes, weights: density.iter().map(|d| d / sum).collect() }
    }
}
