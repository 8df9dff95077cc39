//! A number's place along an axis, and the round numbers that are written there.

/// Maps low..high to from..to, in pixels, evenly or by logarithm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub low: f64,
    pub high: f64,
    pub from: f64,
    pub to: f64,
    pub log: bool,
}

impl Scale {
    /// An even scale over what is there, widened to whole ticks. Equal ends are moved apart.
    pub fn even(numbers: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = span(numbers);
        if high - low < 1e-9 * low.abs().max(high.abs()).max(1e-9) {
            let half = if low == 0.0 { 1.0 } else { 0.5 * low.abs() };
            (low, high) = (low - half, high + half);
        }
        let step = step(high - low, parts(from, to));
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, from, to, log: false }
    }

    /// A scale whose ends are given.
    pub fn fixed(low: f64, high: f64, from: f64, to: f64) -> Self {
        Self { low, high, from, to, log: false }
    }

    /// A logarithmic scale over what is there; numbers must be positive.
    pub fn log(numbers: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = span(numbers);
        let (low, high) = if high > low * 1.0001 { (low, high) } else { (low / 2.0, high * 2.0) };
        // A little room, so that no dot stands on the frame.
        let room = (high / low).powf(0.04);
        Self { low: low / room, high: high * room, from, to, log: true }
    }

    /// Place of a number; what lies outside is put on the edge.
    pub fn at(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round numbers along the axis with their text.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        if self.log {
            let decades = self.decades();
            // Within one decade even steps may be all that falls inside.
            if decades.len() > 2 || self.high > 3.0 * self.low {
                return decades;
            }
        }
        let step = step(self.high - self.low, parts(self.from, self.to));
        let first = (self.low / step - 1e-6).ceil() as i64;
        let last = (self.high / step + 1e-6).floor() as i64;
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        (first..=last).map(|at| at as f64 * step).map(|tick| (tick, number(tick, decimals))).collect()
    }

    fn decades(&self) -> Vec<(f64, String)> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let inside = |tick: &f64| *tick >= self.low * 0.9999 && *tick <= self.high * 1.0001;
        let parts: &[f64] = match (self.high / self.low).log10() {
            span if span < 1.3 => &[1.0, 2.0, 3.0, 5.0, 7.0],
            span if span < 2.3 => &[1.0, 2.0, 5.0],
            span if span < 3.5 => &[1.0, 3.0],
            _ => &[1.0],
        };
        // A decade more than six: every second, third, … is written.
        let stride = ((last - first) as usize).div_ceil(7).max(1);
        let powers = (first..=last).step_by(stride);
        powers
            .flat_map(|power| parts.iter().map(move |part| part * 10f64.powi(power)))
            .filter(inside)
            .map(|tick| (tick, round(tick)))
            .collect()
    }
}

/// Smallest and largest finite number, 0 and 1 without any.
fn span(numbers: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = numbers.into_iter().filter(|number| number.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// How many parts an axis of this many pixels has room for.
fn parts(from: f64, to: f64) -> f64 {
    ((to - from).abs() / 55.0).clamp(2.5, 8.0)
}

/// A step of 1, 2 or 5 times a power of ten that gives this many parts or a few less.
fn step(span: f64, parts: f64) -> f64 {
    let rough = span / parts;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough * 0.999).unwrap_or(10.0 * power)
}

/// With a true minus sign and these decimals; −0 is 0.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let nothing = text.chars().all(|c| c == '0' || c == '.');
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && whole.len() > 4 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 && !nothing { "−" } else { "" };
    format!("{sign}{grouped}{}{part}", if part.is_empty() { "" } else { "." })
}

/// A positive number in few letters: 0.05, 300, 20k, 7B, 10²¹.
pub(crate) fn round(value: f64) -> String {
    let short = |value: f64| {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    };
    match value {
        0.0 => "0".into(),
        v if !(0.000_99..0.9995e13).contains(&v) => {
            let power = (v * 1.0001).log10().floor();
            let part = short(v / 10f64.powf(power));
            let digits: String = format!("{power:.0}").chars().map(superscript).collect();
            if part == "1" { format!("10{digits}") } else { format!("{part}·10{digits}") }
        }
        v if v >= 0.9995e12 => format!("{}T", short(v / 1e12)),
        v if v >= 0.9995e9 => format!("{}B", short(v / 1e9)),
        v if v >= 0.9995e6 => format!("{}M", short(v / 1e6)),
        v if v >= 0.9995e4 => format!("{}k", short(v / 1e3)),
        v if v >= 0.1 => short(v),
        v => format!("{v:.4}").trim_end_matches('0').to_string(),
    }
}

fn superscript(digit: char) -> char {
    match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        d => d.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(d),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(scale: Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(written(Scale::even([-3.2, 2.9], 0.0, 500.0)), ["−4", "−3", "−2", "−1", "0", "1", "2", "3"]);
        assert_eq!(written(Scale::fixed(0.0, 1.0, 300.0, 0.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(written(Scale::even([-3.2, 2.9], 0.0, 150.0)), ["−5", "0", "5"]);
        assert_eq!(written(Scale::log([1e18, 1e22], 0.0, 1.0)), ["10¹⁸", "10¹⁹", "10²⁰", "10²¹", "10²²"]);
        assert_eq!(written(Scale::log([20.0, 900.0], 0.0, 1.0)), ["20", "50", "100", "200", "500", "1000"]);
        assert_eq!(
            (number(-0.001, 2), number(-1234.5, 1), number(12345.0, 0)),
            ("0.00".into(), "−1234.5".into(), "12,345".into())
        );
        assert_eq!([7e9, 1.5e6, 20_000.0, 0.05, 2e-5].map(round), ["7B", "1.5M", "20k", "0.05", "2·10⁻⁵"]);
    }

    #[test]
    fn places_are_monotone_and_stay_inside() {
        for scale in [Scale::even([0.3, 17.0], 10.0, 200.0), Scale::log([0.3, 17.0], 200.0, 10.0)] {
            let places: Vec<f64> = (1..200).map(|at| scale.at(f64::from(at) / 10.0)).collect();
            let forward = scale.to > scale.from;
            assert!(places.windows(2).all(|pair| if forward { pair[0] <= pair[1] } else { pair[0] >= pair[1] }));
            assert!(places.iter().all(|place| (10.0..=200.0).contains(place)));
        }
        for odd in [vec![], vec![f64::NAN], vec![0.0], vec![-5.0, -5.0], vec![1e-300, 2e-300]] {
            let scale = Scale::even(odd.clone(), 0.0, 1.0);
            assert!(scale.at(0.1).is_finite() && scale.ticks().len() < 20, "{odd:?}");
        }
    }
}
