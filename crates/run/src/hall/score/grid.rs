use serde::{Deserialize, Serialize};

use super::text::Text;

/// What a column of a matrix of losses is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A token of the first model that was scored.
    Token,
    /// A word with the space before it, the same for all models.
    Word,
    /// A byte, the same for all models.
    Byte,
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Word => "word",
            Self::Byte => "byte",
        })
    }
}

/// The columns of a text: where each ends, in bytes from the text's beginning.
///
/// Models of several tokenizers are put on one grid by bytes: a token's loss is spread evenly over its
/// bytes, and a column holds the sum over its own. So a text's loss is the same on every grid, a model
/// whose tokens are the columns keeps them as they are, and where tokens do not cross words, the columns
/// of words are exact for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// Id of the text.
    pub text: String,
    /// Ends, rising, the last one at the text's length.
    pub ends: Vec<usize>,
}

impl Columns {
    /// Columns of a text where they do not depend on a model; `tokens` are those of the first one.
    pub fn new(text: &Text, unit: Unit, tokens: &[usize]) -> Self {
        let ends = match unit {
            // Tokens that end where the one before ends have no byte of their own.
            Unit::Token => {
                let mut ends = tokens.to_vec();
                ends.dedup();
                ends.retain(|end| *end > 0);
                ends
            }
            Unit::Word => words(&text.text),
            Unit::Byte => (1..=text.text.len()).collect(),
        };
        Self { text: text.id.clone(), ends }
    }

    /// Losses of tokens that end at `ends`, laid on the columns.
    pub fn lay(&self, ends: &[usize], losses: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0_f64; self.ends.len()];
        let (mut column, mut begin) = (0, 0);
        for (end, loss) in ends.iter().zip(losses) {
            let (loss, length) = (f64::from(*loss), end - begin);
            if length == 0 {
                // The token that says the rest of a byte's character counts with that byte.
                sums[self.column_of(begin)] += loss;
                continue;
            }
            while begin < *end {
                while self.ends[column] <= begin {
                    column += 1;
                }
                let upto = self.ends[column].min(*end);
                sums[column] += loss * (upto - begin) as f64 / length as f64;
                begin = upto;
            }
        }
        sums.iter().map(|sum| *sum as f32).collect()
    }

    /// The column in which the byte before a place lies.
    fn column_of(&self, place: usize) -> usize {
        self.ends.partition_point(|end| *end < place).min(self.ends.len() - 1)
    }
}

/// Where words end: a word takes the white space before it, and white space at the end is one more.
fn words(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut within = false;
    for (at, character) in text.char_indices() {
        if character.is_whitespace() && within {
            ends.push(at);
        }
        within = !character.is_whitespace();
    }
    ends.push(text.len());
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        Text { id: "t".into(), domain: String::new(), prompt: String::new(), text: text.into() }
    }

    #[test]
    fn a_texts_loss_is_the_same_on_every_grid() {
        let said = text("ab  cde\nf ");
        let (ends, losses) = (vec![1, 4, 4, 6, 10], vec![1.0, 0.5, 0.25, 2.0, 4.0]);
        assert_eq!(Columns::new(&said, Unit::Word, &ends).ends, [2, 7, 9, 10]);
        for unit in [Unit::Token, Unit::Word, Unit::Byte] {
            let laid = Columns::new(&said, unit, &ends).lay(&ends, &losses);
            assert!((laid.iter().sum::<f32>() - 7.75).abs() < 1e-6, "{unit:?} {laid:?}");
        }
        assert_eq!(Columns::new(&said, Unit::Token, &ends).lay(&ends, &losses), [1.0, 0.75, 2.0, 4.0]);
        // Of the token over bytes 1 to 3 a third lies in the first word.
        let words = Columns::new(&said, Unit::Word, &ends).lay(&ends, &losses);
        assert!((words[0] - (1.0 + 0.5 / 3.0)).abs() < 1e-6, "{words:?}");
        let other = Columns::new(&said, Unit::Token, &ends).lay(&[10], &[10.0]);
        assert_eq!(other, [1.0, 3.0, 2.0, 4.0]);
    }
}
