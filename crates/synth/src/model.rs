//! The model's part: more wordings of a fact, and a look at whether a fact can be asked at all.

use lm::{Generate, Prompt, Sampling, Score, SharedModel};
use record::{Fact, Usage, seed};

use crate::Config;
use crate::separate::apart;
use crate::word::{Wording, fits};
use crate::words::{listed, words};

/// Examples that show the form. A small model follows examples better than instructions.
const SHOTS: &str = "Each text is followed by an answer and by a question that has this answer.\n\n\
Text: The ferry Corrib Lass was built in 1954 at the yard of Munro and Dale.\n\
Answer: 1954\n\
Question: In which year was the ferry Corrib Lass built?\n\n\
Text: The west lamp of Tolben lighthouse is 31 metres above the rocks.\n\
Answer: 31 metres\n\
Question: How far above the rocks is the west lamp of Tolben lighthouse?\n\n\
Text: If MAX_TRIES is not set, it defaults to 7.\n\
Answer: 7\n\
Question: Which number does MAX_TRIES default to when it is not set?\n\n\
Text: Name: Osla Pendrake; Locker: B-14; Shift: night\n\
Answer: B-14\n\
Question: Where is the locker of Osla Pendrake?\n\n";

/// Words that make a question about the asker instead of the text.
const PERSONAL: &str = "i me my mine we us our ours you your yours i'm i've let's this text above following passage \
    sentence answer question paragraph";

/// How a question for a short answer begins.
const OPENERS: &str = "what which who whom whose when where how in at on by for from to with under after until since";

/// A reason and its detail.
type Problem = (&'static str, String);

/// Wordings of the model, and one drop for each that it was asked for and did not give.
pub(crate) struct Made {
    pub wordings: Vec<Wording>,
    pub drops: Vec<Problem>,
}

/// Asks for more training wordings of a fact. Each must stand apart from the fact's item, differ
/// from the wordings there are, and have the answer for its answer as far as the model can tell.
pub(crate) async fn reword(
    fact: &Fact,
    item: &Wording,
    training: &[Wording],
    model: &SharedModel,
    config: &Config,
    seed: u64,
    usage: &mut Usage,
) -> Made {
    let mut made = Made { wordings: Vec::new(), drops: Vec::new() };
    let mut last: Problem = ("rejected", "the model gave no question".into());
    for attempt in 0..config.model_attempts {
        if made.wordings.len() >= config.model_wordings {
            break;
        }
        let prompt = format!("{SHOTS}Text: {}\nAnswer: {}\nQuestion:", fact.citation.text, fact.answer);
        let request = Generate {
            n: config.model_wordings.max(2),
            stop: vec!["\n".into()],
            sampling: Sampling { temperature: config.temperature, top_p: 0.95, ..Sampling::default() },
            seed: seed::derive(seed, "synth-model", &format!("{}-{attempt}", fact.id)),
            ..Generate::greedy(Prompt::Raw(prompt), 40)
        };
        let generation = match model.generate(request).await {
            Ok(generation) => generation,
            Err(error) => {
                last = ("model-failed", error.to_string());
                continue;
            }
        };
        *usage += generation.usage;
        for completion in generation.completions {
            if made.wordings.len() >= config.model_wordings {
                break;
            }
            let question = completion.text.trim().to_string();
            let known = training.iter().chain(&made.wordings).any(|w| words(&w.question) == words(&question));
            let ruled = if known { Err("duplicate") } else { acceptable(&question, fact, item) };
            if let Err(rule) = ruled {
                last = ("rejected", format!("{rule}: {question}"));
                continue;
            }
            match gain(fact, &question, &training[0].question, model, usage).await {
                // The model's question must point at the answer nearly as well as the frame's.
                Ok(Some(loss)) if loss > 1.0 => last = ("unsupported", format!("{loss:.2} nats worse: {question}")),
                Ok(_) => made.wordings.push(Wording { question, frame: "model".into() }),
                Err(error) => last = ("model-failed", error.to_string()),
            }
        }
    }
    for _ in made.wordings.len()..config.model_wordings {
        made.drops.push(last.clone());
    }
    made
}

/// The rules that a model's question must keep; the error names the one that it breaks.
pub(crate) fn acceptable(question: &str, fact: &Fact, item: &Wording) -> Result<(), &'static str> {
    let found = words(question);
    let check = |ok: bool, rule| if ok { Ok(()) } else { Err(rule) };
    check(question.ends_with('?') && question.matches('?').count() == 1, "no single question")?;
    check((4..=40).contains(&found.len()), "too short or too long")?;
    check(found.first().is_some_and(|w| listed(OPENERS, w)), "begins oddly")?;
    check(question.starts_with(char::is_uppercase), "begins oddly")?;
    check(!found.iter().any(|w| listed(PERSONAL, w)), "speaks of asker or text")?;
    check(fits(question, fact), "misses the subject or gives the answer away")?;
    check(apart(&item.question, question, &fact.subject, &fact.answer), "too close to the item")
}

/// By how many nats a token the answer is less likely after `question` than after `plain`, both
/// with the sentence; nothing if the model cannot score.
async fn gain(
    fact: &Fact,
    question: &str,
    plain: &str,
    model: &SharedModel,
    usage: &mut Usage,
) -> lm::Result<Option<f64>> {
    if !model.capabilities().score {
        return Ok(None);
    }
    let asked = likelihood(fact, Some(&fact.citation.text), question, model, usage).await?;
    let usual = likelihood(fact, Some(&fact.citation.text), plain, model, usage).await?;
    Ok(Some(usual - asked))
}

/// Mean log-probability of the answer's tokens, in nats, after the question, with or without a text.
async fn likelihood(
    fact: &Fact,
    text: Option<&str>,
    question: &str,
    model: &SharedModel,
    usage: &mut Usage,
) -> lm::Result<f64> {
    let text = text.map(|text| format!("Text: {text}\n")).unwrap_or_default();
    let request = Score {
        prompt: Prompt::Raw(format!("{text}Question: {question}\nAnswer:")),
        continuation: format!(" {}", fact.answer),
        adapter: None,
    };
    let scored = model.score(request).await?;
    *usage += scored.usage;
    Ok(scored.sum() / scored.tokens.len().max(1) as f64)
}

/// Whether the cited sentence supports the answer, and the model does not know it already.
///
/// Supported: mean log p(answer | sentence, question) − mean log p(answer | question) ≥ the margin.
pub(crate) async fn verify(
    fact: &Fact,
    question: &str,
    model: &SharedModel,
    config: &Config,
    usage: &mut Usage,
) -> Result<(), Problem> {
    let failed = |error: lm::Error| ("model-failed", error.to_string());
    if model.capabilities().score {
        let with = likelihood(fact, Some(&fact.citation.text), question, model, usage).await.map_err(failed)?;
        let without = likelihood(fact, None, question, model, usage).await.map_err(failed)?;
        if with - without < config.margin {
            let detail = format!("the sentence adds {:.2} nats a token: {question}", with - without);
            return Err(("unsupported", detail));
        }
    }
    let generation = model.generate(Generate::greedy(Prompt::ask(question), 24)).await.map_err(failed)?;
    *usage += generation.usage;
    let answer = generation.completions.first().map_or("", |c| c.text.as_str());
    let accepted = std::iter::once(&fact.answer).chain(&fact.aliases);
    if accepted.into_iter().any(|right| bare(right) == bare(answer)) {
        return Err(("known-already", format!("the untouched model answers `{answer}` to: {question}")));
    }
    Ok(())
}

/// Words without articles, for comparing answers.
fn bare(text: &str) -> Vec<String> {
    words(text).into_iter().filter(|w| !listed("a an the", w)).collect()
}
