//! Answers that were given before, by the content of the request.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::wire::{Body, Reply};

/// A folder of answers. Which address gave an answer is no part of its name, and no key ever
/// comes near it.
pub(crate) struct RequestCache {
    folder: Option<PathBuf>,
}

/// What a file holds: the request, so that a reader can tell what it answers, and the answer.
#[derive(Serialize, Deserialize)]
struct Entry {
    path: String,
    request: serde_json::Value,
    /// Where the answer was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    reply: Reply,
}

impl RequestCache {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// Name of a request: SHA-256 of where it goes and of its body. Whether the answer is streamed
    /// does not change the answer, so it is left out.
    pub(crate) fn key(body: &Body) -> String {
        let body = Body { stream: None, stream_options: None, ..body.clone() };
        let bytes = serde_json::to_vec(&body).expect("a body of strings and finite numbers is JSON");
        let until = body.until.as_ref().map(|until| format!("\n{until}")).unwrap_or_default();
        record::shard::sha256(&[body.path().as_bytes(), b"\n", &bytes, until.as_bytes()].concat())
    }

    /// The answer, if there is one. A file that cannot be read is as good as none: it is written anew.
    pub(crate) fn get(&self, key: &str) -> Option<Reply> {
        let path = self.file(key)?;
        if !path.is_file() {
            return None;
        }
        match record::shard::read_json::<Entry>(&path) {
            Ok(entry) => Some(entry.reply),
            Err(error) => {
                log::warn!("cached answer is not used: {error}");
                None
            }
        }
    }

    /// Keeps an answer and returns the one that holds from now on: if another task was faster with
    /// the same request, its answer stays, so that a second run sees what the first one saw.
    pub(crate) fn put(&self, key: &str, body: &Body, reply: Reply) -> Result<Reply, record::Error> {
        let Some(path) = self.file(key) else { return Ok(reply) };
        if let Some(first) = self.get(key) {
            return Ok(first);
        }
        let request = serde_json::to_value(Body { stream: None, stream_options: None, ..body.clone() });
        let request = request.map_err(|source| record::Error::Encode { record: "request", source })?;
        let entry = Entry { path: body.path().into(), request, until: body.until.clone(), reply };
        record::shard::write_json(&path, &entry)?;
        Ok(entry.reply)
    }

    fn file(&self, key: &str) -> Option<PathBuf> {
        // Two digits of folder keep any one folder small.
        self.folder.as_ref().map(|folder| folder.join(&key[..2]).join(format!("{key}.json")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Text;

    fn body(prompt: &str) -> Body {
        Body { model: "m".into(), prompt: Some(Text::Plain(prompt.into())), max_tokens: 4, ..Body::default() }
    }

    fn reply(text: &str) -> Reply {
        let mut reply = Reply::default();
        let json = format!(r#"{{"choices":[{{"text":"{text}","finish_reason":"stop"}}]}}"#);
        reply.add(json.as_bytes(), None, &mut |_| {}).expect("reply");
        reply
    }

    #[test]
    fn the_first_answer_stays_and_a_broken_file_is_replaced() {
        let folder = tempfile::tempdir().expect("tempdir");
        let cache = RequestCache::new(Some(folder.path().into()));
        let key = RequestCache::key(&body("p"));
        assert_eq!(cache.get(&key), None);
        assert_eq!(cache.put(&key, &body("p"), reply("one")).expect("put"), reply("one"));
        assert_eq!(cache.put(&key, &body("p"), reply("two")).expect("put"), reply("one"));
        std::fs::write(cache.file(&key).expect("file"), "{\"path\":").expect("break");
        assert_eq!(cache.get(&key), None);
        assert_eq!(cache.put(&key, &body("p"), reply("two")).expect("put"), reply("two"));
        assert_eq!(cache.get(&key), Some(reply("two")));
    }

    #[test]
    fn the_key_follows_all_that_changes_the_answer_and_nothing_else() {
        let base = RequestCache::key(&body("p"));
        assert_eq!(base, RequestCache::key(&body("p").streamed()));
        assert_ne!(base, RequestCache::key(&body("q")));
        assert_ne!(base, RequestCache::key(&Body { seed: Some(1), ..body("p") }));
        assert_ne!(base, RequestCache::key(&Body { until: Some("n".into()), ..body("p") }));
        assert_ne!(base, RequestCache::key(&Body { model: "n".into(), ..body("p") }));
    }
}
