use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use crate::error::FETCH_AGAIN;
use crate::{Error, Matrix, Result, Storage};

/// Tensors of one or several mapped safetensors files.
pub(crate) struct Shards {
    files: Vec<(PathBuf, Mmap)>,
    tensors: BTreeMap<String, Place>,
}

struct Place {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Range<usize>,
}

impl Shards {
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut shards = Self { files: Vec::new(), tensors: BTreeMap::new() };
        for path in paths {
            let map = crate::gguf::map(path)?;
            let format = |problem| Error::Format { path: path.clone(), problem, hint: FETCH_AGAIN };
            let (length, metadata) = SafeTensors::read_metadata(&map).map_err(|e| format(e.to_string()))?;
            let start = 8 + length;
            for (name, info) in metadata.tensors() {
                let bytes = start + info.data_offsets.0..start + info.data_offsets.1;
                if map.get(bytes.clone()).is_none() {
                    return Err(format(format!("tensor `{name}` reaches beyond the file's {} bytes", map.len())));
                }
                let place = Place { file: shards.files.len(), dtype: info.dtype, shape: info.shape.clone(), bytes };
                shards.tensors.insert(name, place);
            }
            shards.files.push((path.clone(), map));
        }
        Ok(shards)
    }

    /// Gives the memory of the files' pages back.
    pub fn release(&self) {
        self.files.iter().for_each(|(_, map)| crate::gguf::release(map));
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Rows and columns, where there are one or two dimensions.
    pub fn shape(&self, name: &str) -> Option<(usize, usize)> {
        match *self.tensors.get(name)?.shape {
            [cols] => Some((1, cols)),
            [rows, cols] => Some((rows, cols)),
            _ => None,
        }
    }

    /// Reads a tensor of one or two dimensions as numbers.
    pub fn matrix(&self, name: &str) -> Result<Matrix> {
        let first = self.files.first().map_or_else(PathBuf::new, |(path, _)| path.clone());
        let missing =
            || Error::Tensor { path: first, tensor: name.into(), problem: "is missing".into(), hint: FETCH_AGAIN };
        let place = self.tensors.get(name).ok_or_else(missing)?;
        let (path, map) = &self.files[place.file];
        let fail = |problem: String, hint| Error::Tensor { path: path.clone(), tensor: name.into(), problem, hint };
        let shape = self.shape(name);
        let (rows, cols) = shape.ok_or_else(|| fail("has more than two dimensions".into(), FETCH_AGAIN))?;
        let bytes = &map[place.bytes.clone()];
        let two = |convert: fn([u8; 2]) -> f32| bytes.chunks_exact(2).map(|b| convert([b[0], b[1]])).collect();
        let data: Vec<f32> = match place.dtype {
            Dtype::F32 => crate::matrix::floats(bytes),
            Dtype::F16 => two(|b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => two(|b| bf16::from_le_bytes(b).to_f32()),
            other => return Err(fail(format!("has type {other:?}"), "F32, F16 and BF16 are read")),
        };
        if data.len() != rows * cols {
            return Err(fail(format!("holds {} numbers for a shape of {rows} × {cols}", data.len()), FETCH_AGAIN));
        }
        Ok(Matrix { rows, cols, storage: Storage::F32(data) })
    }
}

/// Writes F32 tensors (name, shape) as a safetensors file, asking for the numbers of one at a time.
pub(crate) fn write(
    path: &Path,
    tensors: &[(String, Vec<usize>)],
    mut numbers: impl FnMut(usize) -> Result<Vec<f32>>,
) -> Result<()> {
    let mut entries = Map::new();
    entries.insert("__metadata__".into(), json!({ "format": "pt" }));
    let mut end = 0;
    for (name, shape) in tensors {
        let start = end;
        end += shape.iter().product::<usize>() * 4;
        entries.insert(name.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
    }
    let mut header = Value::Object(entries).to_string().into_bytes();
    // The format asks for data that begins at a multiple of 8.
    header.resize(header.len().next_multiple_of(8), b' ');
    crate::checkpoint::replace(path, |file| {
        let mut out = BufWriter::new(file);
        let io = |e| Error::io("write", path, e);
        out.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
        out.write_all(&header).map_err(io)?;
        for index in 0..tensors.len() {
            let bytes: Vec<u8> = numbers(index)?.iter().flat_map(|w| w.to_le_bytes()).collect();
            out.write_all(&bytes).map_err(io)?;
        }
        out.flush().map_err(io)
    })
}
