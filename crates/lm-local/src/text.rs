use lm::Finish;
use regex::Regex;
use weights::Stream;

/// The text of a completion while its tokens come.
///
/// What might be the beginning of a stop string, or of a character, is held back until it is clear
/// what it is; so the pieces together are exactly the final text.
pub(crate) struct Text {
    stream: Stream,
    stops: Vec<String>,
    until: Option<Regex>,
    text: String,
    sent: usize,
}

impl Text {
    /// An empty text that ends before the first of `stops`, or after the token with which it first
    /// matches `until`.
    pub fn new(stream: Stream, stops: &[String], until: Option<Regex>) -> Self {
        Self { stream, stops: stops.to_vec(), until, text: String::new(), sent: 0 }
    }

    /// Adds a token; returns new text that is certain, and whether the text ends here.
    pub fn push(&mut self, token: u32) -> (String, Option<Finish>) {
        let piece = self.stream.push(token);
        let (mut new, stopped) = self.add(&piece);
        if stopped {
            return (new, Some(Finish::Stop));
        }
        if !self.until.as_ref().is_some_and(|until| until.is_match(&self.text)) {
            return (new, None);
        }
        let (rest, stopped) = self.finish();
        new.push_str(&rest);
        (new, Some(if stopped { Finish::Stop } else { Finish::Boundary }))
    }

    fn add(&mut self, piece: &str) -> (String, bool) {
        // A stop string that ends in the new piece begins at most its own length before it.
        let from = self.text.len();
        self.text.push_str(piece);
        let found = self.stops.iter().filter_map(|stop| {
            let mut from = from.saturating_sub(stop.len());
            while !self.text.is_char_boundary(from) {
                from -= 1;
            }
            self.text[from..].find(stop.as_str()).map(|at| from + at)
        });
        if let Some(at) = found.min() {
            self.text.truncate(at);
            return (self.take(at), true);
        }
        let held = self.stops.iter().map(|stop| self.overlap(stop)).max().unwrap_or(0);
        (self.take(self.text.len() - held), false)
    }

    /// Bytes at the end of the text with which `stop` begins.
    fn overlap(&self, stop: &str) -> usize {
        let lens = (1..stop.len()).rev().filter(|len| stop.is_char_boundary(*len));
        lens.into_iter().find(|len| self.text.ends_with(&stop[..*len])).unwrap_or(0)
    }

    fn take(&mut self, to: usize) -> String {
        let piece = self.text[self.sent.min(to)..to].to_owned();
        self.sent = self.sent.max(to);
        piece
    }

    /// The end has come: what was held back is text after all. Returns the rest, and whether the
    /// last bytes completed a stop string.
    pub fn finish(&mut self) -> (String, bool) {
        let piece = self.stream.finish();
        let (mut rest, stopped) = self.add(&piece);
        if !stopped {
            rest.push_str(&self.take(self.text.len()));
        }
        (rest, stopped)
    }

    /// All text so far, held back or not.
    pub fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use weights::{Architecture, Checkpoint, Tokenizer};

    use super::*;

    fn tokenizer() -> Tokenizer {
        Checkpoint::random(Architecture::tiny(), 1).expect("a random model").tokenizer
    }

    /// Feeds pieces as a stream of tokens would give them; returns all that was sent, and the end.
    fn feed(stops: &[&str], pieces: &[&str]) -> (Vec<String>, String, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| stop.to_string()).collect();
        let mut text = Text::new(tokenizer().stream(), &stops, None);
        let mut sent = Vec::new();
        for piece in pieces {
            let (new, stopped) = text.add(piece);
            sent.push(new);
            if stopped {
                return (sent, text.into_text(), true);
            }
        }
        let (rest, stopped) = text.finish();
        sent.push(rest);
        (sent, text.into_text(), stopped)
    }

    #[test]
    fn holds_back_what_might_be_a_stop_string() {
        let (sent, text, stopped) = feed(&["\n\n", "END"], &["a\n", "b", " E", "N", "O", "\n", "\nc"]);
        assert_eq!(sent, ["a", "\nb", " ", "", "ENO", "", ""]);
        assert_eq!((text.as_str(), stopped), ("a\nb ENO", true));
        let (sent, text, stopped) = feed(&["aab"], &["a", "a", "a", "b"]);
        assert_eq!((sent.concat().as_str(), text.as_str(), stopped), ("a", "a", true));
        let (sent, text, stopped) = feed(&["aab"], &["xa", "a"]);
        assert_eq!((sent.concat().as_str(), text.as_str(), stopped), ("xaa", "xaa", false));
        let (_, text, stopped) = feed(&["é!"], &["né", "é", "!", "?"]);
        assert_eq!((text.as_str(), stopped), ("né", true));
    }

    #[test]
    fn waits_for_whole_characters() {
        let tokenizer = tokenizer();
        let tokens = tokenizer.encode("é漢");
        assert!(tokens.len() > 2);
        let mut text = Text::new(tokenizer.stream(), &[], None);
        let mut pieces: Vec<String> = tokens.iter().map(|token| text.push(*token).0).collect();
        assert!(pieces.iter().all(|piece| !piece.contains('\u{fffd}')), "{pieces:?}");
        pieces.push(text.finish().0);
        assert_eq!(pieces.concat(), "é漢");
    }
    /// Pushes the tokens of `pieces`, one after the other; returns what was sent, and the end.
    fn until(pattern: &str, stop: &str, pieces: &str) -> (String, String, Option<Finish>) {
        let tokenizer = tokenizer();
        let until = Some(Regex::new(pattern).expect("a pattern"));
        let mut text = Text::new(tokenizer.stream(), &[stop.to_string()], until);
        let mut sent = String::new();
        for token in tokenizer.encode(pieces) {
            let (new, end) = text.push(token);
            sent.push_str(&new);
            if end.is_some() {
                return (sent, text.into_text(), end);
            }
        }
        (sent, text.into_text(), None)
    }

    #[test]
    fn a_pattern_ends_the_text_after_its_token_and_a_stop_string_wins() {
        let newline = r"\S[^\n]*\n";
        let ended = until(newline, "END", "\n one\ntwo");
        assert_eq!(ended, ("\n one\n".into(), "\n one\n".into(), Some(Finish::Boundary)));
        // What was held back as the beginning of a stop string is text after all.
        assert_eq!(until(newline, "\nx", "a\nb"), ("a\n".into(), "a\n".into(), Some(Finish::Boundary)));
        assert_eq!(until("n$", "on", "one"), ("".into(), "".into(), Some(Finish::Stop)));
        assert_eq!(until("z", "y", "one").2, None);
        let first = until("", "y", "one");
        assert!(!first.1.is_empty() && first.2 == Some(Finish::Boundary), "an empty pattern ends after one token");
    }
}
