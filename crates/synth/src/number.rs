//! Numbers with their units, dates and times, as they stand at the start of a list of words.

use std::sync::LazyLock;

use regex::Regex;

use crate::words::listed;

const NUMBER_WORDS: &str = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen \
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand";
const SCALES: &str = "hundred thousand million billion trillion";
const MONTHS: &str = "January February March April May June July August September October November December";
const DAYS: &str = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mondays Tuesdays Wednesdays Thursdays \
    Fridays Saturdays Sundays";
/// Units, and the quantity that each measures.
const UNITS: &[(&str, &str)] = &[
    ("temperature", "°C °F degrees kelvin"),
    (
        "time",
        "seconds second minutes minute hours hour days day weeks week months month years year nights night \
        milliseconds microseconds nanoseconds ms decades",
    ),
    (
        "distance",
        "metres metre meters meter kilometres kilometre kilometers km m cm mm centimetres centimetre \
        millimetres millimetre miles feet inches",
    ),
    ("area", "hectares acres"),
    ("weight", "kilograms kilogram grams gram kg g mg milligrams tonnes tonne tons pounds"),
    ("volume", "litres litre liters millilitres millilitre ml gallons"),
    ("power", "watts watt kilowatts kilowatt megawatts kW W MW"),
    ("energy", "kilowatt-hours kilowatt-hour kWh"),
    ("frequency", "hertz kilohertz megahertz gigahertz Hz kHz MHz GHz"),
    ("voltage", "volts volt kilovolts V kV"),
    ("current", "amperes amps A"),
    ("pressure", "bar pascals hPa"),
    ("price", "crowns crown dollars euros pounds cents"),
    ("share", "percent % per-cent"),
    ("size", "bytes byte bits bit kilobytes megabytes gigabytes terabytes KB MB GB TB KiB MiB GiB"),
    ("speed", "knots km/h"),
    ("rate", "megabits kilobits gigabits"),
];
/// Words that make one unit of two: `square metres`, `nautical miles`.
const UNIT_MODIFIERS: &str = "square cubic nautical running solar";

static DIGITS: LazyLock<Regex> = LazyLock::new(|| regex(r"^[-−+]?\d+(?:,\d{3})*(?:\.\d+)?$"));
static HEX: LazyLock<Regex> = LazyLock::new(|| regex(r"^0x[0-9a-fA-F]+$"));
static TIME: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:[01]?\d|2[0-4]):[0-5]\d$"));
static ISO: LazyLock<Regex> = LazyLock::new(|| regex(r"^\d{4}-\d{2}-\d{2}$"));
static YEAR: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:1[5-9]\d\d|20\d\d)$"));

/// A pattern that is written in this crate.
pub(crate) fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant that the tests compile")
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quantity {
    /// How many words it takes.
    pub length: usize,
    /// What the unit measures, or nothing for a bare number.
    pub measures: Option<&'static str>,
}

/// A number at the start of `words`, with the unit that follows it if there is one.
pub(crate) fn quantity(words: &[&str]) -> Option<Quantity> {
    let first = *words.first()?;
    let lower = first.to_lowercase();
    let glued = first.strip_suffix('%').is_some_and(|number| DIGITS.is_match(number));
    let ordinary = DIGITS.is_match(first) || HEX.is_match(first) || glued;
    let worded = lower.split('-').all(|part| listed(NUMBER_WORDS, part)) && lower != "one";
    if !ordinary && !worded {
        return None;
    }
    let mut length = 1;
    while words.get(length).is_some_and(|word| listed(SCALES, word)) {
        length += 1;
    }
    if glued {
        return Some(Quantity { length, measures: Some("share") });
    }
    let modified = words.get(length).is_some_and(|word| listed(UNIT_MODIFIERS, word));
    let Some(unit) = words.get(length + usize::from(modified)) else {
        return Some(Quantity { length, measures: None });
    };
    let Some(mut measures) = UNITS.iter().find(|(_, units)| listed(units, unit)).map(|(quantity, _)| *quantity) else {
        return Some(Quantity { length, measures: None });
    };
    length += 1 + usize::from(modified);
    match (modified.then(|| words[length - 2]), measures) {
        (Some("square"), _) => measures = "area",
        (Some("cubic"), _) => measures = "volume",
        _ => {}
    }
    if words.get(length) == Some(&"per") && words.get(length + 1).is_some() {
        length += 2;
        if measures == "distance" {
            measures = "speed";
        }
    }
    Some(Quantity { length, measures: Some(measures) })
}

/// A date or a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// `08:15`, `midnight`.
    Clock,
    /// `Friday`, `the second Monday of each month`.
    Weekday,
    /// `1961`.
    Year,
    /// `May`, `early June`.
    Month,
    /// `14 May 1961`, `2013-08-26`.
    Date,
}

/// A date or time of day at the start of `words`, and how many words it takes.
pub(crate) fn moment(words: &[&str]) -> Option<(Moment, usize)> {
    let first = *words.first()?;
    let month = |at: usize| words.get(at).is_some_and(|word| listed(MONTHS, word));
    let year = |at: usize| words.get(at).is_some_and(|word| YEAR.is_match(word));
    let day = |at: usize| words.get(at).is_some_and(|word| word.parse::<u8>().is_ok_and(|day| (1..=31).contains(&day)));
    if TIME.is_match(first) || matches!(first, "midnight" | "noon" | "midday" | "dawn" | "dusk" | "sunset" | "sunrise")
    {
        return Some((Moment::Clock, 1));
    }
    if ISO.is_match(first) {
        return Some((Moment::Date, 1));
    }
    if day(0) && month(1) {
        return Some((Moment::Date, if year(2) { 3 } else { 2 }));
    }
    if month(0) {
        return Some(if year(1) { (Moment::Date, 2) } else { (Moment::Month, 1) });
    }
    if year(0) {
        return Some((Moment::Year, 1));
    }
    if listed(DAYS, first) {
        let pair = words.get(1) == Some(&"and") && words.get(2).is_some_and(|word| listed(DAYS, word));
        if words.get(1) == Some(&"at") && words.get(2).is_some_and(|word| TIME.is_match(word)) {
            return Some((Moment::Date, 3));
        }
        return Some((Moment::Weekday, if pair { 3 } else { 1 }));
    }
    let ordinal = |at: usize| words.get(at).is_some_and(|w| listed("first second third fourth last", w));
    if first == "the" && ordinal(1) && words.get(2).is_some_and(|word| listed(DAYS, word)) {
        let monthly = words.get(3) == Some(&"of") && words.len() >= 6 && listed("each every the", words[4]);
        return Some((Moment::Weekday, if monthly { 6 } else { 3 }));
    }
    None
}

/// `every three hours`, `every Friday`, `twice a day`, `once a week`: how many words it takes.
pub(crate) fn rhythm(words: &[&str]) -> Option<usize> {
    let first = *words.first()?;
    if first == "every" {
        let rest = &words[1..];
        let (number, plus) = match quantity(rest) {
            Some(found) if found.measures == Some("time") => (found.length, 0),
            _ => (0, usize::from(rest.first().is_some_and(|w| listed("second third other", w)))),
        };
        if number > 0 {
            return Some(1 + number);
        }
        let unit = rest.get(plus)?;
        let known = is_time(unit)
            || listed(DAYS, unit)
            || listed(MONTHS, unit)
            || listed("morning evening spring summer autumn winter season", unit);
        return known.then_some(2 + plus);
    }
    let often =
        matches!(first, "once" | "twice") || (words.get(1) == Some(&"times") && quantity(&words[..1]).is_some());
    let at = if matches!(first, "once" | "twice") { 1 } else { 2 };
    let unit = words.get(at).is_some_and(|w| listed("a an each every per", w))
        && words.get(at + 1).is_some_and(|w| is_time(w) || *w == "season");
    (often && unit).then_some(at + 2)
}

fn is_time(word: &str) -> bool {
    UNITS.iter().any(|(quantity, units)| *quantity == "time" && listed(units, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        text.split(' ').collect()
    }

    #[test]
    fn numbers_take_their_units() {
        let check = |text: &str, length: usize, measures: Option<&str>| {
            let found = quantity(&split(text)).expect(text);
            assert_eq!((found.length, found.measures), (length, measures), "{text}");
        };
        check("64 kilograms", 2, Some("weight"));
        check("2.2 litres per second", 4, Some("volume"));
        check("24 metres per second today", 4, Some("speed"));
        check("6.4 million crowns", 3, Some("price"));
        check("200 square centimetres", 3, Some("area"));
        check("−12 °C", 2, Some("temperature"));
        check("six people", 1, None);
        check("1,000,000 pages", 1, None);
        check("0x0d bytes", 2, Some("size"));
        check("twenty-four hours", 2, Some("time"));
        assert!(quantity(&split("bronze")).is_none() && quantity(&[]).is_none());
        assert!(quantity(&split("3.8.0")).is_none());
    }

    #[test]
    fn dates_times_and_rhythms() {
        let check = |text: &str, expected| assert_eq!(moment(&split(text)), Some(expected), "{text}");
        check("14 May 1961", (Moment::Date, 3));
        check("2013-08-26", (Moment::Date, 1));
        check("1974 ended", (Moment::Year, 1));
        check("08:15", (Moment::Clock, 1));
        check("the second Monday of each month", (Moment::Weekday, 6));
        check("Tuesdays and Saturdays", (Moment::Weekday, 3));
        assert_eq!(moment(&split("46 people")), None);
        assert_eq!(rhythm(&split("every three hours")), Some(3));
        assert_eq!(rhythm(&split("every Friday")), Some(2));
        assert_eq!(rhythm(&split("twice a day")), Some(3));
        assert_eq!(rhythm(&split("every second day")), Some(3));
        assert_eq!(rhythm(&split("every building")), None);
    }
}
