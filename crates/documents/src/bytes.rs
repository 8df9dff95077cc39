use std::path::Path;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::{Error, Result};

/// How many bytes are looked at to tell text from binary.
const PROBE: usize = 1 << 16;

/// Text of a file and the name of its encoding. Asked in this order: byte order mark, valid UTF-8,
/// the page's own `charset` (HTML only), and what the bytes look like.
pub(crate) fn decode(raw: &[u8], html: bool, path: &Path) -> Result<(String, &'static str)> {
    let encoding = match Encoding::for_bom(raw) {
        Some((encoding, _)) => encoding,
        None => match wide(raw) {
            Some(encoding) => encoding,
            None if is_binary(raw) => return Err(Error::Binary { path: path.into() }),
            None if std::str::from_utf8(raw).is_ok() => UTF_8,
            None => declared(raw).filter(|_| html).unwrap_or_else(|| guess(raw)),
        },
    };
    // decode() also takes the byte order mark off.
    let (text, encoding, _) = encoding.decode(raw);
    Ok((text.into_owned(), encoding.name()))
}

/// UTF-16 without a mark: in western text every other byte is zero, and the others hardly ever.
fn wide(raw: &[u8]) -> Option<&'static Encoding> {
    let probe = &raw[..raw.len().min(PROBE)];
    let pairs = probe.len() / 2;
    if pairs < 4 {
        return None;
    }
    let zeros = |offset: usize| probe.iter().skip(offset).step_by(2).filter(|b| **b == 0).count();
    let (high, low) = (zeros(0), zeros(1));
    match (high, low) {
        (0, low) if low * 10 > pairs * 7 => Some(UTF_16LE),
        (high, 0) if high * 10 > pairs * 7 => Some(UTF_16BE),
        _ => None,
    }
}

/// A zero byte, or more control characters than any text has.
fn is_binary(raw: &[u8]) -> bool {
    let probe = &raw[..raw.len().min(PROBE)];
    let control = probe.iter().filter(|b| b.is_ascii_control() && !b"\t\n\r\x0c\x1b".contains(b)).count();
    probe.contains(&0) || control * 20 > probe.len()
}

/// The label after `charset=` in the first kilobyte.
fn declared(raw: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&raw[..raw.len().min(1024)]).to_ascii_lowercase();
    let label = head.split_once("charset=")?.1.trim_start_matches(['"', '\'', ' ']);
    let end = label.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(label.len());
    Encoding::for_label(&label.as_bytes()[..end])
}

fn guess(raw: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(raw, true);
    detector.guess(None, Utf8Detection::Allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_text_from_binary() {
        let check = |raw: &[u8]| decode(raw, false, Path::new("x.txt"));
        assert_eq!(check(b"\xef\xbb\xbfab").expect("mark"), ("ab".into(), "UTF-8"));
        assert_eq!(check(b"a\0d\0a\0 \0p\0u\0m\0p\0").expect("wide").0, "ada pump");
        assert_eq!(check("naïve café".as_bytes()).expect("utf-8").1, "UTF-8");
        for raw in [&b"PK\x03\x04\x14\0\0\0"[..], &[1, 2, 3, 4, 5, 6, 7, 8]] {
            assert!(matches!(check(raw), Err(Error::Binary { .. })), "{raw:?}");
        }
    }
}
