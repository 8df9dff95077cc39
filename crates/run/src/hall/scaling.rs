//! What will a bigger model be able to do? Losses and accuracies in, every law's predictions of models
//! that were held out.

mod material;
mod method;
mod picture;
mod say;
mod study;
mod table;
mod top;

use std::path::{Path, PathBuf};
use std::time::Instant;

use scaling::{Config, Losses, Prepared};
use serde::{Deserialize, Serialize};

pub use scaling::{Form, Level};

pub(crate) use self::material::Material;
pub use self::material::Sources;
pub use self::method::{Method, Reads};
pub use self::picture::figures;
pub use self::say::{scaling_csv, scaling_sheet};
pub use self::study::{HoldOut, MethodRow, Part, Point, Settings, Study, TaskRow};
pub use self::top::{Capability, InText};
use super::manifest::{Made, manifest};
use crate::{Error, Result, Watch};

/// Which columns share a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tie {
    /// None: each has its own.
    None,
    /// Those with the same text.
    Type,
    /// Those of one domain.
    Domain,
    /// Those of like mean loss, in so many groups.
    Bins(usize),
}

/// What is asked of losses and accuracies.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// Where they stand.
    pub sources: Sources,
    /// Which columns share a weight.
    pub tie: Tie,
    /// Ways of holding out; without one, by family where families are known, else at random.
    pub hold_out: Vec<HoldOut>,
    /// How laws are fitted and judged.
    pub settings: Settings,
    /// Tokens of each task that are shown.
    pub top: usize,
}

/// What came out of losses and accuracies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Laws {
    /// Layout of this record; 1.
    pub schema_version: u32,
    /// Models.
    pub models: Vec<String>,
    /// Their families, where known.
    pub families: Option<Vec<String>>,
    /// Columns of losses.
    pub columns: usize,
    /// Weights of a vector: columns, or groups of tied ones.
    pub weights: usize,
    /// Form of the weights.
    pub form: Form,
    /// Tasks, with their items where known.
    pub tasks: Vec<(String, Option<usize>)>,
    /// One for each way of holding out.
    pub studies: Vec<Study>,
    /// What each task hangs on, by a vector that is fitted to all models.
    pub capabilities: Vec<Capability>,
    /// What was set aside or cannot be said.
    pub notes: Vec<String>,
}

/// Holds models out in each of these ways and predicts them.
pub fn laws(asked: &Asked, watch: &Watch) -> Result<Laws> {
    let material = Material::read(&asked.sources)?;
    let usual = [if material.families.is_some() { HoldOut::Family } else { HoldOut::Random }];
    let ways = if asked.hold_out.is_empty() { &usual } else { &asked.hold_out[..] };
    of_material(&material, asked.tie, ways, &asked.settings, asked.top, watch)
}

/// Writes `scaling.json`, the page `scaling.html`, whose path is given back, the tables as CSV, the
/// figures as SVG and PNG, and the manifest of what was `asked` at `begin`.
pub fn write(laws: &Laws, asked: &Asked, out: &Path, begin: Instant) -> Result<PathBuf> {
    let mut made = Made::new(out)?;
    made.put_json("scaling.json", laws)?;
    put_files(laws, &mut made)?;
    let Sources { losses, accuracies, meta, .. } = &asked.sources;
    let losses = if losses.is_dir() { losses.join("losses.bin") } else { losses.clone() };
    let sources: Vec<PathBuf> = [Some(losses), accuracies.clone(), meta.clone()].into_iter().flatten().collect();
    let delivered = laws.studies.iter().map(|study| study.n as u64).sum();
    let seed = asked.settings.seed;
    let manifest = manifest("scaling", asked, &sources, &made, seed, begin, delivered, Default::default());
    made.put_json("manifest.json", &manifest)?;
    let sheet = report::Sheet { manifest: Some(manifest), ..scaling_sheet(laws, "Scaling laws") };
    made.put("scaling.html", report::sheet_page(&sheet).as_bytes())?;
    Ok(out.join("scaling.html"))
}

/// Tables and figures.
pub(crate) fn put_files(laws: &Laws, made: &mut Made) -> Result<()> {
    for (name, bytes) in scaling_csv(laws) {
        made.put(name, &bytes)?;
    }
    figures(laws).iter().try_for_each(|(name, figure)| made.put_figure(name, figure))
}

pub(crate) fn of_material(
    material: &Material,
    tie: Tie,
    hold_outs: &[HoldOut],
    settings: &Settings,
    top: usize,
    watch: &Watch,
) -> Result<Laws> {
    settings.config.validate()?;
    settings.bootstrap.validate()?;
    let tied = labels(material, tie)?
        .map(|tied| Ok::<_, Error>((material.losses.grouped(&tied.labels)?, tied)))
        .transpose()?;
    let fitted: &Losses = tied.as_ref().map_or(&material.losses, |(losses, _)| losses);
    let columns = Prepared::new(fitted);
    let (names, of_domains) = domains(material)?;
    let several = names.len() > 1 && names.len() < material.losses.columns() && tie != Tie::Domain;
    let by_domain = several.then(|| Prepared::new(&of_domains));
    let mut studies = Vec::new();
    for hold_out in hold_outs {
        let domains = by_domain.as_ref().map(|prepared| (prepared, &names[..]));
        studies.push(study::study(material, &columns, domains, *hold_out, settings, watch)?);
    }
    let mut capabilities = Vec::new();
    if let Some(first) = hold_outs.first() {
        let lambda = study::lambda_of_all(material, &columns, *first, settings)?;
        let config = Config { lambda, ..settings.config.clone() };
        capabilities = top::capabilities(material, &columns, tied.as_ref().map(|(_, tied)| tied), &config, top)?;
    }
    let mut notes = material.notes.clone();
    if settings.config.form != Form::Signed && fitted.columns() > 100_000 {
        notes.push("forms other than signed take a pass over all columns for every step".into());
    }
    if material.items.iter().all(Option::is_none) {
        notes.push("items are not known: accuracies weigh alike, and no verdict says that they differ no more than by sampling".into());
    }
    Ok(Laws {
        schema_version: 1,
        models: material.names.clone(),
        families: material.families.clone(),
        columns: material.losses.columns(),
        weights: fitted.columns(),
        form: settings.config.form,
        tasks: material.targets.iter().map(|t| t.task.clone()).zip(material.items.iter().copied()).collect(),
        studies,
        capabilities,
        notes,
    })
}

/// Names of the domains, and losses with one column for each.
fn domains(material: &Material) -> Result<(Vec<String>, Losses)> {
    let (names, labels) = numbered(&material.domains);
    Ok((names, material.losses.grouped(&labels)?))
}

/// Distinct names in the order of their letters, and each one's number.
fn numbered(all: &[String]) -> (Vec<String>, Vec<u32>) {
    let mut names = all.to_vec();
    names.sort();
    names.dedup();
    let labels = all.iter().map(|name| names.partition_point(|other| other < name) as u32).collect();
    (names, labels)
}

/// Which columns share a weight.
struct Tied {
    /// The group of each column.
    labels: Vec<u32>,
    /// What the columns of each group say, where it is the same.
    types: Vec<String>,
}

fn labels(material: &Material, tie: Tie) -> Result<Option<Tied>> {
    let tied = |labels| Tied { labels, types: Vec::new() };
    Ok(match tie {
        Tie::None => None,
        Tie::Domain => Some(tied(numbered(&material.domains).1)),
        Tie::Bins(bins) => Some(tied(material.losses.bins(bins)?)),
        Tie::Type => {
            let places = material.places.as_ref().ok_or_else(|| Error::Nothing {
                problem: "columns of a table have no text, so none are of one type".into(),
                hint: "give a folder of `lyceum score`, or another --tie".into(),
            })?;
            let said = |column: &(usize, usize, usize)| {
                let (text, begin, end) = *column;
                String::from_utf8_lossy(&places.texts[text].text.as_bytes()[begin..end]).into_owned()
            };
            let (types, labels) = numbered(&places.columns.iter().map(said).collect::<Vec<_>>());
            Some(Tied { labels, types })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(i: usize) -> f64 {
        ((i * 7919 + 13) % 1009) as f64 / 504.5 - 1.0
    }

    /// Twenty-four models of three families: what they read differs, so that the mean loss misleads and
    /// the loss of the domain `sums` tells.
    fn published(folder: &Path) -> PathBuf {
        let mut text = String::from("family,model,n,d,loss:sums,loss:words,loss:names,sums,flat\n");
        for (family, share) in [("even", 0.5), ("numbers", 0.9), ("language", 0.1)] {
            for size in 0..4 {
                for budget in 0..2 {
                    let (n, d) = (5e4 * 3f64.powi(size), 5e5 * 4f64.powi(budget));
                    let i = text.len();
                    let skill = 0.35 * (f64::from(size) + f64::from(budget));
                    let (sums, words) = (2.5 - skill * (0.4 + share), 2.5 - skill * (1.4 - share));
                    let names = words + 0.05 * noise(i + 2);
                    let accuracy = scaling::sigmoid(4.0 * (1.6 - sums)) + 0.005 * noise(i);
                    let accuracy = accuracy.clamp(0.0, 1.0);
                    text += &format!(
                        "{family},m{size},{n},{d},{sums},{words},{names},{accuracy},{}\n",
                        0.25 + 0.01 * noise(i + 5)
                    );
                }
            }
        }
        let path = folder.join("published.csv");
        // A model's name alone does not tell budgets apart: one more column does.
        let lines = text.lines().enumerate().map(|(i, line)| match i {
            0 => line.replacen("model,", "model,budget,", 1),
            _ => {
                let (family, rest) = line.split_once(',').expect("cells");
                let (model, rest) = rest.split_once(',').expect("cells");
                format!("{family},{model},{},{rest}", i % 2)
            }
        });
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).expect("written");
        path
    }

    fn sources(losses: PathBuf) -> Sources {
        Sources { losses, accuracies: None, meta: None, items: Some("400".into()), tasks: Vec::new() }
    }

    fn asked(sources: &Sources, hold_out: &[HoldOut]) -> Asked {
        Asked { sources: sources.clone(), tie: Tie::None, hold_out: hold_out.into(), settings: quick(), top: 3 }
    }

    fn quick() -> Settings {
        let mut settings = Settings { lambdas: 7, ..Settings::default() };
        settings.bootstrap.replicates = 40;
        settings
    }

    #[test]
    fn weights_tell_what_the_mean_does_not_and_a_flat_task_is_called_so() {
        let folder = tempfile::tempdir().expect("tempdir");
        let (path, watch) = (published(folder.path()), Watch::new(|_| {}, None, None));
        let ways = [HoldOut::Family, HoldOut::Largest];
        let asked = asked(&sources(path), &ways);
        let laws = laws(&asked, &watch).expect("laws");
        assert_eq!((laws.models.len(), laws.models[0].as_str(), laws.columns), (24, "even/m0/1", 3));
        let study = &laws.studies[0];
        assert_eq!((study.parts.len(), study.n, study.clusters), (3, 48, 12));
        let error = |method| {
            let sums = &study.tasks[0];
            sums.mae.iter().find(|(other, _)| *other == method).expect("fitted").1
        };
        assert!(error(Method::Salience) < 0.5 * error(Method::MeanLoss), "{:?}", study.tasks[0].mae);
        assert!(error(Method::Salience) < error(Method::Compute));
        assert!(matches!(study.tasks[0].verdict, scaling::Verdict::Predictable { .. }));
        assert!(matches!(study.tasks[1].verdict, scaling::Verdict::NotPredictable { .. }), "{:?}", study.tasks[1]);
        assert!(study.rows.iter().all(|row| row.fits == 6 && row.verdicts.iter().sum::<usize>() <= 2));
        // No domain bears more than a column: that law is not there, and says why.
        let none = study.rows.iter().find(|row| row.method == Method::SalienceOfDomains).expect("a row");
        assert!(none.mae.is_none() && none.why.is_some());
        let largest = &laws.studies[1];
        assert_eq!((largest.parts[0].train, largest.parts[0].test, largest.n), (18, 6, 12));
        assert_eq!(laws.capabilities[0].top[0].domain, "sums", "{:?}", laws.capabilities[0].top);
        let page = write(&laws, &asked, folder.path(), Instant::now()).expect("written");
        let html = std::fs::read_to_string(page).expect("read");
        assert!(html.contains("OLMo ladder") && html.contains("not predictable"));
        let points = std::fs::read_to_string(folder.path().join("points.csv")).expect("read");
        assert_eq!(points.lines().count(), 1 + 48 + 12);
        let text = report::sheet_text(&scaling_sheet(&laws, "t"));
        assert!(text.contains("| salience |") || text.contains("salience"), "{text}");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().expect("tempdir");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let watch = Watch::new(|_| {}, None, None);
        let said = |sources: &Sources, ways: &[HoldOut]| {
            laws(&asked(sources, ways), &watch).expect_err("must fail").to_string()
        };
        let cells = |m: i32| format!("m{m},{},{}\n", 3.0 - 0.25 * f64::from(m), 2.0 - 0.15 * f64::from(m * m % 5));
        let eight = format!("model,x,y\n{}", (0..8).map(cells).collect::<String>());
        let marks = |m: i32| format!("m{m},{}\n", 0.1 + 0.08 * f64::from(m));
        let all = format!("model,t\n{}", (0..8).map(marks).collect::<String>());
        let losses = write("losses.csv", &eight);
        let with = |accuracies: &str| Sources {
            accuracies: Some(write("accuracies.csv", accuracies)),
            items: None,
            ..sources(losses.clone())
        };
        let none = said(&Sources { items: None, ..sources(losses.clone()) }, &[]);
        assert!(none.contains("no accuracy"), "{none}");
        let nan = said(&sources(write("nan.csv", &eight.replace("m1,2.75", "m1,NaN"))), &[]);
        assert!(nan.contains("nan.csv") && nan.contains("line 3") && nan.contains("column x"), "{nan}");
        let short = said(&sources(write("short.csv", "model,x,y\na,3,2\nb,2\n")), &[]);
        assert!(short.contains("short.csv") && short.contains('3'), "{short}");
        let unknown = said(&with("model,t\nm0,0.1\nz,0.2\n"), &[]);
        assert!(unknown.contains("accuracies of z"), "{unknown}");
        let outside = said(&with(&all.replace("m1,0.18", "m1,1.2")), &[]);
        assert!(outside.contains("accuracy of m1 on t is 1.2"), "{outside}");
        let one = said(&with("model,t\nm0,0.1\n"), &[]);
        assert!(one.contains("1 models are too few"), "{one}");
        let twice = said(&with("model,t\nm0,0.1\nm0,0.2\n"), &[]);
        assert!(twice.contains("two lines"), "{twice}");
        let sizes = said(&with(&all), &[HoldOut::Largest]);
        assert!(sizes.contains("sizes are not known"), "{sizes}");
        let empty = said(&sources(folder.path().into()), &[]);
        assert!(empty.contains("holds no losses"), "{empty}");
        // One task: nothing to observe it by, and the rest goes on.
        let good = with(&all);
        let laws = laws(&asked(&good, &[]), &watch).expect("laws");
        let observational = laws.studies[0].rows.iter().find(|row| row.method == Method::Observational).expect("a row");
        assert!(observational.mae.is_none() && observational.why.as_deref() == Some("there is no other task"));
    }
}
