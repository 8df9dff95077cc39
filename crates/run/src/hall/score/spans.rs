//! Which bytes of a text does each token stand for?

/// What is known of a token's bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece<'a> {
    /// All of them.
    Bytes(&'a [u8]),
    /// Its text, in which bytes that are no character alone show as U+FFFD.
    Text(&'a str),
}

/// Where each token ends in `text`, or the byte at which the tokens no longer spell it. A space that a
/// tokenizer puts before the first word is passed over; tokens of which no more is known than that they
/// hold parts of characters share the bytes up to the next token that is known.
pub(crate) fn ends(text: &[u8], pieces: &[Piece<'_>]) -> Result<Vec<usize>, usize> {
    let mut ends = Vec::with_capacity(pieces.len());
    let (mut at, mut unknown) = (0, 0);
    // Gives the tokens that wait, all before `to`, equal parts of what lies between.
    let settle = |ends: &mut Vec<usize>, at: usize, unknown: usize, to: usize| {
        ends.extend((1..=unknown).map(|k| at + (to - at) * k / unknown));
    };
    for (place, piece) in pieces.iter().enumerate() {
        let bytes = match piece {
            Piece::Bytes(bytes) => *bytes,
            Piece::Text(said) if said.contains('\u{fffd}') => {
                unknown += 1;
                continue;
            }
            Piece::Text(said) => said.as_bytes(),
        };
        // Behind unknown tokens the next known one stands somewhere near: a character has four bytes.
        let last = if unknown == 0 { at } else { (at + 8 * unknown).min(text.len()) };
        let stands =
            |bytes: &[u8]| (at..=last).find(|from| text[*from..].starts_with(bytes)).map(|at| (at, bytes.len()));
        let unspaced = || bytes.strip_prefix(b" ").filter(|_| place == 0).and_then(stands);
        let (from, length) = stands(bytes).or_else(unspaced).ok_or(at)?;
        settle(&mut ends, at, unknown, from);
        (at, unknown) = (from + length, 0);
        ends.push(at);
    }
    settle(&mut ends, at, unknown, text.len());
    match ends.last() {
        Some(end) if *end == text.len() => Ok(ends),
        end => Err(end.copied().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, said: &[&str]) -> Result<Vec<usize>, usize> {
        ends(text.as_bytes(), &said.iter().map(|said| Piece::Text(said)).collect::<Vec<_>>())
    }

    #[test]
    fn tokens_are_found_in_their_text() {
        assert_eq!(of("a bc", &["a", " b", "c"]), Ok(vec![1, 3, 4]));
        assert_eq!(of("a b", &[" a", " b"]), Ok(vec![1, 3]));
        // Four bytes in two tokens, of which nobody says where the first ends.
        assert_eq!(of("x🦀y", &["x", "\u{fffd}", "\u{fffd}", "y"]), Ok(vec![1, 3, 5, 6]));
        assert_eq!(of("🦀", &["\u{fffd}", "\u{fffd}\u{fffd}"]), Ok(vec![2, 4]));
        let crab = "🦀".as_bytes();
        assert_eq!(ends(crab, &[Piece::Bytes(&crab[..3]), Piece::Bytes(&crab[3..])]), Ok(vec![3, 4]));
        assert_eq!(of("abc", &["a", "x"]), Err(1));
        assert_eq!(of("abc", &["a", "b"]), Err(2), "a text must be spelled to its end");
        assert_eq!(of("abc", &[]), Err(0));
    }
}
