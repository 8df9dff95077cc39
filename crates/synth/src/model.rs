//! The model's part: more wordings of a fact, and a look at whether a fact can be asked at all.

use lm::{Generate, Prompt, Sampling, Score, SharedModel};
use record::{Fact, Usage, seed};

use crate::Config;
use crate::separate::apart;
use crate::word::{Wording, fits};
use crate::words::{listed, words};

/// Examples that show the form. A small model follows examples better than instructions, and keeps
/// the meaning better when it words a question anew than when it makes one from a text.
const SHOTS: &str = "Each question is asked twice, the second time in other words.\n\n\
Question: In which year was the ferry Corrib Lass built?\n\
In other words: When was the ferry Corrib Lass built?\n\n\
Question: How far above the rocks is the west lamp of Tolben lighthouse?\n\
In other words: At what height above the rocks is the west lamp of Tolben lighthouse?\n\n\
Question: What is the default value of MAX_TRIES?\n\
In other words: Which value is used when MAX_TRIES is not set?\n\n\
Question: What is the locker of Osla Pendrake?\n\
In other words: Which locker belongs to Osla Pendrake?\n\n\
Question: Who leads the weaving circle?\n\
In other words: Who is the leader of the weaving circle?\n\n\
Question: What is the tea kettle made of?\n\
In other words: Which material was used for the tea kettle?\n\n";

/// Words that make a question about the asker instead of the text.
const PERSONAL: &str = "i me my mine we us our ours you your yours i'm i've let's this text above following passage \
    sentence answer question paragraph";

/// How a question for a short answer begins.
const OPENERS: &str = "what which who whom whose when where how in at on by for from to with under after until since";

/// Question words by what they ask for.
const ASKING: &[&str] = &["who whom whose", "where", "when", "how", "what which"];

/// Words that say nothing of a fact by themselves.
const FUNCTION: &str = "the a an of in on at to for by with from and or is are was were be been being do does did has \
    have had will would can could may might must should shall it its that than as into what which who whom whose when \
    where how many much long far there s";

/// Words that a question may bring in without asking for something else.
const SYNONYMS: &str = "purpose used located situated placed belong belongs amount total quantity responsible material \
    stored found take takes required needed exact exactly called named known color colour value number name year date";

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
        let prompt = format!("{SHOTS}Question: {}\nIn other words:", training[0].question);
        let request = Generate {
            n: 6,
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
            let ruled = if known { Err("duplicate") } else { acceptable(&question, fact, item, &training[0].question) };
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
pub(crate) fn acceptable(question: &str, fact: &Fact, item: &Wording, plain: &str) -> Result<(), &'static str> {
    let found = words(question);
    let check = |ok: bool, rule| if ok { Ok(()) } else { Err(rule) };
    check(question.ends_with('?') && question.matches('?').count() == 1, "no single question")?;
    check((4..=40).contains(&found.len()), "too short or too long")?;
    check(found.first().is_some_and(|w| listed(OPENERS, w)), "begins oddly")?;
    check(question.starts_with(char::is_uppercase), "begins oddly")?;
    check(!found.iter().any(|w| listed(PERSONAL, w)), "speaks of asker or text")?;
    check(fits(question, fact), "misses the subject or gives the answer away")?;
    check(keeps_meaning(&found, fact, plain), "strays from the fact")?;
    check(apart(&item.question, question, &fact.subject, &fact.answer), "too close to the item")
}

/// Whether a question asks for the same as `plain`, as far as words tell: the same question word,
/// something of the attribute, the subject once, and no telling word that neither the sentence nor
/// the plain question holds.
fn keeps_meaning(found: &[String], fact: &Fact, plain: &str) -> bool {
    let plain = words(plain);
    let asks = |found: &[String]| found.iter().find_map(|w| ASKING.iter().position(|class| listed(class, w)));
    let when = fact.kind == record::FactKind::Date && found.iter().any(|w| w == "when");
    if asks(found) != asks(&plain) && !when {
        return false;
    }
    let subject = words(&fact.subject);
    let telling = |w: &&String| !listed(FUNCTION, w);
    let count = |all: &[String], word: &String| all.iter().filter(|w| *w == word).count();
    if subject.iter().filter(telling).any(|w| count(found, w) > count(&plain, w).max(count(&subject, w))) {
        return false;
    }
    // `hung` for `hangs` cannot be told, `assigning` for `assigns` can: four letters in common.
    let alike = |a: &str, b: &str| a == b || a.len() >= 4 && b.len() >= 4 && a.as_bytes()[..4] == b.as_bytes()[..4];
    let attribute: Vec<String> = words(&fact.attribute).into_iter().filter(|w| !listed(FUNCTION, w)).collect();
    if !attribute.is_empty() && !found.iter().any(|w| attribute.iter().any(|a| alike(a, w))) {
        return false;
    }
    let sentence = words(&fact.citation.text);
    let known = |w: &String| plain.iter().chain(&sentence).chain(&attribute).any(|k| alike(k, w));
    found.iter().filter(telling).all(|w| known(w) || listed(SYNONYMS, w))
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
        continuation: format!(" {}", fact.answer).into(),
        top_logprobs: 0,
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
