use std::path::PathBuf;

use clap::Args;
use exam::grade::JudgeConfig;
use exam::paper::{Date, FamiliarConfig};
use run::hall::grade::{Grader, Grading, Looking, contamination, grade, sheets};

use crate::context::Context;

/// Mark the answers to a paper: by rule, by judge models, by people; re-mark where they differ.
///
/// A paper is a TOML or JSON lines file of choices, blanks, open questions with step marks and essays with a rubric; `lyceum exam
/// PAPER` lets a model sit it. Graders see codes, never names. Choices and blanks with an accepted answer are decided by rule; the rest gets the
/// mean of its marks, and where these lie further apart than --remark, a further grader marks and the closest two count. Writes
/// marks.csv (for `lyceum irt`), scores.csv, grade.json, grade.html and key.json, which names who stands behind the codes.
///
/// --sheets writes marking sheets for people instead, --calibrate holds judges against people, --contamination looks
/// for the paper in texts and in the model.
#[derive(Args)]
#[command(after_help = "Examples:  lyceum exam paper.toml --model smollm2-135m --out runs/sat\n           \
                        lyceum grade paper.toml runs/sat/paper/answers.jsonl --graders rule,model:smollm2-135m*3\n           \
                        lyceum grade paper.toml answers.jsonl --sheets 2 --out runs/marking\n           \
                        lyceum grade paper.toml answers.jsonl --calibrate \\\n             \
                        --graders rule,model*3,human:marker-1.csv,human:marker-2.csv\n           \
                        lyceum grade paper.toml --contamination --texts my-corpus --model smollm2-135m")]
pub struct Arguments {
    /// Paper (.toml or .jsonl)
    paper: PathBuf,
    /// Answers (.jsonl), as `lyceum exam PAPER` writes them
    answers: Vec<PathBuf>,
    /// Who marks, separated by commas: rule, model (that of --model), model:NAME|URL, human:SHEET.csv,
    /// marks:FILE.csv (person,item,grader,score); *3 makes three of a model, each with its own draws
    #[arg(long, value_delimiter = ',', default_value = "rule,model*3", value_name = "GRADERS")]
    graders: Vec<String>,
    /// Who marks again where graders differ [default: the first judge model, with other draws]
    #[arg(long, value_name = "GRADER")]
    further: Option<String>,
    /// Graders differ if their marks do by more than this share of the item's points
    #[arg(long, default_value_t = 0.25, value_name = "SHARE")]
    remark: f64,
    /// Graders that an answer should have where no rule decides
    #[arg(long, default_value_t = 3, value_name = "N")]
    at_least: usize,
    /// Replies of a judge an answer, whose mean is its mark
    #[arg(long, default_value_t = 1, value_name = "N")]
    samples: usize,
    /// Tokens of a judge's reply at most
    #[arg(long, default_value_t = JudgeConfig::default().max_tokens, value_name = "N")]
    judge_tokens: usize,
    /// Day on which a person's weights became public, PERSON=YYYY-MM-DD; repeatable. With --contamination the day alone
    #[arg(long, value_name = "PERSON=DAY")]
    published: Vec<String>,
    /// Hold judges against the people among the graders
    #[arg(long)]
    calibrate: bool,
    /// Write marking sheets for so many people instead of grading
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "3")]
    sheets: Option<usize>,
    /// With --sheets: what the rule decides too
    #[arg(long, requires = "sheets")]
    all_items: bool,
    /// Look for the paper in --texts and in the model instead of grading
    #[arg(long, conflicts_with_all = ["sheets", "calibrate"])]
    contamination: bool,
    /// Texts that the model may have read: a folder, or a named document set
    #[arg(long, value_name = "DIR", requires = "contamination")]
    texts: Option<String>,
    /// Share of the least likely tokens that min-k % averages
    #[arg(long, default_value_t = FamiliarConfig::default().share, value_name = "SHARE", requires = "contamination")]
    min_k: f64,
    /// Shuffled orders of options that the printed one is held against; 0 leaves the model alone
    #[arg(long, default_value_t = FamiliarConfig::default().shuffles, value_name = "N", requires = "contamination")]
    shuffles: usize,
}

/// Grades, writes sheets or looks for contamination.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let recipe = context.recipe()?;
    let name = super::evolve::name_of(arguments.paper.with_extension("").to_string_lossy().as_ref());
    if arguments.contamination {
        let asked = Looking {
            paper: arguments.paper.clone(),
            texts: arguments.texts.clone(),
            published: arguments
                .published
                .first()
                .map(|day| date(day.rsplit('=').next().unwrap_or(day)))
                .transpose()?,
            model: arguments.shuffles > 0,
            familiar: FamiliarConfig {
                share: arguments.min_k,
                shuffles: arguments.shuffles,
                ..FamiliarConfig::default()
            },
        };
        let out = context.out(&format!("{name}-contamination"));
        let found = context.block_on(contamination(&recipe, &asked, &out, &context.sources(), &context.watch))?;
        return context.print(&found, format!("{}\n\npage: {}", found.text, found.page.display()));
    }
    let asked = Grading {
        paper: arguments.paper.clone(),
        answers: arguments.answers.clone(),
        graders: arguments.graders.iter().map(|text| text.trim().parse::<Grader>()).collect::<Result<_, _>>()?,
        further: arguments.further.as_deref().map(str::parse::<Grader>).transpose()?,
        remark: arguments.remark,
        at_least: arguments.at_least,
        judge: JudgeConfig { samples: arguments.samples, max_tokens: arguments.judge_tokens, ..JudgeConfig::default() },
        calibrate: arguments.calibrate,
        published: arguments.published.iter().map(|text| published(text)).collect::<Result<_, _>>()?,
    };
    if let Some(markers) = arguments.sheets {
        let out = context.out(&format!("{name}-marking"));
        let written = sheets(&recipe, &asked, markers, arguments.all_items, &out)?;
        let text = format!(
            "{} answers on each of {markers} sheets in {}\n({} without text and {} that the rule decides are on none)\n\
             read marker-N.html, fill in marker-N.csv, then: lyceum grade PAPER ANSWERS --graders rule,human:marker-1.csv,…\n\
             keep {} away from the markers",
            written.answers,
            out.join("sheets").display(),
            written.blank,
            written.by_rule,
            out.join("key.json").display()
        );
        return context.print(&written, text);
    }
    let out = context.out(&format!("{name}-grade"));
    let graded = context.block_on(grade(&recipe, &asked, &out, &context.sources(), &context.watch))?;
    context.print(&graded, format!("{}\n\npage: {}", graded.text, graded.page.display()))
}

/// `PERSON=YYYY-MM-DD`.
fn published(text: &str) -> Result<(String, Date), run::Error> {
    let (person, day) = text.rsplit_once('=').ok_or_else(|| wrong(format!("--published {text:?} names no person")))?;
    Ok((person.into(), date(day)?))
}

/// A day of the command line.
pub(super) fn date(text: &str) -> Result<Date, run::Error> {
    text.parse().map_err(|problem| wrong(format!("--published: {problem}")))
}

fn wrong(problem: String) -> run::Error {
    run::Error::Nothing { problem, hint: "write --published PERSON=YYYY-MM-DD".into() }
}
