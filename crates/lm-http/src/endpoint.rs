//! Several addresses that serve the same model: which one is asked next.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::address::Address;

/// The addresses, and how each one fares.
pub(crate) struct Endpoints(Vec<Endpoint>);

pub(crate) struct Endpoint {
    pub(crate) address: Address,
    under_way: AtomicUsize,
    down_until: Mutex<Option<Instant>>,
}

/// A request under way at an address; counted until it is dropped.
pub(crate) struct Place<'a>(&'a Endpoint);

impl Endpoints {
    /// At least one address.
    pub(crate) fn new(addresses: Vec<Address>) -> Self {
        let endpoint = |address| Endpoint { address, under_way: AtomicUsize::new(0), down_until: Mutex::new(None) };
        Self(addresses.into_iter().map(endpoint).collect())
    }

    /// Takes a place at the healthy address with the fewest requests under way; if none is healthy, at
    /// the one that is so soonest.
    pub(crate) fn take(&self) -> Place<'_> {
        let now = Instant::now();
        let best = self.0.iter().min_by_key(|endpoint| {
            (endpoint.down_for(now).unwrap_or_default(), endpoint.under_way.load(Ordering::Relaxed))
        });
        let endpoint = best.expect("settings without an address are refused");
        endpoint.under_way.fetch_add(1, Ordering::Relaxed);
        Place(endpoint)
    }

    /// Whether any address is healthy.
    pub(crate) fn any_healthy(&self) -> bool {
        let now = Instant::now();
        self.0.iter().any(|endpoint| endpoint.down_for(now).is_none())
    }
}

impl Endpoint {
    fn down_for(&self, now: Instant) -> Option<Duration> {
        let until = *self.down_until.lock().unwrap_or_else(|e| e.into_inner());
        until.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Passes this address over for a while, if there is another.
    pub(crate) fn rest(&self, time: Duration) {
        *self.down_until.lock().unwrap_or_else(|e| e.into_inner()) = Some(Instant::now() + time);
    }

    /// It answered.
    pub(crate) fn recover(&self) {
        *self.down_until.lock().unwrap_or_else(|e| e.into_inner()) = None;
    }
}

impl std::ops::Deref for Place<'_> {
    type Target = Endpoint;
    fn deref(&self) -> &Endpoint {
        self.0
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_busy_healthy_address_is_taken() {
        let address = |text| Address::read(text, None, false).expect("address");
        let endpoints = Endpoints::new(vec![address("http://a"), address("http://b")]);
        let host = |place: &Place| place.address.base.host_str().map(ToString::to_string);
        let first = endpoints.take();
        let second = endpoints.take();
        assert_ne!(host(&first), host(&second));
        drop(second);
        assert_eq!(host(&endpoints.take()).as_deref(), Some("b"));
        endpoints.0[1].rest(Duration::from_secs(60));
        assert_eq!(host(&endpoints.take()).as_deref(), Some("a"));
        endpoints.0[0].rest(Duration::from_secs(90));
        assert!(!endpoints.any_healthy());
        assert_eq!(host(&endpoints.take()).as_deref(), Some("b"));
        endpoints.0[0].recover();
        assert_eq!(host(&endpoints.take()).as_deref(), Some("a"));
    }
}
