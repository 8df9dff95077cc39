use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use crate::outline::Content;
use crate::{Error, Result, text};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// The PDF reader panics on files that it does not know; a library must not print that. The hook is
/// put in once, and is silent only while this thread reads a PDF.
fn hush() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
}

/// Blocks of a PDF's text layer.
pub(crate) fn content(raw: &[u8], path: &Path) -> Result<Content> {
    let failed = |problem: String| Error::Pdf { path: path.into(), problem };
    hush();
    QUIET.set(true);
    let extracted = panic::catch_unwind(AssertUnwindSafe(|| pdf_extract::extract_text_from_mem(raw)));
    QUIET.set(false);
    let extracted = match extracted {
        Ok(result) => result.map_err(|e| failed(e.to_string()))?,
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
            return Err(failed(words.unwrap_or_else(|| "the reader failed".into())));
        }
    };
    if extracted.trim().is_empty() {
        return Err(Error::NoTextLayer { path: path.into() });
    }
    Ok(text::content(&join_hyphens(&extracted)))
}

/// `infor-\nmation` is one word that the page's width cut in two.
fn join_hyphens(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.trim_end();
        let cut = line.strip_suffix('-').filter(|rest| rest.ends_with(|c: char| c.is_lowercase()));
        match cut {
            Some(rest) => joined.push_str(rest),
            None => {
                joined.push_str(line);
                joined.push('\n');
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A one-page PDF with the given page content stream.
    fn page(stream: &str) -> Vec<u8> {
        let objects = [
            "<< /Type /Catalog /Pages 2 0 R >>".to_string(),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_string(),
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
                .to_string(),
            format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_string(),
        ];
        let mut pdf = "%PDF-1.4\n".to_string();
        let mut offsets = Vec::new();
        for (index, object) in objects.iter().enumerate() {
            offsets.push(pdf.len());
            pdf.push_str(&format!("{} 0 obj\n{object}\nendobj\n", index + 1));
        }
        let start = pdf.len();
        pdf.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
        for offset in offsets {
            pdf.push_str(&format!("{offset:010} 00000 n \n"));
        }
        pdf.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1));
        pdf.into_bytes()
    }

    #[test]
    fn reads_the_text_layer_and_names_its_absence() {
        let raw = page("BT /F1 12 Tf 72 700 Td (The pump Ada moves water.) Tj ET");
        let read = content(&raw, Path::new("a.pdf")).expect("text");
        let chunks = crate::outline::chunks("a.pdf", &read.blocks, &crate::Config::default());
        assert_eq!(chunks[0].sentences[0].text, "The pump Ada moves water.");
        let error = content(&page("0 0 10 10 re f"), Path::new("scan.pdf")).expect_err("no text");
        assert!(matches!(error, Error::NoTextLayer { .. }) && error.to_string().contains("OCR"));
    }

    #[test]
    fn words_cut_at_the_line_end_are_joined() {
        assert_eq!(join_hyphens("infor-\nmation\nUTF-\n8\n"), "information\nUTF-\n8\n");
    }
}
