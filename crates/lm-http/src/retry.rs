//! When a failed request is tried again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Retry;

/// Whether a status may go away by itself.
pub(crate) fn passes(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 529)
}

/// Full jitter: uniform on [0, min(longest, first · 2^attempt)] seconds.
pub(crate) fn wait(retry: &Retry, attempt: u32, seed: u64, request: &str) -> Duration {
    let bound = (retry.first * 2f64.powi(attempt.min(60) as i32)).min(retry.longest);
    let seed = record::seed::derive(seed, "lm-http/retry", &format!("{request}/{attempt}"));
    Duration::from_secs_f64(bound * ChaCha8Rng::seed_from_u64(seed).random::<f64>())
}

/// What `Retry-After` asks for: seconds, or a date (RFC 9110, section 10.2.3).
pub(crate) fn after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let then = UNIX_EPOCH + Duration::from_secs(date(value)?);
    // A date that is past asks for no wait.
    Some(then.duration_since(now).unwrap_or_default())
}

/// Seconds since 1970 of a date like `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers may send.
fn date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let parts: Vec<_> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = parts[..] else { return None };
    let number = |text: &str| text.parse::<u64>().ok();
    let (day, year) = (number(day)?, number(year)?);
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let time: Vec<_> = time.split(':').map(number).collect::<Option<_>>()?;
    let [hour, minute, second] = time[..] else { return None };
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days from the civil calendar: years begin in March, so that a leap day ends its year.
    let shifted = year - u64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year;
    // 1 January 1970 is day 719,468 of that count.
    Some((days.checked_sub(719_468)?) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_bounded_and_differ_between_requests() {
        let retry = Retry { first: 1.0, longest: 8.0, ..Retry::default() };
        let mean = |attempt| {
            let waits: f64 = (0..200).map(|i| wait(&retry, attempt, 1, &i.to_string()).as_secs_f64()).sum();
            waits / 200.0
        };
        for (attempt, bound) in [(0, 1.0), (2, 4.0), (9, 8.0), (99, 8.0)] {
            assert!((mean(attempt) / bound - 0.5).abs() < 0.08, "attempt {attempt}: mean {}", mean(attempt));
        }
        assert_eq!(wait(&retry, 1, 1, "a"), wait(&retry, 1, 1, "a"));
        assert_ne!(wait(&retry, 1, 1, "a"), wait(&retry, 1, 1, "b"));
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_date() {
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(date("Tue, 29 Feb 2000 12:00:00 GMT"), Some(951_825_600));
        let now = UNIX_EPOCH + Duration::from_secs(784_111_767);
        assert_eq!(after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(after("Sun, 06 Nov 1993 08:49:37 GMT", now), Some(Duration::ZERO));
        for bad in
            ["", "soon", "-1", "Sun, 06 Nov 1994", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT"]
        {
            assert_eq!(after(bad, now), None, "{bad}");
        }
    }
}
