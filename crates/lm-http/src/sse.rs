//! Server-sent events: bytes in, the `data` of whole events out.

/// Splits a byte stream into events. Bytes are kept as bytes until a line is whole, so a character
/// that is cut by the network is never seen cut.
#[derive(Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    after_return: bool,
}

impl Events {
    /// Takes bytes and returns the data of each event that is whole now. Lines end with `\n`, `\r\n`
    /// or `\r`; an event ends with an empty line; comments and other fields are passed over.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        for &byte in bytes {
            let ends = byte == b'\r' || byte == b'\n' && !self.after_return;
            let skip = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            if skip {
                continue;
            }
            if !ends {
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if line.is_empty() {
                if !self.data.is_empty() {
                    whole.push(std::mem::take(&mut self.data));
                }
            } else if let Some(value) = line.strip_prefix(b"data:") {
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            }
        }
        whole
    }

    /// What is left when the stream ends without an empty line.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        let mut whole = self.push(b"\n\n");
        whole.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_the_bytes_are_cut() {
        let text =
            ": hello\n\ndata: {\"a\":\"ü€𝄞\"}\r\n\r\nevent: x\nid: 1\ndata:one\ndata: two\n\n\n\ndata: [DONE]\r\r";
        let expected: Vec<Vec<u8>> =
            ["{\"a\":\"ü€𝄞\"}", "one\ntwo", "[DONE]"].iter().map(|s| s.as_bytes().to_vec()).collect();
        for size in 1..text.len() {
            let mut events = Events::default();
            let got: Vec<_> = text.as_bytes().chunks(size).flat_map(|chunk| events.push(chunk)).collect();
            assert_eq!(got, expected, "chunks of {size}");
        }
    }

    #[test]
    fn the_last_event_may_lack_its_empty_line() {
        let mut events = Events::default();
        assert!(events.push(b"data: x").is_empty());
        assert_eq!(events.finish(), Some(b"x".to_vec()));
        assert_eq!(Events::default().finish(), None);
    }
}
