use std::path::{Path, PathBuf};
use std::time::Instant;

use exam::paper::{ClosedBook, Date, Familiar, FamiliarConfig, Found, closed_book, familiar, ngrams, read_paper};
use report::{Section, Sheet, Table};
use serde::Serialize;

use super::super::manifest::{Made, manifest};
use super::tell;
use crate::models;
use crate::pull::Sources;
use crate::verbs::documents_root;
use crate::{Error, Recipe, Result, Watch};

/// What is looked for.
#[derive(Debug, Clone, Serialize)]
pub struct Looking {
    /// The paper.
    pub paper: PathBuf,
    /// A folder of texts that the model may have read.
    pub texts: Option<String>,
    /// The day on which the model's weights became public.
    pub published: Option<Date>,
    /// Whether the model is asked how well it knows the paper.
    pub model: bool,
    /// How it is asked.
    pub familiar: FamiliarConfig,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Contaminated {
    /// The paper's name.
    pub title: String,
    /// The model.
    pub model: String,
    /// Whether its date allows it to count as closed-book.
    pub closed: ClosedBook,
    /// Word sequences of the paper in the texts, of 8 and of 13 words.
    pub found: Vec<Found>,
    /// How well the model knows the paper.
    pub familiar: Option<Familiar>,
    /// In a few lines.
    #[serde(skip)]
    pub text: String,
    /// The page.
    pub page: PathBuf,
}

/// What the figures can say and what not.
const CANNOT: [&str; 2] = [
    "Min-k % is the mean log-probability of the least likely tokens of a question; a text that was learned lies higher, and so does \
     any text that is easy to foresee. The reference is the same question with its sentences in another order. The difference is \
     what order is worth to the model: fluency explains it as well as learning, so it proves nothing by itself. Compare it \
     between papers of one kind from before and after the model's date.",
    "The test of options has an exact null where their order carries no sense: a model that never saw the paper has no reason to prefer \
     the printed order. Options in a natural order (numbers that rise, the alphabet) are left out. A small p says that the \
     printed order was seen; a large one says nothing about a paper that was learned in another form.",
];

/// Looks for the paper in texts and in the model, and writes `contamination.json` and a page.
pub async fn contamination(
    recipe: &Recipe,
    asked: &Looking,
    out: &Path,
    sources: &Sources,
    watch: &Watch,
) -> Result<Contaminated> {
    let begin = Instant::now();
    let paper = read_paper(&asked.paper)?;
    let mut found = Vec::new();
    if let Some(texts) = &asked.texts {
        let root = documents_root(texts, sources)?;
        let texts = texts_of(&root)?;
        found.extend([8, 13].map(|length| ngrams(&paper.items, texts.iter().cloned(), length)));
    }
    let mut known = None;
    if asked.model {
        let model = models::load(&recipe.model, recipe, sources)?;
        let mut progress = |done: usize, total: usize| tell(watch, "familiar", done, total);
        let config = FamiliarConfig { seed: recipe.seed, ..asked.familiar };
        let adapter = model.adapter.as_deref();
        known = Some(familiar(&paper.items, &model.shared, adapter, &config, &mut progress).await?);
    }
    let mut result = Contaminated {
        title: paper.title.clone(),
        model: recipe.model.clone(),
        closed: closed_book(paper.date, asked.published),
        found,
        familiar: known,
        text: String::new(),
        page: out.join("contamination.html"),
    };
    let mut made = Made::new(out)?;
    made.put_json("contamination.json", &result)?;
    let items = paper.items.len() as u64;
    let manifest = manifest(
        "contamination",
        asked,
        std::slice::from_ref(&asked.paper),
        &made,
        recipe.seed,
        begin,
        items,
        Default::default(),
    );
    let mut sheet = sheet(&result, items, asked.published);
    result.text = report::sheet_text(&sheet);
    sheet.manifest = Some(manifest);
    made.put("contamination.html", report::sheet_page(&sheet).as_bytes())?;
    Ok(result)
}

/// Names and texts of the files of a folder, by name; files that are no UTF-8 text are read as well as they
/// can be.
fn texts_of(root: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|e| record::Error::io("read", &folder, e))?;
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::Nothing {
            problem: format!("{} holds no files", root.display()),
            hint: "give a folder of texts that the model may have read".into(),
        });
    }
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).map_err(|e| record::Error::io("read", &path, e))?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        Ok((name, String::from_utf8_lossy(&bytes).into_owned()))
    };
    files.into_iter().map(read).collect()
}

fn sheet(result: &Contaminated, items: u64, published: Option<Date>) -> Sheet {
    let order = result.familiar.as_ref().map(|known| match known.tested {
        0 => "no item's order of options could be tested".to_string(),
        n => format!(
            "order of options: p = {:.3} over {n} items and {} shuffles (printed order {:+.2} nats an item)",
            known.p, known.shuffles, known.preference
        ),
    });
    let hits = result.found.iter().map(|found| {
        format!(
            "{} of {} items share {} words with {} texts (95 % interval of the share {:.0} to {:.0} %)",
            found.found,
            found.items,
            found.length,
            found.texts,
            100.0 * found.low,
            100.0 * found.high
        )
    });
    let said: Vec<String> = hits.chain(order).collect();
    let headline = if said.is_empty() { result.closed.says().to_string() } else { said.join("; ") };
    let mut sheet = Sheet::new(format!("{} and {}", result.title, result.model), headline);
    sheet.read = vec![(items, if items == 1 { "item".into() } else { "items".into() })];
    let day = published.map_or_else(String::new, |day| format!(" ({day})"));
    sheet.sections.push(Section::new("Closed book").text(format!("{}{day}.", result.closed.says())));
    for found in &result.found {
        let rows = found.by_item.iter().filter(|item| item.share > 0.0).map(|item| {
            let (run, text) = item.first.clone().unwrap_or_default();
            vec![item.item.clone(), format!("{:.2}", item.share), item.sequences.to_string(), run, text]
        });
        let table = Table::new(["item", "share found", "sequences", "the first", "in"], rows.collect());
        let mut section = Section::new(format!("Sequences of {} words", found.length)).text(format!(
            "{} of {} items that are long enough, in {} texts of {} words. What was not looked through may hold the rest.",
            found.found, found.items, found.texts, found.words
        ));
        if !table.rows.is_empty() {
            section = section.table(table);
        }
        sheet.sections.push(section);
    }
    if let Some(known) = &result.familiar {
        sheet.sections.push(familiar_section(known));
    }
    sheet
}

fn familiar_section(known: &Familiar) -> Section {
    let number = |value: Option<f64>| value.map_or("—".into(), |value| format!("{value:.2}"));
    let rows = known.items.iter().map(|item| {
        let shuffled = item.shuffled.iter().sum::<f64>() / item.shuffled.len().max(1) as f64;
        vec![
            item.item.clone(),
            item.tokens.to_string(),
            format!("{:.2}", item.mean),
            format!("{:.2}", item.min_k),
            number(item.reference),
            number(item.min_k_plus),
            number(item.tail),
            number(item.printed.map(|printed| printed - shuffled)),
        ]
    });
    let columns = ["item", "tokens", "mean", "min-k %", "reference", "min-k %++", "untold mass", "printed − shuffled"];
    let table = Table::new(columns, rows.collect());
    let mut section = Section::new("What the model knows").text(CANNOT[0]).text(CANNOT[1]);
    if let Some(beyond) = &known.beyond {
        section = section.text(format!(
            "Min-{:.0} % of the questions lies {:.2} nats above their reference (95 % interval {:.2} to {:.2}, n = {} items of two \
             sentences or more).",
            100.0 * known.share,
            beyond.mean,
            beyond.low,
            beyond.high,
            beyond.n
        ));
    }
    if let Some((item, why)) = known.failed.first() {
        section = section.text(format!("{} items could not be scored; the first, {item}: {why}.", known.failed.len()));
    }
    section.table(table)
}
