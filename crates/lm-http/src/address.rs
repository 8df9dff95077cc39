//! Reads addresses, and decides which of them may see the key.

use std::net::IpAddr;

use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::{Config, Error, Result};

/// An address to talk to, and what authorises us there.
pub(crate) struct Address {
    /// Ends with a slash; holds no credentials, query or fragment.
    pub(crate) base: Url,
    /// What authorises us.
    pub(crate) authorization: Option<Authorization>,
    /// Whether it is this machine.
    pub(crate) loopback: bool,
}

/// What a request says to be let in.
pub(crate) enum Authorization {
    /// The key, as a header marked as sensitive.
    Bearer(HeaderValue),
    /// User and password that stood in the address.
    Basic(String, String),
}

/// The key, out of the environment.
pub(crate) struct Key {
    pub(crate) variable: String,
    pub(crate) value: String,
    /// The user named the variable, so a key that cannot be sent is an error.
    wanted: bool,
}

impl Key {
    /// The key that the settings name, or the usual one if there is one.
    pub(crate) fn read(config: &Config, environment: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let variable = config.key_env.clone().unwrap_or_else(|| "OPENAI_API_KEY".into());
        let wanted = config.key_env.is_some();
        let value = environment(&variable).map(|value| value.trim().to_string()).filter(|value| !value.is_empty());
        match value {
            Some(value) => Ok(Some(Self { variable, value, wanted })),
            None if wanted => Err(Error::Key { variable, problem: "it is not set; export it, or drop key_env".into() }),
            None => Ok(None),
        }
    }

    fn header(&self) -> Result<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.value)).map_err(|_| Error::Key {
            variable: self.variable.clone(),
            problem: "it holds characters that no header may hold".into(),
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Address {
    /// Reads an address. Without a path, `/v1` is meant.
    pub(crate) fn read(text: &str, key: Option<&Key>, key_over_http: bool) -> Result<Self> {
        let mut base = Url::parse(text).map_err(|e| Error::Address {
            // What cannot be parsed may hold credentials anywhere, so only its end is shown.
            address: text.rsplit('@').next().unwrap_or(text).into(),
            problem: format!("{e}; write http://HOST:PORT or https://HOST/v1"),
        })?;
        let user = (!base.username().is_empty()).then(|| base.username().to_string());
        let password = base.password().map(ToString::to_string);
        base.set_fragment(None);
        base.set_query(None);
        let problem = |base: &Url, problem: &str| Error::Address { address: base.to_string(), problem: problem.into() };
        let stripped = base.set_username("").and_then(|()| base.set_password(None));
        if !matches!(base.scheme(), "http" | "https") || stripped.is_err() || base.host_str().is_none() {
            return Err(problem(&base, "must begin with http:// or https:// and name a host"));
        }
        let path = base.path().trim_end_matches('/').to_string();
        base.set_path(&format!("{}/", if path.is_empty() { "/v1" } else { &path }));
        let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_string();
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let safe = base.scheme() == "https" || loopback || key_over_http;
        let mut authorization = None;
        if let Some(user) = user {
            if !safe {
                return Err(problem(&base, "credentials go over https only; set key_over_http to allow it"));
            }
            authorization = Some(Authorization::Basic(decoded(&user), decoded(&password.unwrap_or_default())));
        } else if let Some(key) = key {
            if safe {
                authorization = Some(Authorization::Bearer(key.header()?));
            } else if key.wanted {
                return Err(problem(&base, "the key goes over https only; set key_over_http to allow it"));
            } else {
                log::warn!("{base} is asked without the key in {}, which goes over https only", key.variable);
            }
        }
        Ok(Self { base, authorization, loopback })
    }
}

/// An address keeps user and password with %XX for what it cannot hold.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| byte == b'%') {
            Some(value) => {
                bytes.push(value);
                rest = &tail[2..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(wanted: bool) -> Key {
        Key { variable: "K".into(), value: "secret".into(), wanted }
    }

    fn header(address: &Address) -> Option<&str> {
        match address.authorization.as_ref()? {
            Authorization::Bearer(value) => Some(value.to_str().expect("text")),
            Authorization::Basic(..) => None,
        }
    }

    #[test]
    fn the_path_is_v1_unless_given() {
        for (text, base) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/"),
            ("http://h/", "http://h/v1/"),
            ("https://h/api/v2/", "https://h/api/v2/"),
            ("https://h/v1?x=1#m", "https://h/v1/"),
        ] {
            assert_eq!(Address::read(text, None, false).expect("address").base.as_str(), base);
        }
        for bad in ["127.0.0.1:80", "ftp://h", "file:///etc/passwd", "http://"] {
            assert!(matches!(Address::read(bad, None, false), Err(Error::Address { .. })), "{bad}");
        }
    }

    #[test]
    fn the_key_goes_to_https_and_loopback_alone() {
        for safe in ["https://h", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
            let address = Address::read(safe, Some(&key(true)), false).expect("address");
            assert_eq!(header(&address), Some("Bearer secret"), "{safe}");
            let Some(Authorization::Bearer(value)) = address.authorization else { panic!("no key") };
            assert!(value.is_sensitive());
        }
        let plain = "http://example.org";
        assert_eq!(header(&Address::read(plain, Some(&key(false)), false).expect("address")), None);
        assert!(Address::read(plain, Some(&key(true)), false).is_err());
        assert!(header(&Address::read(plain, Some(&key(true)), true).expect("allowed")).is_some());
    }

    #[test]
    fn credentials_in_the_address_are_used_and_never_shown() {
        let address = Address::read("https://Aladdin:open sesame@h/v1", None, false).expect("address");
        assert_eq!(address.base.as_str(), "https://h/v1/");
        let Some(Authorization::Basic(user, password)) = address.authorization else { panic!("no user") };
        assert_eq!((user.as_str(), password.as_str()), ("Aladdin", "open sesame"));
        let Err(error) = Address::read("http://me:hush@example.org", None, false) else { panic!("not over http") };
        assert!(!error.to_string().contains("hush"), "{error}");
        let Err(error) = Address::read("http://me:hush@", None, false) else { panic!("no host") };
        assert!(!error.to_string().contains("hush"), "{error}");
    }

    #[test]
    fn a_key_that_was_asked_for_must_be_there() {
        let config = Config { key_env: Some("MINE".into()), ..Config::default() };
        assert!(matches!(Key::read(&config, |_| None), Err(Error::Key { .. })));
        assert!(matches!(Key::read(&Config::default(), |_| None), Ok(None)));
        let usual = Key::read(&Config::default(), |name| (name == "OPENAI_API_KEY").then(|| " k\n".into()));
        assert!(matches!(usual, Ok(Some(Key { value, .. })) if value == "k"));
    }
}
