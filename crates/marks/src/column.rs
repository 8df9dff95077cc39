use std::borrow::Cow;

/// What a column of a table of scores says. The order is that of the long form that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Person,
    Item,
    Score,
    Max,
    Grader,
    Attempt,
    Subject,
    Kind,
    Cluster,
    Difficulty,
    Chance,
    Text,
    Base,
    Group,
    Date,
}

impl Column {
    pub const ALL: [Self; 15] = [
        Self::Person,
        Self::Item,
        Self::Score,
        Self::Max,
        Self::Grader,
        Self::Attempt,
        Self::Subject,
        Self::Kind,
        Self::Cluster,
        Self::Difficulty,
        Self::Chance,
        Self::Text,
        Self::Base,
        Self::Group,
        Self::Date,
    ];

    /// Names that a header gives it, the best first. The first one is ours.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Person => &[
                "person",
                "model",
                "model_name",
                "model_id",
                "student",
                "student_id",
                "examinee",
                "respondent",
                "subject_id",
                "test_taker",
                "user",
                "user_id",
                "system",
                "llm",
            ],
            Self::Item => &[
                "item",
                "item_id",
                "question_id",
                "question",
                "qid",
                "task_id",
                "doc_id",
                "problem_id",
                "problem",
                "instance_id",
                "example_id",
                "sample_id",
                "id",
            ],
            Self::Score => &[
                "score",
                "correct",
                "is_correct",
                "mark",
                "points",
                "accuracy",
                "acc",
                "exact_match",
                "response",
                "result",
                "outcome",
                "grade",
                "value",
            ],
            Self::Max => &["max", "max_score", "maximum", "full_marks", "max_points", "total"],
            Self::Grader => &["grader", "rater", "judge", "scorer", "annotator", "marker"],
            Self::Attempt => &["attempt", "epoch", "trial", "repeat", "repetition"],
            Self::Subject => &["subject", "task", "dataset", "benchmark", "category", "domain", "topic"],
            Self::Kind => &["kind", "type", "item_type", "question_type"],
            Self::Cluster => &["cluster", "passage", "passage_id", "testlet", "fact", "group_id"],
            Self::Difficulty => &["difficulty", "level"],
            Self::Chance => &["chance", "guess", "guessing", "random_baseline"],
            Self::Text => &["text", "question_text", "item_text", "prompt"],
            Self::Base => &["base", "base_model", "family", "model_family"],
            Self::Group => &["group", "person_group"],
            Self::Date => &["date", "release_date", "released"],
        }
    }
}

/// Which column stands where in a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    at: [Option<usize>; Column::ALL.len()],
    /// Names of the columns that say nothing here.
    pub ignored: Vec<String>,
}

impl Layout {
    /// Finds the columns by the names of a header; `metric` names the one of the scores.
    pub fn new<S: AsRef<str>>(header: &[S], metric: Option<&str>) -> Self {
        let plain: Vec<String> = header.iter().map(|name| plain(name.as_ref())).collect();
        let find = |name: &str| plain.iter().position(|other| other == name);
        let mut at = Column::ALL.map(|column| column.names().iter().find_map(|name| find(name)));
        if let Some(metric) = metric {
            at[Column::Score as usize] = find(&self::plain(metric));
        }
        let taken = |place: usize| at.contains(&Some(place));
        let ignored = (0..header.len()).filter(|&place| !taken(place));
        let ignored = ignored.map(|place| header[place].as_ref().trim().to_string()).collect();
        Self { at, ignored }
    }

    pub fn at(&self, column: Column) -> Option<usize> {
        self.at[column as usize]
    }

    /// The columns that the long form needs and that are not here.
    pub fn missing(&self) -> Vec<&'static str> {
        let needed = [Column::Person, Column::Item, Column::Score];
        needed.into_iter().filter(|&column| self.at(column).is_none()).map(|column| column.names()[0]).collect()
    }
}

/// A header's name in lower case, with `_` between words.
fn plain(name: &str) -> String {
    let name = name.trim().trim_start_matches('\u{feff}');
    name.chars().map(|c| if matches!(c, ' ' | '-' | '.') { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// A value of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Missing,
    Number(f64),
    Text(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// As a name or an id; whole numbers without a decimal point.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Missing => None,
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
            Self::Text(text) => (!text.is_empty()).then_some(text),
        }
    }
}

/// What a score's text says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Score {
    /// Nothing: the person did not meet the item, or nobody marked it.
    Missing,
    /// A number, perhaps not finite.
    Number(f64),
    /// Something else.
    Wrong,
}

impl From<&Value<'_>> for Score {
    fn from(value: &Value) -> Self {
        match value {
            Value::Missing => Self::Missing,
            Value::Number(number) => Self::Number(*number),
            Value::Text(text) => {
                let text = text.trim();
                let missing = ["", "na", "n/a", "null", "none", "-"];
                if missing.iter().any(|word| text.eq_ignore_ascii_case(word)) {
                    return Self::Missing;
                }
                number(text).map_or(Self::Wrong, Self::Number)
            }
        }
    }
}

/// A number, or a word for right or wrong. The words for NaN are numbers.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    // By far the most common scores.
    match text {
        "0" => return Some(0.0),
        "1" => return Some(1.0),
        _ => {}
    }
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) if is(&["true", "yes", "correct", "right", "pass"]) => Some(1.0),
        Err(_) if is(&["false", "no", "incorrect", "wrong", "fail"]) => Some(0.0),
        Err(_) => None,
    }
}

/// Whether a text is a day as YYYY-MM-DD.
pub(crate) fn is_date(text: &str) -> bool {
    let digit = |(at, byte): (usize, &u8)| if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() };
    let within = |range: std::ops::Range<usize>, most: u8| {
        text.get(range).and_then(|part| part.parse().ok()).is_some_and(|number: u8| (1..=most).contains(&number))
    };
    text.len() == 10 && text.as_bytes().iter().enumerate().all(digit) && within(5..7, 12) && within(8..10, 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_many_names_and_the_best_name_wins() {
        let layout = Layout::new(&["Question ID", "id", " Model-Name", "acc", "F1", "rater"], None);
        let places = [Column::Person, Column::Item, Column::Score, Column::Grader].map(|c| layout.at(c));
        assert_eq!(places, [Some(2), Some(0), Some(3), Some(5)]);
        assert_eq!((layout.missing(), layout.ignored), (vec![], vec!["id".to_string(), "F1".to_string()]));
        let layout = Layout::new(&["model", "acc", "f1"], Some("F1"));
        assert_eq!((layout.at(Column::Score), layout.missing()), (Some(2), vec!["item"]));
        assert_eq!(Layout::new(&["model", "item", "acc"], Some("bleu")).missing(), ["score"]);
    }

    #[test]
    fn our_own_names_come_first_and_no_name_means_two_columns() {
        let mut all: Vec<_> = Column::ALL.iter().flat_map(|column| column.names()).collect();
        let names: Vec<_> = Column::ALL.iter().map(|column| column.names()[0]).collect();
        assert!(Layout::new(&names, None).at.iter().enumerate().all(|(at, place)| *place == Some(at)));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn dates_are_days() {
        assert!(is_date("2024-02-29") && is_date("2026-12-31"));
        assert!(
            ["2024-2-9", "2024-13-01", "2024-00-10", "2024-01-32", "01.02.2024", "2024-0é-1"]
                .iter()
                .all(|d| !is_date(d))
        );
    }

    #[test]
    fn scores_are_numbers_or_words() {
        let score = |text: &'static str| Score::from(&Value::Text(text.into()));
        assert_eq!([score("1"), score(" 0.50 "), score("TRUE")].map(|s| s == Score::Missing), [false; 3]);
        assert_eq!(
            (score("True"), score("wrong"), score("2.5e-1")),
            (Score::Number(1.0), Score::Number(0.0), Score::Number(0.25))
        );
        assert_eq!([score(""), score("NA"), score("null")], [Score::Missing; 3]);
        assert_eq!([score("B"), score("1,5")], [Score::Wrong; 2]);
        assert!(matches!(score("NaN"), Score::Number(n) if n.is_nan()));
    }
}
