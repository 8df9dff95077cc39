//! Losses of models on tokens: in memory or mapped from a file, column by column or grouped.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::{Error, Result};

const MAGIC: &[u8; 8] = b"lycloss1";
/// Magic, models, columns, and 8 bytes of zeros; numbers are little-endian.
const HEADER: usize = 32;

/// Models × columns of losses in nats (per token, or per byte where tokenizers differ). A column is a
/// token of the validation text, or a group of tokens with its mean loss.
#[derive(Debug)]
pub struct Losses {
    models: usize,
    columns: usize,
    names: Vec<String>,
    counts: Vec<f64>,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Memory(Vec<f32>),
    Mapped(memmap2::Mmap),
}

impl Losses {
    /// Losses in memory, model after model. Every number must be finite.
    pub fn new(models: usize, columns: usize, losses: Vec<f32>) -> Result<Self> {
        if losses.len() != models * columns {
            return Err(Error::Length { what: "the matrix of losses", got: losses.len(), expected: models * columns });
        }
        Self::checked(models, columns, Data::Memory(losses))
    }

    /// Losses that stay in a file, which a [`Writer`] made; it must not change while it is open. Every
    /// number is looked at once.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::File { operation: "open", path: path.to_path_buf(), source };
        let wrong = |problem: String| Error::Format { path: path.to_path_buf(), problem };
        let file = File::open(path).map_err(failed)?;
        // SAFETY: the map is read only; the documentation asks that nobody changes the file meanwhile.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(failed)?;
        if map.len() < HEADER || &map[..8] != MAGIC {
            return Err(wrong("it does not begin with lycloss1".into()));
        }
        let number = |at: usize| {
            let bytes: [u8; 8] = map[at..at + 8].try_into().expect("eight bytes were sliced");
            usize::try_from(u64::from_le_bytes(bytes)).ok()
        };
        let size = |models: usize, columns: usize| models.checked_mul(columns)?.checked_mul(4)?.checked_add(HEADER);
        match (number(8), number(16)) {
            (Some(models), Some(columns)) if size(models, columns) == Some(map.len()) => {
                Self::checked(models, columns, Data::Mapped(map))
            }
            (models, columns) => Err(wrong(format!(
                "it holds {} bytes, which is not what {models:?} models with {columns:?} columns take",
                map.len()
            ))),
        }
    }

    fn checked(models: usize, columns: usize, data: Data) -> Result<Self> {
        if models == 0 || columns == 0 {
            let problem = format!("{models} models with {columns} columns are no losses");
            return Err(Error::Data { problem, hint: "give at least one model and one token" });
        }
        let names = (0..models).map(|m| format!("model {m}")).collect();
        let losses = Self { models, columns, names, counts: vec![1.0; columns], data };
        let wrong = (0..models)
            .into_par_iter()
            .find_map_first(|m| Some((m, losses.row(m).iter().position(|x| !x.is_finite())?)));
        match wrong {
            Some((m, column)) => {
                let value = f64::from(losses.row(m)[column]);
                Err(Error::NotFinite { what: "loss", model: losses.names[m].clone(), column, value })
            }
            None => Ok(losses),
        }
    }

    /// The same with the models' names, which errors speak of.
    pub fn named(mut self, names: Vec<String>) -> Result<Self> {
        if names.len() != self.models {
            return Err(Error::Length { what: "the list of names", got: names.len(), expected: self.models });
        }
        self.names = names;
        Ok(self)
    }

    /// The same with each column counted once, however many tokens it stands for.
    pub fn equal(mut self) -> Self {
        self.counts = vec![1.0; self.columns];
        self
    }

    /// How many models.
    pub fn models(&self) -> usize {
        self.models
    }

    /// How many columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A model's name.
    pub fn name(&self, model: usize) -> &str {
        &self.names[model]
    }

    /// Tokens that each column stands for; 1 before [`Losses::grouped`].
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// A model's losses.
    pub fn row(&self, model: usize) -> &[f32] {
        let all: &[f32] = match &self.data {
            Data::Memory(losses) => losses,
            Data::Mapped(map) => floats(&map[HEADER..]),
        };
        &all[model * self.columns..(model + 1) * self.columns]
    }

    /// Weight of each column when all tokens weigh alike: counts over their sum.
    pub fn even(&self) -> Vec<f64> {
        let sum: f64 = self.counts.iter().sum();
        self.counts.iter().map(|n| n / sum).collect()
    }

    /// Σ_t weight_t L_{m,t} of every model.
    pub fn weighted(&self, weights: &[f64]) -> Vec<f64> {
        (0..self.models).into_par_iter().map(|m| dot(self.row(m), weights)).collect()
    }

    /// Mean loss of every model over all tokens.
    pub fn means(&self) -> Vec<f64> {
        self.weighted(&self.even())
    }

    /// Mean over models of every column.
    pub fn column_means(&self) -> Vec<f64> {
        let ones = vec![1.0 / self.models as f64; self.models];
        let mut means = vec![0.0; self.columns];
        self.combine(&ones, 0.0, &mut means);
        means
    }

    /// Adds Σ_m factor_m (L_{m,t} − centre) to every column's place in `to`.
    pub(crate) fn combine(&self, factors: &[f64], centre: f64, to: &mut [f64]) {
        to.par_chunks_mut(4096).enumerate().for_each(|(share, to)| {
            for (m, factor) in factors.iter().enumerate().filter(|(_, f)| **f != 0.0) {
                let row = &self.row(m)[share * 4096..][..to.len()];
                to.iter_mut().zip(row).for_each(|(to, x)| *to += factor * (f64::from(*x) - centre));
            }
        });
    }

    /// Columns that share a label become one, with the mean loss of their tokens and their count:
    /// domains, kinds of token, clusters, bins. Labels count from 0 without a gap. A weight on a group
    /// is a weight tied over its tokens.
    pub fn grouped(&self, labels: &[u32]) -> Result<Self> {
        if labels.len() != self.columns {
            return Err(Error::Length { what: "the list of labels", got: labels.len(), expected: self.columns });
        }
        let groups = labels.iter().max().map_or(0, |max| *max as usize + 1);
        if groups > self.columns {
            let problem = format!("labels reach {} for {} columns", groups - 1, self.columns);
            return Err(Error::Data { problem, hint: "number the groups from 0 without a gap" });
        }
        let mut counts = vec![0.0; groups];
        labels.iter().zip(&self.counts).for_each(|(label, n)| counts[*label as usize] += n);
        if let Some(empty) = counts.iter().position(|n| *n == 0.0) {
            let problem = format!("group {empty} has no column");
            return Err(Error::Data { problem, hint: "number the groups from 0 without a gap" });
        }
        let rows: Vec<Vec<f32>> = (0..self.models)
            .into_par_iter()
            .map(|m| {
                let mut sums = vec![0.0_f64; groups];
                for ((label, n), x) in labels.iter().zip(&self.counts).zip(self.row(m)) {
                    sums[*label as usize] += n * f64::from(*x);
                }
                sums.iter().zip(&counts).map(|(sum, n)| (sum / n) as f32).collect()
            })
            .collect();
        let grouped = Self::new(self.models, groups, rows.concat())?.named(self.names.clone())?;
        Ok(Self { counts, ..grouped })
    }

    /// Labels that put columns of like mean loss together: `bins` groups of equal size, the easiest
    /// first.
    pub fn bins(&self, bins: usize) -> Result<Vec<u32>> {
        if bins == 0 || bins > self.columns {
            let problem = format!("is {bins} for {} columns", self.columns);
            return Err(Error::Setting { setting: "bins", problem });
        }
        let means = self.column_means();
        let mut order: Vec<usize> = (0..self.columns).collect();
        order.sort_by(|&a, &b| means[a].total_cmp(&means[b]).then(a.cmp(&b)));
        let mut labels = vec![0; self.columns];
        order.iter().enumerate().for_each(|(rank, &column)| labels[column] = (rank * bins / self.columns) as u32);
        Ok(labels)
    }
}

/// Σ a b with sixteen partial sums, added in a fixed order.
fn dot(a: &[f32], b: &[f64]) -> f64 {
    let mut lanes = [0.0_f64; 16];
    let (a16, b16) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f64 = a16.remainder().iter().zip(b16.remainder()).map(|(a, b)| f64::from(*a) * b).sum();
    for (a, b) in a16.zip(b16) {
        (0..16).for_each(|l| lanes[l] += f64::from(a[l]) * b[l]);
    }
    lanes.iter().sum::<f64>() + rest
}

/// Bytes of a mapped file as the little-endian floats that they are.
fn floats(bytes: &[u8]) -> &[f32] {
    const { assert!(cfg!(target_endian = "little"), "files of losses are mapped on little-endian machines") };
    // SAFETY: every pattern of four bytes is an f32.
    let (before, floats, _) = unsafe { bytes.align_to::<f32>() };
    debug_assert!(before.is_empty(), "a map begins at a page and the header keeps the alignment");
    floats
}

/// Writes a file of losses, one model after another. The file appears under its name when it is whole.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    part: PathBuf,
    file: BufWriter<File>,
    models: usize,
    columns: usize,
}

impl Writer {
    /// Begins a file with `columns` losses a model.
    pub fn create(path: &Path, columns: usize) -> Result<Self> {
        let mut name = path.as_os_str().to_os_string();
        name.push(".part");
        let part = PathBuf::from(name);
        let start = || {
            let mut file = BufWriter::new(File::create(&part)?);
            file.write_all(&[0; HEADER])?;
            Ok(file)
        };
        let file = start().map_err(|source| Error::File { operation: "create", path: part.clone(), source })?;
        Ok(Self { path: path.to_path_buf(), part, file, models: 0, columns })
    }

    /// Adds the next model's losses.
    pub fn push(&mut self, losses: &[f32]) -> Result<()> {
        if losses.len() != self.columns {
            return Err(Error::Length { what: "a row of losses", got: losses.len(), expected: self.columns });
        }
        if let Some(column) = losses.iter().position(|x| !x.is_finite()) {
            let model = format!("model {}", self.models);
            return Err(Error::NotFinite { what: "loss", model, column, value: f64::from(losses[column]) });
        }
        let written = losses.iter().try_for_each(|x| self.file.write_all(&x.to_le_bytes()));
        written.map_err(|source| Error::File { operation: "write", path: self.part.clone(), source })?;
        self.models += 1;
        Ok(())
    }

    /// Completes the file and gives it its name.
    pub fn finish(mut self) -> Result<()> {
        let mut header = MAGIC.to_vec();
        header.extend((self.models as u64).to_le_bytes());
        header.extend((self.columns as u64).to_le_bytes());
        let mut end = || {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&header)?;
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            std::fs::rename(&self.part, &self.path)
        };
        end().map_err(|source| Error::File { operation: "finish", path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_back_what_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("losses");
        let mut writer = Writer::create(&path, 3).expect("created");
        writer.push(&[1.0, 2.0, 3.5]).expect("written");
        assert!(matches!(writer.push(&[1.0]), Err(Error::Length { .. })));
        assert!(matches!(writer.push(&[1.0, f32::NAN, 0.0]), Err(Error::NotFinite { column: 1, .. })));
        writer.push(&[0.5, 0.25, 8.0]).expect("written");
        assert!(!path.exists());
        writer.finish().expect("finished");
        let losses = Losses::open(&path).expect("opened");
        assert_eq!((losses.models(), losses.columns()), (2, 3));
        assert_eq!((losses.row(0), losses.row(1)), (&[1.0, 2.0, 3.5][..], &[0.5, 0.25, 8.0][..]));
        let bytes = std::fs::read(&path).expect("read");
        for (cut, name) in [(bytes.len() - 4, "short"), (10, "stub")] {
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes[..cut]).expect("written");
            assert!(matches!(Losses::open(&path), Err(Error::Format { .. })), "{name}");
        }
        assert!(matches!(Losses::open(&folder.path().join("none")), Err(Error::File { .. })));
    }

    #[test]
    fn groups_are_means_of_their_tokens() {
        let losses = Losses::new(2, 4, vec![1.0, 2.0, 3.0, 6.0, 0.0, 4.0, 4.0, 4.0]).expect("finite");
        let grouped = losses.grouped(&[0, 1, 1, 1]).expect("labels fit");
        assert_eq!(grouped.counts(), [1.0, 3.0]);
        assert_eq!((grouped.row(0), grouped.row(1)), (&[1.0, 11.0 / 3.0][..], &[0.0, 4.0][..]));
        grouped.means().iter().zip(losses.means()).for_each(|(a, b)| assert!((a - b).abs() < 1e-6));
        assert!(losses.grouped(&[0, 2, 2, 2]).is_err() && losses.grouped(&[0, 0]).is_err());
        assert_eq!(losses.bins(2).expect("two"), [0, 0, 1, 1]);
        let wrong = Losses::new(1, 2, vec![0.0, f32::INFINITY]).expect_err("infinite");
        assert!(wrong.to_string().starts_with("loss of model 0, column 1, is inf"), "{wrong}");
    }
}
