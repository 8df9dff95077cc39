//! The letters: Inter, cut down to the characters that pictures use. It measures texts, and it is what
//! a PNG is set in, so that a machine without fonts draws the same.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use ttf_parser::Face;

pub(crate) const REGULAR: &[u8] = include_bytes!("font/inter-regular.otf");
pub(crate) const STRONG: &[u8] = include_bytes!("font/inter-semibold.otf");

/// Browsers take the reader's own font, which may be wider than ours.
const WIDER: f64 = 1.06;

static FACES: LazyLock<[Option<Face>; 2]> = LazyLock::new(|| [REGULAR, STRONG].map(|data| Face::parse(data, 0).ok()));

/// Width of a text in pixels, a little more than it takes.
pub(crate) fn width(text: &str, size: f64, strong: bool) -> f64 {
    let face = FACES[usize::from(strong)].as_ref();
    let advance = |c: char| {
        let known = face.and_then(|face| {
            let glyph = face.glyph_index(c)?;
            Some(f64::from(face.glyph_hor_advance(glyph)?) / f64::from(face.units_per_em()))
        });
        // Characters that we have not are drawn by another font, most of them in a square.
        known.unwrap_or(1.0)
    };
    WIDER * size * text.chars().map(advance).sum::<f64>()
}

/// Characters that our letters lack.
pub(crate) fn strange(text: &str) -> BTreeSet<char> {
    let ours = |c: &char| FACES[0].as_ref().is_some_and(|face| face.glyph_index(*c).is_some());
    text.chars().filter(|c| !c.is_control() && !ours(c)).collect()
}

/// Those of the characters that a font of the machine has.
pub(crate) fn known(fonts: &fontdb::Database, characters: &BTreeSet<char>) -> BTreeSet<char> {
    let mut known = BTreeSet::new();
    for face in fonts.faces() {
        fonts.with_face_data(face.id, |data, index| {
            if let Ok(face) = Face::parse(data, index) {
                known.extend(characters.iter().filter(|c| face.glyph_index(**c).is_some()));
            }
        });
    }
    known
}

/// The text, or its two ends around an ellipsis if it is wider than that: names of models differ at
/// their ends.
pub(crate) fn fit(text: &str, most: f64, size: f64, strong: bool) -> String {
    if width(text, size, strong) <= most {
        return text.into();
    }
    let letters: Vec<char> = text.chars().collect();
    for kept in (2..letters.len()).rev() {
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        let short: String = letters[..head].iter().chain(&['…']).chain(&letters[letters.len() - tail..]).collect();
        if width(&short, size, strong) <= most {
            return short;
        }
    }
    "…".into()
}

/// The words in lines of at most this width; a word that is wider is cut.
pub(crate) fn wrap(text: &str, most: f64, size: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match longer.filter(|line| width(line, size, false) <= most) {
            Some(line) => {
                lines.pop();
                lines.push(line);
            }
            None => lines.push(fit(word, most, size, false)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends_and_lines_their_width() {
        let name = "organisation/a-model-with-a-long-name-7b-instruct";
        let short = fit(name, 120.0, 13.0, false);
        assert!(
            short.starts_with("organ") && short.ends_with("struct") && width(&short, 13.0, false) <= 120.0,
            "{short}"
        );
        assert_eq!(fit("short", 120.0, 13.0, false), "short");
        let lines = wrap("one logit is one unit of ability and of difficulty", 100.0, 12.0);
        assert!(lines.len() > 2 && lines.iter().all(|line| width(line, 12.0, false) <= 100.0), "{lines:?}");
        assert!(width("iii", 12.0, false) < width("mmm", 12.0, false));
        assert_eq!(strange("θ − 0.5 ≤ ½ ÷ Ж 数学\n").into_iter().collect::<String>(), "学数");
    }
}
