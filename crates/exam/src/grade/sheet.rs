use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use record::seed;

use super::{Mark, Script};
use crate::paper::Paper;
use crate::{Error, Result};

/// Columns of a marking sheet. A person fills in the last two.
const COLUMNS: [&str; 6] = ["code", "item", "part", "most", "points", "remark"];

/// The order in which a person marks: shuffled by seed and name, so that no answer is always read last.
pub(crate) fn order<'a>(scripts: &'a [Script], marker: &str, seed_of_order: u64) -> Vec<&'a Script> {
    let mut order: Vec<&Script> = scripts.iter().filter(|script| !script.is_blank()).collect();
    order.sort_by_key(|script| seed::derive(seed_of_order, marker, &script.code));
    order
}

/// A marking sheet as CSV, one line for each part of each script that has an answer. It holds codes and no
/// text of a candidate, so that no spreadsheet takes an answer for a formula; the texts stand on
/// [`super::sheet_html`].
pub fn sheet_csv(paper: &Paper, scripts: &[Script], marker: &str, seed: u64) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fail = |source| Error::Table { path: "marking sheet".into(), source };
    writer.write_record(COLUMNS).map_err(fail)?;
    for script in order(scripts, marker, seed) {
        let Some(item) = paper.item(&script.item) else { continue };
        for (at, part) in item.parts().iter().enumerate() {
            let name = format!("{} {}", at + 1, part.name.replace(['\n', '\r'], " "));
            let most = part.most.to_string();
            writer.write_record([script.code.as_str(), &item.id, &name, &most, "", ""]).map_err(fail)?;
        }
    }
    writer.into_inner().map_err(|e| fail(e.into_error().into()))
}

/// What a person wrote to a script.
#[derive(Default)]
struct Filled {
    /// The first line.
    line: u64,
    /// Points by part.
    points: HashMap<usize, f64>,
    /// Parts that had a line.
    told: HashSet<usize>,
    remarks: Vec<String>,
}

/// Marks of a filled-in sheet, in the order of its lines. Separators may be commas, semicolons or tabs, and a
/// decimal comma is understood. A script with no points at all was not marked, and gives no mark. `grader` is
/// the name under which the marks are kept.
///
/// A code or part that does not exist, a part that is missing or stands there twice, and points that are no
/// number or more than there is are errors with file, line and column.
pub fn read_sheet(path: &Path, paper: &Paper, scripts: &[Script], grader: &str) -> Result<Vec<Mark>> {
    let text = std::fs::read_to_string(path).map_err(|e| record::Error::io("read", path, e))?;
    let text = text.trim_start_matches('\u{feff}');
    let head = text.lines().next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t'].into_iter().max_by_key(|d| head.bytes().filter(|b| b == d).count());
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter.unwrap_or(b','))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let table = |source| Error::Table { path: path.into(), source };
    let wrong =
        |line: u64, column: &'static str, problem: String| Error::Cell { path: path.into(), line, column, problem };
    let headings = reader.headers().map_err(table)?.clone();
    let mut places = HashMap::new();
    for column in COLUMNS {
        match headings.iter().position(|heading| heading.eq_ignore_ascii_case(column)) {
            Some(place) => _ = places.insert(column, place),
            None if column == "remark" || column == "most" || column == "item" => {}
            None => return Err(wrong(1, column, "is missing from the headings".into())),
        }
    }
    let known: HashMap<&str, &Script> = scripts.iter().map(|script| (script.code.as_str(), script)).collect();
    let mut order: Vec<&str> = Vec::new();
    let mut filled: BTreeMap<&str, Filled> = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(table)?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |column: &str| places.get(column).and_then(|place| row.get(*place)).unwrap_or_default();
        if row.iter().all(str::is_empty) {
            continue;
        }
        if row.len() > headings.len() {
            let problem =
                "there are more cells than headings; write decimals with a point, and remarks with commas in quotes";
            return Err(wrong(line, "points", problem.into()));
        }
        let script = *known
            .get(cell("code"))
            .ok_or_else(|| wrong(line, "code", format!("{:?} stands for no answer of these", cell("code"))))?;
        let parts = paper.item(&script.item).map(|item| item.parts()).unwrap_or_default();
        let number = cell("part").split_whitespace().next().and_then(|number| number.parse::<usize>().ok());
        let part = number.and_then(|number| number.checked_sub(1)).filter(|part| *part < parts.len());
        let part = part.ok_or_else(|| {
            wrong(line, "part", format!("{:?} does not begin with a number from 1 to {}", cell("part"), parts.len()))
        })?;
        let code = script.code.as_str();
        let own = filled.entry(code).or_insert_with(|| {
            order.push(code);
            Filled { line, ..Filled::default() }
        });
        if !own.told.insert(part) {
            return Err(wrong(line, "part", format!("part {} of {code} stands there twice", part + 1)));
        }
        if !cell("remark").is_empty() {
            own.remarks.push(cell("remark").to_string());
        }
        if cell("points").is_empty() {
            continue;
        }
        let value: f64 = cell("points")
            .replace(',', ".")
            .parse()
            .map_err(|_| wrong(line, "points", format!("{:?} is no number", cell("points"))))?;
        let most = parts[part].most;
        if !(0.0..=most).contains(&value) {
            return Err(wrong(line, "points", format!("{value} does not lie between 0 and {most}")));
        }
        own.points.insert(part, value);
    }
    let mut marks = Vec::new();
    for (place, code) in order.into_iter().enumerate() {
        let Filled { line, points, remarks, .. } = &filled[code];
        let script = known[code];
        let count = paper.item(&script.item).map_or(1, |item| item.parts().len());
        if points.is_empty() {
            continue;
        }
        if points.len() < count {
            let problem = format!("{} of {count} parts of {code} have points; fill in all, or none", points.len());
            return Err(wrong(*line, "points", problem));
        }
        let parts: Vec<f64> = (0..count).map(|part| points[&part]).collect();
        let total = parts.iter().sum();
        marks.push(Mark { parts, ..Mark::new(script, grader, place, total, remarks.join("; ")) });
    }
    // Nobody is asked to mark what is not there.
    let blank = scripts.iter().filter(|script| script.is_blank());
    marks.extend(blank.enumerate().map(|(at, script)| Mark::blank(script, grader, filled.len() + at)));
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grade::example::{answer, paper};
    use crate::grade::scripts;

    struct Desk {
        paper: Paper,
        scripts: Vec<Script>,
        folder: tempfile::TempDir,
    }

    impl Desk {
        fn new() -> Self {
            let paper = paper();
            let answers = [answer("ann", "2", "42 m"), answer("ann", "3", "gravity"), answer("bob", "3", "=SUM(A1)")];
            let scripts = scripts(&paper, &answers, 1);
            Self { paper, scripts, folder: tempfile::tempdir().expect("tempdir") }
        }

        fn read(&self, text: &str) -> Result<Vec<Mark>> {
            let path = self.folder.path().join("m.csv");
            std::fs::write(&path, text).expect("write");
            read_sheet(&path, &self.paper, &self.scripts, "ms green")
        }

        fn code(&self, person: &str, item: &str) -> &str {
            let own = |s: &&Script| s.person == person && s.item == item;
            &self.scripts.iter().find(own).expect("a script").code
        }
    }

    #[test]
    fn a_filled_in_sheet_comes_back() {
        let desk = Desk::new();
        let sheet = String::from_utf8(sheet_csv(&desk.paper, &desk.scripts, "1", 4).expect("csv")).expect("utf-8");
        assert!(!sheet.contains("ann") && !sheet.contains("bob") && !sheet.contains("SUM"), "{sheet}");
        assert_eq!(sheet.lines().count(), 1 + 1 + 2 + 2);
        let filled: Vec<String> = sheet
            .lines()
            .enumerate()
            .map(|(at, line)| {
                if at == 0 {
                    line.into()
                } else {
                    line.replace(",,", if line.contains("gravity") { ",2.5,\"well, well\"" } else { ",0," })
                }
            })
            .collect();
        let marks = desk.read(&filled.join("\r\n")).expect("marks");
        let of = |code: &str| marks.iter().find(|m| m.code == code).expect("a mark");
        let ann = of(desk.code("ann", "3"));
        assert_eq!((ann.points, ann.parts.as_slice(), ann.reason.as_str()), (Some(2.5), &[2.5, 0.0][..], "well, well"));
        // Blank scripts get their 0 without being asked about.
        assert_eq!(marks.len(), desk.scripts.len());
        let semicolons = format!("code;part;points\n{};1;3,5\n{};2;1\n", desk.code("bob", "3"), desk.code("bob", "3"));
        let marks = desk.read(&semicolons).expect("marks");
        assert_eq!(marks[0].points, Some(4.5));
        assert_ne!(
            sheet_csv(&desk.paper, &desk.scripts, "1", 4).expect("csv"),
            sheet_csv(&desk.paper, &desk.scripts, "2", 8).expect("csv"),
            "each marker has an order of their own"
        );
    }

    #[test]
    fn each_fault_names_line_and_column() {
        let desk = Desk::new();
        let code = desk.code("ann", "3");
        let head = "code,item,part,most,points,remark";
        for (rows, line, column, problem) in [
            ("zzz,3,1,4,1,".to_string(), 2, "`code`", "no answer"),
            (format!("{code},3,3,4,1,"), 2, "`part`", "1 to 2"),
            (format!("{code},3,1,4,4.5,\n{code},3,2,2,1,"), 2, "`points`", "between 0 and 4"),
            (format!("{code},3,1,4,1,\n{code},3,2,2,many,"), 3, "`points`", "no number"),
            (format!("{code},3,1,4,1,\n{code},3,2,2,,"), 2, "`points`", "1 of 2 parts"),
            (format!("{code},3,1,4,1,\n{code},3,1,4,1,"), 3, "`part`", "twice"),
            (format!("{code},3,1,4,3,5,\n{code},3,2,2,1,"), 2, "`points`", "more cells"),
            (format!("{code},3,1,4,NaN,\n{code},3,2,2,1,"), 2, "`points`", "between"),
        ] {
            let error = desk.read(&format!("{head}\n{rows}\n")).expect_err("must be refused").to_string();
            assert!(error.contains(&format!("m.csv:{line}:")), "{error}");
            assert!(error.contains(column) && error.contains(problem), "{error}");
        }
        let error = desk.read("code,part\n").expect_err("no points").to_string();
        assert!(error.contains("`points`") && error.contains("missing"), "{error}");
        assert!(
            desk.read(&format!("{head}\n{code},3,1,4,,\n{code},3,2,2,,\n"))
                .expect("not marked")
                .iter()
                .all(|m| m.code != code)
        );
    }
}
