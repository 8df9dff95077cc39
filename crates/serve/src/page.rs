//! The page: plain files without a build step, inside the binary.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Everything comes from here; nothing may be run that does not stand in the files; no other page
/// may put this one into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path, kind and text of each file.
const FILES: [(&str, &str, &str); 8] = [
    ("/", "text/html; charset=utf-8", include_str!("../page/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../page/style.css")),
    ("/app.js", SCRIPT, include_str!("../page/app.js")),
    ("/record.js", SCRIPT, include_str!("../page/record.js")),
    ("/server.js", SCRIPT, include_str!("../page/server.js")),
    ("/settings.js", SCRIPT, include_str!("../page/settings.js")),
    ("/shelf.js", SCRIPT, include_str!("../page/shelf.js")),
    ("/tree.js", SCRIPT, include_str!("../page/tree.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Whether a path is a file of the page.
pub(crate) fn is_page(path: &str) -> bool {
    FILES.iter().any(|(own, ..)| *own == path)
}

/// A route for each file.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || async move { file(kind, text) }))
    })
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        // The files change with the binary only, and the machine is the same.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
