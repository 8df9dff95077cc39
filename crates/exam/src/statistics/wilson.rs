/// The 0.975 quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's (1927) 95 % interval (low, high) of a share in [0, 1] seen in `n` independent trials:
/// (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n). Without a trial it is (0, 1).
pub fn wilson(share: f64, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let n = n as f64;
    let square = Z * Z / n;
    let centre = share + square / 2.0;
    let reach = Z * (share * (1.0 - share) / n + square / (4.0 * n)).sqrt();
    (((centre - reach) / (1.0 + square)).max(0.0), ((centre + reach) / (1.0 + square)).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::golden;

    #[test]
    fn limits_equal_statsmodels() {
        for case in golden()["wilson"].as_array().expect("cases") {
            let number = |name: &str| case[name].as_f64().expect("number");
            let n = number("n") as usize;
            let (low, high) = wilson(number("right") / n as f64, n);
            assert!((low - number("low")).abs() < 1e-10 && (high - number("high")).abs() < 1e-10, "{case}");
        }
        assert_eq!(wilson(0.0, 0), (0.0, 1.0));
    }
}
