use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::letters::told;
use crate::{exact_match, normalise};

/// A blank to fill in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blank {
    /// Accepted answers, the canonical one first.
    pub answers: Vec<String>,
    /// A number may differ from an accepted one by so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Or by this share of it, e.g. 0.01.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<f64>,
    /// Units of which a number must carry one; `""` among them allows none. Without units any, or none,
    /// is accepted that the accepted answer has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
}

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a fixed pattern that a test compiles")
}

/// A number as people write it: sign, digits with separators of thousands, decimals, a power of ten.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let digits = r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)";
    let power = r"(?:\s*(?:[eE]|(?:[×x*]|\\times)\s*10\s*\^?)\s*\{?([-+]?\d+)\}?)?";
    pattern(&format!("{digits}{power}"))
});

impl Blank {
    /// Whether numbers are compared as numbers.
    pub(crate) fn is_number(&self) -> bool {
        self.tolerance.is_some() || self.relative.is_some() || !self.units.is_empty()
    }

    /// Share of the points, 0 or 1, and why.
    pub fn mark(&self, text: &str) -> (f64, String) {
        let (said, _) = told(text);
        let said = bare(said);
        if self.is_number() {
            let (right, why) = self.number(said);
            return (f64::from(u8::from(right)), why);
        }
        let answers: Vec<String> = self.answers.iter().map(|answer| bare(answer).to_string()).collect();
        let right = exact_match(said, &answers);
        (
            f64::from(u8::from(right)),
            if right { "equals an accepted answer" } else { "equals no accepted answer" }.into(),
        )
    }

    fn number(&self, said: &str) -> (bool, String) {
        // `v = 3.2 m/s` says 3.2 m/s.
        let said = said.rsplit(['=', '≈']).next().unwrap_or(said);
        let Some((value, unit)) = number(said) else { return (false, "no number, or more than one".into()) };
        for answer in &self.answers {
            let Some((wanted, own)) = number(answer) else { continue };
            let reach = self.tolerance.unwrap_or(0.0).max(self.relative.unwrap_or(0.0) * wanted.abs());
            // What is said with a rounded decimal may miss the limit by the last bit.
            if (value - wanted).abs() > reach * (1.0 + 1e-12) + wanted.abs() * 1e-12 {
                continue;
            }
            let allowed = match self.units.is_empty() {
                true => unit.is_empty() || unit == own,
                false => self.units.iter().any(|allowed| form(allowed) == unit),
            };
            return match allowed {
                true => (true, format!("{value} is within {reach} of {wanted}")),
                false => (false, format!("{value} is right, its unit {unit:?} is not")),
            };
        }
        (false, format!("{value} is too far from {}", self.answers.join(", ")))
    }
}

/// Without the signs that open and close a formula.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| c == '$' || c.is_whitespace())
}

/// Whether a text holds one number and no other.
pub(crate) fn says_number(text: &str) -> bool {
    number(text).is_some()
}

/// The only number of a text, and the unit that follows it.
fn number(text: &str) -> Option<(f64, String)> {
    let text: String = text
        .chars()
        .map(|c| match c {
            '\u{2212}' | '\u{2013}' => '-',
            '\u{a0}' | '\u{2009}' | '\u{202f}' => ' ',
            c => c,
        })
        .collect();
    // A digit that follows a letter or a power belongs to a unit: `m2`, `m^2`.
    let free = |at: usize| !text[..at].ends_with(|c: char| c.is_alphabetic() || matches!(c, '^' | '_' | '{'));
    let own = |found: &regex::Match| {
        let minus = found.as_str().starts_with(['-', '+']) && text[..found.start()].ends_with(char::is_alphanumeric);
        free(found.start()) && !minus
    };
    let mut found = NUMBER.find_iter(&text).filter(own);
    let first = found.next()?;
    if found.next().is_some() {
        return None;
    }
    let power = NUMBER.captures(first.as_str())?.get(1);
    let mantissa = power.map_or(first.as_str(), |_| {
        first.as_str().split(['e', 'E', '×', 'x', '*', '\\', ' ']).next().unwrap_or_default()
    });
    let exponent: i32 = power.map_or(Some(0), |power| power.as_str().parse().ok())?;
    let value: f64 = mantissa.replace(',', "").parse().ok()?;
    let value = format!("{value}e{exponent}").parse::<f64>().ok().filter(|value| value.is_finite())?;
    Some((value, form(&text[first.end()..])))
}

/// A unit without the marks of typesetting, so that `m/s^2`, `m/s²` and `m s-2` are told apart as little as
/// can be: spaces, `$`, `\mathrm` and braces go, superscripts become digits.
fn form(unit: &str) -> String {
    let plain = unit.replace("\\mathrm", "").replace("\\text", "");
    let mut out = String::new();
    for c in plain.chars() {
        match c {
            '²' => out.push('2'),
            '³' => out.push('3'),
            '⁻' => out.push('-'),
            '¹' => out.push('1'),
            'µ' => out.push('μ'),
            '^' | '$' | '{' | '}' | '\\' | '~' => {}
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    let out = out.trim_end_matches(['.', '。', ',', ';', '!']).to_string();
    // Words, as `metres`, are compared as the answers of banks are.
    if out.chars().count() > 3 && out.chars().all(char::is_alphabetic) { normalise(&out) } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank(answers: &[&str]) -> Blank {
        Blank {
            answers: answers.iter().map(|a| a.to_string()).collect(),
            tolerance: None,
            relative: None,
            units: vec![],
        }
    }

    fn check(blank: &Blank, cases: &[(&str, bool)]) {
        for (text, right) in cases {
            let (share, why) = blank.mark(text);
            assert_eq!(share == 1.0, *right, "{text:?}: {why}");
        }
    }

    #[test]
    fn words_are_compared_by_their_normal_form() {
        check(
            &blank(&["Kittle", "the Kittle"]),
            &[("kittle.", true), ("Answer: Kittle", true), ("Kettle", false), ("", false)],
        );
        check(&blank(&["$8 \\sqrt{3}$"]), &[("8 \\sqrt{3}", true), ("8 \\sqrt{2}", false)]);
    }

    #[test]
    fn numbers_are_compared_within_a_tolerance_and_with_their_unit() {
        let speed = Blank { tolerance: Some(0.05), units: vec!["m/s".into(), "".into()], ..blank(&["3.2"]) };
        check(
            &speed,
            &[
                ("3.2", true),
                ("v = 3.25 m/s", true),
                ("3.26", false),
                ("3.2 km/h", false),
                ("3.2 or 3.3", false),
                ("+3.2$\\mathrm{m}/\\mathrm{s}$", true),
                ("three", false),
            ],
        );
        let strict = Blank { relative: Some(0.01), units: vec!["J".into()], ..blank(&["-4.0e3", "1"]) };
        check(
            &strict,
            &[
                ("−4,000 J", true),
                ("-4.03 × 10^3 J", true),
                ("-4.05e3 J", false),
                ("-4000", false),
                ("1 J.", true),
                ("4000 J", false),
            ],
        );
        let area = Blank { tolerance: Some(0.0), units: vec!["m^2".into()], ..blank(&["0.3"]) };
        check(&area, &[("0.3 m²", true), (".3 m2", true), ("0.3 m", false), ("0.30000001 m²", false)]);
        let plain = Blank { tolerance: Some(1.0), ..blank(&["20 °C"]) };
        check(&plain, &[("21 °C", true), ("21", true), ("21 °F", false)]);
    }
}
