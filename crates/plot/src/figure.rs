use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg;

use crate::canvas::{Anchor, Canvas, EDGE, WIDTH, clean, escape};
use crate::ink::{Reader, style};
use crate::{Error, Result, font};

/// A picture that is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    title: String,
    caption: String,
    height: f64,
    /// Title and caption as they are drawn.
    words: String,
    /// Where the drawing itself begins and ends.
    span: (f64, f64),
    body: String,
}

/// Pixels of a PNG's side at most.
const MOST: u32 = 10_000;
/// Height of a line of the caption.
const LINE: f64 = 17.0;

impl Figure {
    /// Puts a title above and a caption below what was drawn between [`top`] and `bottom`.
    pub(crate) fn new(title: &str, caption: &str, canvas: Canvas, bottom: f64) -> Self {
        let (title, caption) = (clean(title), clean(caption));
        let mut words = Canvas::default();
        for (at, line) in title_lines(&title).iter().enumerate() {
            words.text("head f-ink", (EDGE, EDGE + 15.0 + 20.0 * at as f64), Anchor::Start, line);
        }
        let lines = font::wrap(&caption, WIDTH - 2.0 * EDGE, 12.0);
        for (at, line) in lines.iter().enumerate() {
            words.text("small f-quiet", (EDGE, bottom + 18.0 + LINE * at as f64), Anchor::Start, line);
        }
        let height = (bottom + 10.0 + LINE * lines.len() as f64 + EDGE).ceil();
        let span = (top(&title) - 8.0, bottom + 4.0);
        Self { title, caption, height, words: words.body, span, body: canvas.body }
    }

    /// What it is called.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What it shows, with its n.
    pub fn caption(&self) -> &str {
        &self.caption
    }

    /// Height for a width of 1.
    pub fn aspect(&self) -> f64 {
        self.height / WIDTH
    }

    /// The picture as SVG: a whole file that loads nothing and runs nothing, and may stand in a page. It
    /// is light or dark as its reader likes, and tells readers of the screen what it shows.
    pub fn svg(&self) -> String {
        self.write(Reader::Browser)
    }

    /// The same without title and caption, for a page that says both in letters that break as its own do.
    pub fn bare(&self) -> String {
        let (top, bottom) = self.span;
        self.frame(Reader::Browser, &self.body, (top, (bottom - top).ceil()))
    }

    /// The picture as PNG, in light, with our own letters; a character that they lack is set in a font of
    /// the machine, if it has one.
    ///
    /// Errors: [`Error::Width`] outside 16 to 10,000 pixels on a side.
    pub fn png(&self, width: u32) -> Result<Vec<u8>> {
        let height = (f64::from(width) * self.aspect()).round() as u32;
        if width < 16 || width.max(height) > MOST {
            return Err(Error::Width { width, most: MOST });
        }
        let mut svg = self.write(Reader::Raster);
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(font::REGULAR.to_vec());
        fonts.load_font_data(font::STRONG.to_vec());
        let strange = font::strange(&svg);
        if !strange.is_empty() {
            fonts.load_system_fonts();
            let known = font::known(&fonts, &strange);
            // A letter that no font has is shown as a question mark.
            svg = svg.chars().map(|c| if strange.contains(&c) && !known.contains(&c) { '?' } else { c }).collect();
        }
        let options =
            usvg::Options { fontdb: Arc::new(fonts), font_family: "Inter".into(), ..usvg::Options::default() };
        let raster = |reason: &dyn std::fmt::Display| Error::Raster(reason.to_string());
        let tree = usvg::Tree::from_str(&svg, &options).map_err(|error| raster(&error))?;
        let mut pixels = Pixmap::new(width, height).ok_or_else(|| raster(&"no memory"))?;
        let size = tree.size();
        let scale = Transform::from_scale(width as f32 / size.width(), height as f32 / size.height());
        resvg::render(&tree, scale, &mut pixels.as_mut());
        pixels.encode_png().map_err(|error| raster(&error))
    }

    fn write(&self, reader: Reader) -> String {
        self.frame(reader, &format!("{}{}", self.words, self.body), (0.0, self.height))
    }

    /// A whole SVG around what is drawn from a top on, so high.
    fn frame(&self, reader: Reader, body: &str, (top, height): (f64, f64)) -> String {
        let body = format!("<rect class=\"f-paper\" y=\"{top}\" width=\"{WIDTH}\" height=\"{height}\"/>\n{body}");
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\" viewBox=\"0 {top} {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\">\n<title>{}</title>\n<desc>{}</desc>\n<style>{}</style>\n{body}</svg>\n",
            escape(&self.title),
            escape(&self.caption),
            style(&body, reader)
        )
    }
}

/// Where a drawing may begin below its title.
pub(crate) fn top(title: &str) -> f64 {
    EDGE + 20.0 * title_lines(&clean(title)).len() as f64 + 8.0
}

fn title_lines(title: &str) -> Vec<String> {
    // Bold letters are wider than those that `wrap` measures.
    font::wrap(title, (WIDTH - 2.0 * EDGE) / 1.08, 16.0)
}
