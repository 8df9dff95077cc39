/// Eq. 1 fitted to one person's score rates by least squares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fitted {
    pub theta: f64,
    pub slope: f64,
    /// Σ (rate − curve)².
    pub loss: f64,
}

pub(super) fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// Minimises Σ (y − σ(s(θ − b)))² over θ, and over s where it is free (it may be negative: a person who
/// does better on hard items), by Levenberg's damped steps.
pub(super) fn fit(b: &[f64], y: &[f64], free: bool) -> Fitted {
    let n = y.len() as f64;
    let mean_b = b.iter().sum::<f64>() / n;
    let mean_y = (y.iter().sum::<f64>() / n).clamp(0.02, 0.98);
    let start = (mean_y / (1.0 - mean_y)).ln();
    // z = α − s (b − mean): with the place centred the two numbers hardly lean on each other.
    let loss = |alpha: f64, s: f64| -> f64 {
        b.iter().zip(y).map(|(b, y)| (y - sigmoid(alpha - s * (b - mean_b))).powi(2)).sum()
    };
    let (mut alpha, mut s) = (start, if free { 0.1 } else { 1.0 });
    let (mut now, mut damping) = (loss(alpha, s), 1e-3);
    for _ in 0..60 {
        let (mut g, mut h) = ([0.0; 2], [0.0; 3]);
        for (b, y) in b.iter().zip(y) {
            let x = b - mean_b;
            let p = sigmoid(alpha - s * x);
            let (w, off) = (p * (1.0 - p), y - p);
            let d = [w, if free { -w * x } else { 0.0 }];
            g = [g[0] + d[0] * off, g[1] + d[1] * off];
            h = [h[0] + d[0] * d[0], h[1] + d[0] * d[1], h[2] + d[1] * d[1]];
        }
        let (a, c) = (h[0] + damping, h[2] + damping);
        let determinant = a * c - h[1] * h[1];
        let step = [(c * g[0] - h[1] * g[1]) / determinant, (a * g[1] - h[1] * g[0]) / determinant];
        let (to, slope) = ((alpha + step[0].clamp(-2.0, 2.0)).clamp(-60.0, 60.0), s + step[1].clamp(-1.0, 1.0));
        let next = loss(to, slope);
        if next <= now {
            let gain = now - next;
            (alpha, s, now) = (to, slope, next);
            damping = (damping * 0.3).max(1e-9);
            if gain < 1e-9 * (1.0 + now) {
                break;
            }
        } else {
            damping *= 8.0;
            if damping > 1e6 {
                break;
            }
        }
    }
    Fitted { theta: if s.abs() > 1e-9 { mean_b + alpha / s } else { f64::NAN }, slope: s, loss: now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_comes_back() {
        let b: Vec<f64> = (0..50).map(|i| f64::from(i) / 5.0).collect();
        let y = |theta: f64, s: f64| b.iter().map(|b| sigmoid(s * (theta - b))).collect::<Vec<_>>();
        let fixed = fit(&b, &y(4.0, 1.0), false);
        assert!((fixed.theta - 4.0).abs() < 1e-3 && fixed.loss < 1e-6, "{fixed:?}");
        let free = fit(&b, &y(6.5, 0.4), true);
        assert!((free.theta - 6.5).abs() < 1e-2 && (free.slope - 0.4).abs() < 1e-3, "{free:?}");
        let backward = fit(&b, &y(3.0, -0.5), true);
        assert!((backward.slope + 0.5).abs() < 1e-3, "{backward:?}");
    }
}
