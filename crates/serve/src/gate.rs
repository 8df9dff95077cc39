//! Back-pressure: so many requests at once, so many that wait, and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::{Answered, Refusal};

/// Hands out places.
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    concurrent: usize,
    waiting: AtomicUsize,
    queue: usize,
}

/// A request's place; dropping it lets the next one in.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// Counts a request that waits, also if it goes away while it does.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gate {
    pub fn new(concurrent: usize, queue: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(concurrent)), concurrent, waiting: AtomicUsize::new(0), queue }
    }

    /// Waits for a place, in order of arrival; a full queue is status 429.
    pub async fn enter(&self) -> Answered<Place> {
        if let Ok(permit) = self.places.clone().try_acquire_owned() {
            return Ok(Place { _permit: permit });
        }
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.queue {
            let message = format!("{} requests run and {} wait already; try again", self.concurrent, self.queue);
            let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message);
            return Err(Refusal { retry_after: Some(1), ..refusal });
        }
        let permit = self.places.clone().acquire_owned().await;
        drop(waiting);
        // The semaphore is never closed.
        let closed = |_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping");
        Ok(Place { _permit: permit.map_err(closed)? })
    }

    /// Requests that have a place.
    pub fn running(&self) -> usize {
        self.concurrent - self.places.available_permits()
    }

    /// Requests that wait for one.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_place_is_passed_on() {
        let gate = Gate::new(1, 1);
        let first = gate.enter().await.map_err(|refusal| refusal.code).expect("free");
        let mut second = Box::pin(gate.enter());
        assert!((&mut second).now_or_never().is_none());
        assert_eq!((gate.running(), gate.waiting()), (1, 1));
        let third = gate.enter().await.err().expect("full");
        assert_eq!((third.status.as_u16(), third.retry_after), (429, Some(1)));
        assert_eq!(gate.waiting(), 1);
        drop(first);
        let second = second.await.map_err(|refusal| refusal.code).expect("its turn");
        assert_eq!((gate.running(), gate.waiting()), (1, 0));
        let gone = Box::pin(gate.enter());
        drop((gone, second));
        assert_eq!((gate.running(), gate.waiting()), (0, 0));
    }
}
