//! Stop strings, across the steps of a path: the model sees only the step that it draws.

/// Strings before which a path ends.
pub(crate) struct Stops(Vec<String>);

impl Stops {
    pub fn new(stops: &[String]) -> Self {
        Self(stops.to_vec())
    }

    /// Where the first stop string begins, or the text's length.
    pub fn first(&self, text: &str) -> usize {
        self.0.iter().filter_map(|stop| text.find(stop.as_str())).min().unwrap_or(text.len())
    }

    /// The part of a new step that belongs to the path, and whether a stop string ends it: one that
    /// begins before the step leaves nothing of it.
    pub fn settle(&self, before: &str, step: &str) -> (String, bool) {
        let whole = [before, step].concat();
        let at = self.first(&whole);
        if at == whole.len() {
            return (step.into(), false);
        }
        (step[..at.saturating_sub(before.len())].into(), true)
    }

    /// Bytes of a text that are certain: its end may be the beginning of a stop string.
    pub fn sure(&self, text: &str) -> usize {
        let end = self.first(text);
        let held = self.0.iter().flat_map(|stop| open(text, stop).into_iter().max());
        end.min(text.len() - held.max().unwrap_or(0))
    }

    /// The expression that ends a step after a path: `boundary`, or the rest of a stop string of
    /// which the path's end is the beginning.
    pub fn until(&self, boundary: Option<String>, before: &str) -> Option<String> {
        let rests =
            self.0.iter().flat_map(|stop| open(before, stop).into_iter().map(|len| regex::escape(&stop[len..])));
        let rests: Vec<String> = rests.collect();
        if rests.is_empty() {
            return boundary;
        }
        let rest = format!(r"\A(?:{})", rests.join("|"));
        Some(boundary.map_or(rest.clone(), |boundary| format!("(?:{boundary})|{rest}")))
    }
}

/// Lengths of the proper beginnings of `stop` with which the text ends.
fn open(text: &str, stop: &str) -> Vec<usize> {
    (1..stop.len()).filter(|len| stop.is_char_boundary(*len) && text.ends_with(&stop[..*len])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops() -> Stops {
        Stops::new(&["\n\n".into(), "END".into()])
    }

    #[test]
    fn a_stop_string_is_found_across_steps() {
        assert_eq!(stops().settle("one\n", "two\n"), ("two\n".into(), false));
        assert_eq!(stops().settle("one\n", "\ntwo"), (String::new(), true));
        assert_eq!(stops().settle("one E", "ND"), (String::new(), true));
        assert_eq!(stops().settle("one", " é END x"), (" é ".into(), true));
        assert_eq!(stops().first("one\n\n"), 3);
    }

    #[test]
    fn what_may_begin_a_stop_string_is_held_back_and_looked_for() {
        assert_eq!((stops().sure("one\n"), stops().sure("oneEN"), stops().sure("one")), (3, 3, 3));
        let until = stops().until(Some("x".into()), "one\n").expect("a pattern");
        let until = regex::Regex::new(&until).expect("regex");
        assert!(until.is_match("\n") && until.is_match("ax") && !until.is_match("a\n"));
        assert_eq!(stops().until(None, "one"), None);
        assert_eq!(stops().until(Some("x".into()), "one"), Some("x".into()));
    }
}
