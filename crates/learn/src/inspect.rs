use std::collections::BTreeMap;

use record::{Drop, Message, Preference, Sample};
use serde::Serialize;
use weights::Tokenizer;

use crate::data::{Data, Either, Format, counts, unlearnable};
use crate::{Error, Example, Result};

/// One token for people to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspected {
    /// The token.
    pub token: u32,
    /// Its text, control tokens by name.
    pub piece: String,
    /// Whether the model learns to say it.
    pub learned: bool,
}

/// One answer as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// Id of the sample or preference.
    pub id: String,
    /// `sample`, `chosen` or `rejected`.
    pub side: &'static str,
    /// Prompt and answer.
    pub tokens: Vec<Inspected>,
}

/// What a training would read of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// What the file's lines are.
    pub format: Format,
    /// Samples or preferences that can be learned.
    pub records: usize,
    /// Their tokens; the prompt of a pair counts once.
    pub tokens: u64,
    /// Those that carry loss.
    pub learned: u64,
    /// The longest sequence, prompt and answer, by its id.
    pub longest: Option<(String, usize)>,
    /// Sequences whose answer melts into the prompt's last token when both are one text
    /// ([`weights::Turn::seam`]).
    pub seams: usize,
    /// Lines with several turns of the model.
    pub several: usize,
    /// What is left out, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// What is left out.
    pub drops: Vec<Drop>,
    /// The first few, for people to look at.
    pub views: Vec<View>,
}

/// Looks at a file as a training with rows of `most` tokens would, and shows its first `show` records.
/// A sequence that is longer is left out, or cut where `truncate` says so.
pub fn inspect(data: &Either, tokenizer: &Tokenizer, most: usize, truncate: bool, show: usize) -> Inspection {
    match data {
        Either::Samples(data) => {
            let sides = |sample: &Sample| {
                let (example, seam) = Example::of(&sample.id, &sample.messages, tokenizer)?;
                Ok(vec![("sample", example.fit(most, truncate)?, seam)])
            };
            look(data, tokenizer, show, sides)
        }
        Either::Preferences(data) => {
            let sides = |preference: &Preference| {
                let given = [("chosen", &preference.chosen), ("rejected", &preference.rejected)];
                let one = |(side, answer): (&'static str, &Option<record::Answer>)| {
                    let answer = answer.as_ref()?;
                    Some(Example::answer(preference, answer, tokenizer).and_then(|example| {
                        let messages = [&preference.messages[..], &[Message::assistant(&answer.text)]].concat();
                        let seam = answer.tokens.is_empty() && Example::of(&example.id, &messages, tokenizer)?.1;
                        Ok((side, example.fit(most, truncate)?, seam))
                    }))
                };
                given.into_iter().filter_map(one).collect()
            };
            look(data, tokenizer, show, sides)
        }
    }
}

type Side = (&'static str, Example, bool);

fn look<T>(data: &Data<T>, tokenizer: &Tokenizer, show: usize, sides: impl Fn(&T) -> Result<Vec<Side>>) -> Inspection {
    let mut seen = Inspection {
        format: data.format,
        records: 0,
        tokens: 0,
        learned: 0,
        longest: None,
        seams: 0,
        several: data.several,
        dropped: BTreeMap::new(),
        drops: data.drops.clone(),
        views: Vec::new(),
    };
    for record in &data.records {
        let sides = match sides(record) {
            Ok(sides) => sides,
            Err(error) => {
                seen.drops.extend(unlearnable(&error));
                continue;
            }
        };
        seen.tokens += sides.first().map_or(0, |(_, first, _)| first.learned_from as u64);
        for (side, example, seam) in sides {
            seen.learned += example.learned() as u64;
            seen.tokens += example.learned() as u64;
            seen.seams += usize::from(seam);
            if seen.longest.as_ref().is_none_or(|(_, longest)| example.tokens.len() > *longest) {
                seen.longest = Some((example.id.clone(), example.tokens.len()));
            }
            if seen.records < show {
                seen.views.push(View { id: example.id.clone(), side, tokens: pieces(&example, tokenizer) });
            }
        }
        seen.records += 1;
    }
    seen.dropped = counts(&seen.drops);
    seen
}

fn pieces(example: &Example, tokenizer: &Tokenizer) -> Vec<Inspected> {
    let one = |(at, &token): (usize, &u32)| Inspected {
        token,
        piece: tokenizer.piece(token),
        learned: at >= example.learned_from,
    };
    example.tokens.iter().enumerate().map(one).collect()
}

/// Those samples that a model can learn in rows of `most` tokens, and why not the others. It is an
/// error where none is left.
pub fn learnable(
    samples: Vec<Sample>,
    tokenizer: &Tokenizer,
    most: usize,
    truncate: bool,
) -> Result<(Vec<Sample>, Vec<Drop>)> {
    let (count, mut drops) = (samples.len(), Vec::new());
    let mut left = Vec::with_capacity(count);
    for sample in samples {
        match Example::new(&sample, tokenizer).and_then(|example| example.fit(most, truncate)) {
            Ok(_) => left.push(sample),
            Err(error) => match unlearnable(&error) {
                Some(drop) => drops.push(drop),
                None => return Err(error),
            },
        }
    }
    match drops.first() {
        Some(first) if left.is_empty() => {
            let reasons: Vec<String> = counts(&drops).iter().map(|(reason, n)| format!("{reason} {n}")).collect();
            Err(Error::Unlearnable { count, reasons: reasons.join(", "), first: first.detail.clone() })
        }
        _ => Ok((left, drops)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weights::{Architecture, Checkpoint};

    fn sample(id: &str, messages: Vec<Message>) -> Sample {
        let (fact, document, wording) = (String::new(), String::new(), String::new());
        Sample { id: id.into(), fact, document, messages, wording, citations: Vec::new() }
    }

    fn data<T>(format: Format, records: Vec<T>) -> Data<T> {
        Data { records, format, drops: Vec::new(), several: 0 }
    }

    #[test]
    fn only_the_answer_and_the_end_of_its_turn_are_learned() {
        let tokenizer = Checkpoint::random(Architecture::tiny(), 1).expect("base").tokenizer;
        // What looks like a control token in a message is text.
        let asked = vec![Message::system("Be brief."), Message::user("Why?<|im_end|>")];
        let said = Message::assistant("Since<|im_end|> so.");
        let samples = data(Format::Sample, vec![sample("a", [asked.clone(), vec![said]].concat())]);
        let seen = inspect(&Either::Samples(samples), &tokenizer, 100, false, 1);
        let tokens = &seen.views[0].tokens;
        assert_eq!((seen.longest, seen.tokens), (Some(("a".into(), tokens.len())), tokens.len() as u64));
        let text =
            |learned: bool| tokens.iter().filter(|t| t.learned == learned).map(|t| &*t.piece).collect::<String>();
        assert_eq!(text(true), "Since<|im_end|> so.<|im_end|>");
        assert!(text(false).ends_with("Why?<|im_end|><|im_end|>\n<|im_start|>assistant\n"), "{}", text(false));
        let ends = tokens.iter().filter(|t| t.token == tokenizer.eos[0]).count();
        assert_eq!(ends, 3, "one for each turn, none from the text");
        let prompt: Vec<u32> = tokens.iter().filter(|t| !t.learned).map(|t| t.token).collect();
        assert_eq!(prompt, tokenizer.render_chat(&asked).expect("prompt"), "the exam's prompt");
    }

    #[test]
    fn both_answers_are_shown_and_the_prompt_counts_once() {
        let tokenizer = Checkpoint::random(Architecture::tiny(), 1).expect("base").tokenizer;
        let answer = |text: &str, tokens: &[u32], ended| {
            Some(record::Answer { text: text.into(), tokens: tokens.into(), ended, ..Default::default() })
        };
        let pair = |id: &str, chosen, rejected| Preference {
            id: id.into(),
            question: "q".into(),
            messages: vec![Message::user("Why?")],
            chosen,
            rejected,
            weight: 1.0,
            step: None,
        };
        // Tokens as drawn are kept, also where the text alone would be cut otherwise.
        let drawn: Vec<u32> = "th".bytes().map(|byte| tokenizer.encode(&char::from(byte).to_string())[0]).collect();
        let pairs = vec![pair("a", answer("th", &drawn, false), answer("So.", &[], true))];
        let seen = inspect(&Either::Preferences(data(Format::Preference, pairs)), &tokenizer, 100, false, 5);
        let prompt = tokenizer.render_chat(&[Message::user("Why?")]).expect("prompt");
        let said = |view: &View| view.tokens[prompt.len()..].iter().map(|t| t.piece.clone()).collect::<Vec<_>>();
        assert_eq!(seen.views.iter().map(|view| view.side).collect::<Vec<_>>(), ["chosen", "rejected"]);
        assert_eq!(said(&seen.views[0]), ["t", "h"], "a cut answer has no end");
        assert_eq!(said(&seen.views[1]), ["S", "o", ".", "<|im_end|>"]);
        assert_eq!((seen.records, seen.learned, seen.tokens), (1, 6, prompt.len() as u64 + 6));
    }

    #[test]
    fn what_cannot_be_learned_is_counted_and_the_rest_is_left() {
        let tokenizer = Checkpoint::random(Architecture::tiny(), 1).expect("base").tokenizer;
        let talk = |id: &str, said: &str| sample(id, vec![Message::user("Why?"), Message::assistant(said)]);
        let samples = vec![talk("a", "So."), talk("b", &"so ".repeat(90)), talk("c", "")];
        let (left, drops) = learnable(samples.clone(), &tokenizer, 80, false).expect("one is left");
        assert_eq!(left.iter().map(|sample| sample.id.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(counts(&drops), BTreeMap::from([("too-long".into(), 1), ("not-learnable".into(), 1)]));
        assert_eq!(learnable(samples.clone(), &tokenizer, 80, true).expect("two are left").0.len(), 2);
        let error = learnable(samples[1..2].to_vec(), &tokenizer, 80, false).expect_err("none is left").to_string();
        assert!(error.contains("too-long 1") && error.contains("sample b"), "{error}");
    }
}
