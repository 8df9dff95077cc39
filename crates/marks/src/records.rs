use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

/// The longest line that is read.
pub(crate) const LONGEST_LINE: usize = 64 << 20;
/// How far a quoted field may reach over lines before its quotation mark counts as a stray one.
const LONGEST_QUOTE: usize = 1 << 20;

/// Lines of a stream, with their numbers. A byte order mark at the beginning is left out.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    source: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub fn new(source: R) -> Self {
        Self { source, number: 0 }
    }

    /// Adds the next line to `line`, with its line feed, and says its number; none at the end. Of a
    /// line of more than [`LONGEST_LINE`] bytes only the beginning is added.
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
        let before = line.len();
        let read = self.source.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', line)?;
        if read == 0 {
            return Ok(None);
        }
        if read == LONGEST_LINE && line.last() != Some(&b'\n') {
            self.source.skip_until(b'\n')?;
        }
        if self.number == 0 && line[before..].starts_with(b"\xef\xbb\xbf") {
            line.drain(before..before + 3);
        }
        self.number += 1;
        Ok(Some(self.number))
    }
}

/// Records of delimited text (RFC 4180): quoted fields may hold separators, line breaks and doubled
/// quotation marks.
///
/// A stray quotation mark must not swallow the rest of a file. So a record that does not end as it
/// should costs its first line, and reading goes on with the next one.
#[derive(Debug)]
pub(crate) struct Records<R> {
    lines: Lines<R>,
    separator: u8,
    /// Lines that a broken record had taken, to be read again.
    again: VecDeque<(u64, Vec<u8>)>,
    line: Vec<u8>,
    parser: Parser,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    Record(Record<'a>),
    /// A line that is no record, and why.
    Broken(u64, &'static str),
    End,
}

/// The fields of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Number of its first line, from 1.
    pub line: u64,
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> Record<'a> {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, at: usize) -> Option<&'a str> {
        let begin = if at == 0 { 0 } else { *self.ends.get(at - 1)? };
        self.text.get(begin..*self.ends.get(at)?)
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

impl<R: BufRead> Records<R> {
    pub fn new(source: R, separator: u8) -> Self {
        let (again, line) = (VecDeque::new(), Vec::new());
        Self { lines: Lines::new(source), separator, again, line, parser: Parser::default() }
    }

    /// The next record that is not an empty line.
    pub fn next(&mut self) -> io::Result<Next<'_>> {
        loop {
            self.parser.clear();
            let Some(first) = self.read_line()? else { return Ok(Next::End) };
            let mut state = self.parser.feed(&self.line, self.separator);
            let mut taken: Vec<(u64, Vec<u8>)> = Vec::new();
            let mut size = 0;
            while state == State::Open && size <= LONGEST_QUOTE {
                let Some(number) = self.read_line()? else {
                    state = State::Broken("has a quotation mark that is never closed");
                    break;
                };
                state = self.parser.feed(&self.line, self.separator);
                size += self.line.len();
                taken.push((number, self.line.clone()));
            }
            if state == State::Open {
                state = State::Broken("has a quotation mark that is not closed within 1 MiB");
            }
            if let State::Broken(problem) = state {
                for line in taken.into_iter().rev() {
                    self.again.push_front(line);
                }
                return Ok(Next::Broken(first, problem));
            }
            if self.parser.is_blank() {
                continue;
            }
            let Parser { cells, ends, .. } = &self.parser;
            return Ok(match std::str::from_utf8(cells) {
                Ok(text) => Next::Record(Record { line: first, text, ends }),
                Err(_) => Next::Broken(first, "is not UTF-8"),
            });
        }
    }

    fn read_line(&mut self) -> io::Result<Option<u64>> {
        if let Some((number, line)) = self.again.pop_front() {
            self.line = line;
            return Ok(Some(number));
        }
        self.line.clear();
        self.lines.next(&mut self.line)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The record is complete.
    Whole,
    /// A quoted field goes on in the next line.
    Open,
    Broken(&'static str),
}

/// Takes a record apart, line by line.
#[derive(Debug, Default)]
struct Parser {
    /// The fields without their quotation marks, one behind the other.
    cells: Vec<u8>,
    ends: Vec<usize>,
    /// Inside of a quoted field.
    quoted: bool,
}

impl Parser {
    fn clear(&mut self) {
        self.cells.clear();
        self.ends.clear();
        self.quoted = false;
    }

    fn is_blank(&self) -> bool {
        self.ends.len() == 1 && self.cells.iter().all(u8::is_ascii_whitespace)
    }

    fn feed(&mut self, line: &[u8], separator: u8) -> State {
        if line.len() >= LONGEST_LINE {
            return State::Broken("is longer than 64 MiB");
        }
        let mut rest = line;
        loop {
            if self.quoted {
                let Some(quote) = rest.iter().position(|b| *b == b'"') else {
                    self.cells.extend_from_slice(rest);
                    return State::Open;
                };
                self.cells.extend_from_slice(&rest[..quote]);
                rest = &rest[quote + 1..];
                if let [b'"', ..] = rest {
                    self.cells.push(b'"');
                    rest = &rest[1..];
                    continue;
                }
                self.quoted = false;
                self.ends.push(self.cells.len());
                match rest {
                    [] | b"\n" | b"\r\n" => return State::Whole,
                    [next, ..] if *next == separator => rest = &rest[1..],
                    _ => return State::Broken("has text behind a closing quotation mark"),
                }
            }
            if let [b'"', ..] = rest {
                self.quoted = true;
                rest = &rest[1..];
                continue;
            }
            match rest.iter().position(|b| *b == separator || *b == b'\n') {
                Some(end) if rest[end] == separator => {
                    self.cells.extend_from_slice(&rest[..end]);
                    self.ends.push(self.cells.len());
                    rest = &rest[end + 1..];
                }
                end => {
                    let last = &rest[..end.unwrap_or(rest.len())];
                    self.cells.extend_from_slice(last.strip_suffix(b"\r").unwrap_or(last));
                    self.ends.push(self.cells.len());
                    return State::Whole;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<(u64, Result<Vec<String>, &'static str>)> {
        let mut records = Records::new(text, b',');
        let mut all = Vec::new();
        loop {
            match records.next().expect("no disk") {
                Next::Record(record) => all.push((record.line, Ok(record.iter().map(Into::into).collect()))),
                Next::Broken(line, problem) => all.push((line, Err(problem))),
                Next::End => return all,
            }
        }
    }

    fn good(line: u64, fields: &[&str]) -> (u64, Result<Vec<String>, &'static str>) {
        (line, Ok(fields.iter().map(|field| field.to_string()).collect()))
    }

    #[test]
    fn quoted_fields_hold_separators_line_breaks_and_quotation_marks() {
        let text = b"\xef\xbb\xbfa,\"b\r\n\"\r\n\"x, \"\"y\"\"\nz\",\n\n5\" disk,\"\"\n \nend";
        let x = good(3, &["x, \"y\"\nz", ""]);
        assert_eq!(all(text), [good(1, &["a", "b\r\n"]), x, good(6, &["5\" disk", ""]), good(8, &["end"])]);
    }

    #[test]
    fn a_broken_line_costs_itself_alone() {
        let found = all(b"a,1\n\"b,2\nc,3\nd,\"x\"y\ne,\xff\nf,6\n");
        let never = "has a quotation mark that is never closed";
        let behind = "has text behind a closing quotation mark";
        assert_eq!(
            found,
            [
                good(1, &["a", "1"]),
                // It meets the quotation mark of line 4.
                (2, Err(behind)),
                good(3, &["c", "3"]),
                (4, Err(behind)),
                (5, Err("is not UTF-8")),
                good(6, &["f", "6"])
            ]
        );
        assert_eq!(all(b"\"b,2\nc,3"), [(1, Err(never)), good(2, &["c", "3"])]);
        let mut long = b"a,1\n\"b,2\n".to_vec();
        for _ in 0..300_000 {
            long.extend_from_slice(b"c,33\n");
        }
        let found = all(&long);
        assert_eq!((found.len(), found[1].1.is_err(), found.last().map(|l| l.0)), (300_002, true, Some(300_002)));
    }
}
