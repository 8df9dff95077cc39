//! Numbers as a reader likes them: a true minus sign, thousands apart, no digits without meaning.

/// 1234567 → `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 question`, `2 questions`.
pub(crate) fn plural(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(number as u64), if number == 1 { "" } else { "s" })
}

/// A share of 1 as per cent: 0.784 → `78 %`, between 0 and 1 % or 99 and 100 % with one decimal.
pub(crate) fn percent(share: f64) -> String {
    let value = 100.0 * share;
    let near_end = (value > 0.0 && value < 1.0) || (value > 99.0 && value < 100.0);
    format!("{value:.*}\u{a0}%", usize::from(near_end))
}

/// A difference of shares in points: 0.774 → `+77`, −0.0062 → `−0.6`.
pub(crate) fn points(share: f64) -> String {
    let value = 100.0 * share;
    let decimals = usize::from(value.abs() < 9.95);
    signed(value, decimals)
}

/// With a sign; −0.0 and +0.0 become 0.
pub(crate) fn signed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    if text.chars().all(|c| c == '0' || c == '.') {
        "0".into()
    } else if value < 0.0 {
        format!("\u{2212}{text}")
    } else {
        format!("+{text}")
    }
}

/// 4.2 → `4.2 s`, 75 → `1 min 15 s`, 4000 → `1 h 7 min`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..10 => format!("{:.1}\u{a0}s", seconds.max(0.0)),
        10..60 => format!("{whole}\u{a0}s"),
        60..3600 => format!("{}\u{a0}min {}\u{a0}s", whole / 60, whole % 60),
        _ => format!("{}\u{a0}h {}\u{a0}min", whole / 3600, whole % 3600 / 60),
    }
}

/// A p-value: 0.0312 → `p = 0.031`, tiny ones as a bound.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".into() } else { format!("p = {p:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 0.004, 0.784, 0.996, 1.0].map(percent),
            ["0\u{a0}%", "0.4\u{a0}%", "78\u{a0}%", "99.6\u{a0}%", "100\u{a0}%"]
        );
        assert_eq!([0.774, -0.0062, 0.0, -0.00001].map(points), ["+77", "\u{2212}0.6", "0", "0"]);
        assert_eq!(
            [4.21, 59.6, 75.0, 4000.0].map(duration),
            ["4.2\u{a0}s", "1\u{a0}min 0\u{a0}s", "1\u{a0}min 15\u{a0}s", "1\u{a0}h 6\u{a0}min"]
        );
        assert_eq!((plural(1, "fact"), plural(1200, "fact")), ("1 fact".into(), "1,200 facts".into()));
        assert_eq!((p_value(0.0312), p_value(1e-9)), ("p = 0.031".into(), "p < 0.001".into()));
    }
}
