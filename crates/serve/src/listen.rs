//! The open port: connections, their time-outs, and the way to stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::patient::Patient;
use crate::refusal::Refusal;
use crate::{Config, Shared};

/// Bytes of a request's line and headers.
const HEAD_BYTES: usize = 64 << 10;

/// Seconds that connections get to send what is ready once all requests have ended.
const FLUSH: Duration = Duration::from_secs(2);

/// Serves until `shutdown` and for the grace time after it. Requests under way then are finished or,
/// when the time is over, cut off; new ones are told that the server is stopping.
pub(crate) async fn listen(
    listener: TcpListener,
    router: Router,
    shared: Arc<Shared>,
    shutdown: impl Future<Output = ()>,
) {
    let (close, closing) = watch::channel(false);
    let permits = Arc::new(Semaphore::new(shared.config.connections));
    // Dropping the set cuts off whoever is left.
    let mut connections = JoinSet::new();
    let mut accept = async || {
        // The semaphore is never closed.
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file handles, most likely; connections that end give some back.
                log::warn!("cannot accept a connection: {error}");
                return tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        while connections.try_join_next().is_some() {}
        let work = connection(stream, router.clone(), shared.clone(), closing.clone());
        connections.spawn(async move {
            work.await;
            drop(permit);
        });
    };
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            () = accept() => {}
        }
    }
    shared.closing.store(true, Ordering::Release);
    let drained = async {
        loop {
            let drained = shared.drained.notified();
            if shared.metrics.open.load(Ordering::Acquire) == 0 {
                return;
            }
            // The last request to end may be one that was told that the server is stopping.
            let _ = timeout(Duration::from_millis(100), drained).await;
        }
    };
    let grace = timeout(Duration::from_secs_f64(shared.config.grace_seconds), drained);
    tokio::pin!(grace);
    loop {
        tokio::select! {
            ended = &mut grace => {
                if ended.is_err() {
                    log::warn!("{} requests are cut off", shared.metrics.open.load(Ordering::Acquire));
                }
                break;
            }
            () = accept() => {}
        }
    }
    close.send_replace(true);
    let _ = timeout(FLUSH, async { while connections.join_next().await.is_some() {} }).await;
}

async fn connection(stream: TcpStream, router: Router, shared: Arc<Shared>, mut closing: watch::Receiver<bool>) {
    // Every token is a small packet that should not wait for the next.
    let _ = stream.set_nodelay(true);
    let Config { header_seconds, write_seconds, .. } = shared.config;
    let stream = Patient::new(stream, Duration::from_secs_f64(write_seconds));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs_f64(header_seconds))
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let result = tokio::select! {
        result = &mut connection => result,
        _ = closing.changed() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let Err(error) = result else { return };
    log::debug!("a connection ended: {error}");
    let parts = connection.into_parts();
    if error.is_timeout() && !parts.read_buf.is_empty() {
        // Someone began a request and did not go on; an idle connection is closed without a word.
        let message = format!("the request's headers did not come within {header_seconds} seconds");
        let refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow_headers", message);
        let mut stream = parts.io.into_inner();
        let _ = stream.write_all(refusal.plain().as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}
